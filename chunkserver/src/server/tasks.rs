//! The tasks of each server; any server responds for all.

use super::blocks::current;
use super::extract::{Path, Query};
use super::problem::Problem;
use crate::share::Share;
use crate::worker::Worker;
use api::plan::ServerId;
use api::wire::route;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use journal::{SnapshotQuery, SnapshotResponse};
use std::sync::Arc;
use std::time::Duration;

/// The media type of tasks.
pub(super) const TASKS: &str = "application/vnd.arrayjob.tasks";
/// Timeout of a peer. A slower peer counts as unavailable.
const PEER_TIMEOUT: Duration = Duration::from_secs(5);
/// Encoding fewer records than this takes about a millisecond.
const INLINE_RECORDS: usize = 1 << 15;

/// The tasks of this server, for a peer.
pub(super) async fn own(
    State(worker): State<Arc<Worker>>,
    Query(query): Query<SnapshotQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let share = current(&worker, &headers)?;
    written(snapshot(&worker, &share, &query)).await
}

/// The tasks of server `server`.
pub(super) async fn tasks(
    State(worker): State<Arc<Worker>>,
    Path(server): Path<usize>,
    Query(query): Query<SnapshotQuery>,
) -> Result<Response, Problem> {
    let share = worker.share().ok_or_else(Problem::idle)?;
    if server >= share.plan.partition.servers {
        let last = share.plan.partition.servers - 1;
        return Err(Problem::new(StatusCode::NOT_FOUND, format!("there is no server {server}: the job has servers 0 to {last}")));
    }
    if server == share.id.0 {
        return written(snapshot(&worker, &share, &query)).await;
    }
    let absent = || Problem::new(StatusCode::SERVICE_UNAVAILABLE, format!("server {server} does not respond now; try again"));
    let peer = share.peer(ServerId(server)).ok_or_else(absent)?;
    let body = async {
        let response = worker.client.get(share.job_ref(), &peer, &format!("{}?{}", route::TASKS, query.query())).await.ok()?;
        response.bytes().await.ok()
    };
    let bytes = tokio::time::timeout(PEER_TIMEOUT, body).await.ok().flatten().ok_or_else(absent)?;
    Ok(([(header::CONTENT_TYPE, TASKS)], bytes).into_response())
}

fn snapshot(worker: &Worker, share: &Share, query: &SnapshotQuery) -> SnapshotResponse {
    share.journal.snapshot(query, share.id.0, &worker.boot.0)
}

/// The response. Many records are encoded on a blocking thread, because the HTTP threads must not be blocked.
async fn written(response: SnapshotResponse) -> Result<Response, Problem> {
    let bytes = if response.records() < INLINE_RECORDS {
        response.into_bytes()
    } else {
        let written = tokio::task::spawn_blocking(move || response.into_bytes()).await;
        written.map_err(|error| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?
    };
    Ok(([(header::CONTENT_TYPE, TASKS)], bytes).into_response())
}
