//! Commands of the operator, and what it observes.

use super::problem::Problem;
use crate::worker::Worker;
use api::phase::{Progress, Stage, Writing, reason};
use api::plan::ServerId;
use api::wire::{Assignment, VERSION, VERSION_HEADER};
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;

/// The longest that a request for progress waits.
const LONGEST_WAIT_MS: u64 = 10_000;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Wait {
    milestone: u64,
    wait_ms: u64,
    vitals: bool,
}

/// How far the worker is; with `wait_ms`, after the next milestone beyond `milestone` or that long. With `vitals` also what it takes.
pub(super) async fn progress(State(worker): State<Arc<Worker>>, Query(wait): Query<Wait>) -> Json<Progress> {
    if wait.wait_ms > 0 {
        let mut milestones = worker.milestones();
        let wanted = milestones.wait_for(|&milestone| milestone > wait.milestone);
        // Time passed is an answer too.
        let _ = tokio::time::timeout(Duration::from_millis(wait.wait_ms.min(LONGEST_WAIT_MS)), wanted).await;
    }
    Json(if wait.vitals { worker.progress_and_vitals() } else { worker.progress() })
}

#[derive(Debug, Deserialize)]
pub(super) struct Receiver {
    server: usize,
}

/// Takes an assignment.
pub(super) async fn assign(
    State(worker): State<Arc<Worker>>,
    Query(receiver): Query<Receiver>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Progress>, Problem> {
    let version = headers.get(VERSION_HEADER).and_then(|value| value.to_str().ok()).and_then(|value| value.parse().ok());
    if version != Some(VERSION) {
        return Err(Problem::new(StatusCode::CONFLICT, format!("this server speaks protocol version {VERSION}")));
    }
    // Parsed after the version is checked: the body of another version may have another form.
    let assignment: Assignment = serde_json::from_slice(&body)
        .map_err(|error| Problem::coded(StatusCode::BAD_REQUEST, format!("cannot read the assignment: {error}"), reason::INTERNAL_ERROR))?;
    worker.assign(ServerId(receiver.server), assignment)?;
    Ok(Json(worker.progress()))
}

#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    output: usize,
    stage: Stage,
}

/// Starts writing an output, or a part of it.
pub(super) async fn write(
    State(worker): State<Arc<Worker>>,
    Query(Wanted { output, stage }): Query<Wanted>,
    headers: HeaderMap,
) -> Result<Json<Progress>, Problem> {
    let share = super::blocks::current(&worker, &headers)?;
    if output >= share.job.outputs.len() {
        return Err(Problem::new(StatusCode::NOT_FOUND, format!("there is no output {output}")));
    }
    worker.write(&share, Writing { output, stage });
    Ok(Json(worker.progress()))
}
