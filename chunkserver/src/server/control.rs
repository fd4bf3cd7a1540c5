//! Commands of the operator, and the progress that the operator observes.

use super::blocks::{current, named_job};
use super::extract::Query;
use super::problem::Problem;
use crate::worker::Worker;
use api::digest;
use api::phase::{Progress, Stage, Writing, reason};
use api::plan::ServerId;
use api::wire::{Assignment, VERSION, VERSION_HEADER};
use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;

/// Longest wait of a request for progress, in milliseconds.
const LONGEST_WAIT_MS: u64 = 10_000;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ProgressQuery {
    milestone: u64,
    wait_ms: u64,
    vitals: bool,
}

/// Progress of the worker. With `wait_ms`, waits for a milestone beyond `milestone`, at most that long. With `vitals`, includes CPU time,
/// memory, traffic and waits.
pub(super) async fn progress(State(worker): State<Arc<Worker>>, Query(query): Query<ProgressQuery>) -> Json<Progress> {
    if query.wait_ms > 0 {
        let mut milestones = worker.milestones();
        let reached = milestones.wait_for(|&milestone| milestone > query.milestone);
        // After the timeout, the response contains the current progress.
        let _ = tokio::time::timeout(Duration::from_millis(query.wait_ms.min(LONGEST_WAIT_MS)), reached).await;
    }
    Json(if query.vitals { worker.progress_and_vitals() } else { worker.progress() })
}

#[derive(Debug, Deserialize)]
pub(super) struct AssignQuery {
    server: usize,
}

/// Accepts an assignment.
pub(super) async fn assign(
    State(worker): State<Arc<Worker>>,
    Query(query): Query<AssignQuery>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Progress>, Problem> {
    let version = headers.get(VERSION_HEADER).and_then(|value| value.to_str().ok()).and_then(|value| value.parse().ok());
    if version != Some(VERSION) {
        return Err(Problem::new(StatusCode::CONFLICT, format!("this server supports protocol version {VERSION}")));
    }
    // Parsed after the version check: the body of another version may have another form.
    let assignment: Assignment = serde_json::from_slice(&body).map_err(|error| {
        Problem::with_reason(StatusCode::BAD_REQUEST, format!("cannot read the assignment: {error}"), reason::INTERNAL_ERROR)
    })?;
    worker.assign(ServerId(query.server), assignment)?;
    Ok(Json(worker.progress()))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct DigestsQuery {
    after: usize,
    all: bool,
}

/// Digests of the frames that this server loaded, or of all frames that this server knows.
pub(super) async fn digests(
    State(worker): State<Arc<Worker>>,
    Query(DigestsQuery { after, all }): Query<DigestsQuery>,
    headers: HeaderMap,
) -> Result<Vec<u8>, Problem> {
    let share = current(&worker, &headers)?;
    Ok(digest::encode(&if all { share.frame_digests.all() } else { share.frame_digests.loaded_after(after) }))
}

/// Accepts digests of frames that the source must still have. The job may be assigned later.
pub(super) async fn expect(State(worker): State<Arc<Worker>>, headers: HeaderMap, body: Bytes) -> Result<(), Problem> {
    let (uid, generation) = named_job(&worker, &headers)?;
    let (Some(generation), Some(digests)) = (generation, digest::decode(&body)) else {
        let message = "the body is not a list of digests, or the generation is missing";
        return Err(Problem::with_reason(StatusCode::BAD_REQUEST, message, reason::INTERNAL_ERROR));
    };
    worker.expect_digests(uid, generation, digests);
    Ok(())
}

#[derive(Debug, Deserialize)]
pub(super) struct WriteQuery {
    output: usize,
    stage: Stage,
}

/// Starts a stage of an output.
pub(super) async fn write(
    State(worker): State<Arc<Worker>>,
    Query(WriteQuery { output, stage }): Query<WriteQuery>,
    headers: HeaderMap,
) -> Result<Json<Progress>, Problem> {
    let share = current(&worker, &headers)?;
    if output >= share.job.outputs.len() {
        return Err(Problem::new(StatusCode::NOT_FOUND, format!("there is no output {output}")));
    }
    worker.write(&share, Writing { output, stage });
    Ok(Json(worker.progress()))
}
