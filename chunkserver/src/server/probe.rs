//! Frames directly from the source: the shape of the first frame for the operator, before the plan exists, and any frame for readers.

use super::problem::Problem;
use crate::probe::{self, MAX_FRAME_BYTES, ProbeContext};
use crate::source;
use crate::worker::Worker;
use api::job::Source;
use api::phase::reason;
use api::wire::{ProbeRequest, Probed};
use api::words::chain;
use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use formats::encode::{ArrayRef, Format, encode};
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;

/// Timeout of a probe, including retries: shorter than the timeout of the operator.
const PROBE_TIMEOUT: Duration = Duration::from_secs(75);
/// Timeout of a reader's request for a frame.
const PEEK_TIMEOUT: Duration = Duration::from_secs(30);

/// Height, width and element type of the source's first frame; for an array, also its layout in the store.
pub(super) async fn probe(State(worker): State<Arc<Worker>>, Json(request): Json<ProbeRequest>) -> Result<Json<Probed>, Problem> {
    let source = worker.source(&request.source, source::Options { max_bytes: MAX_FRAME_BYTES, ..source::Options::default() })?;
    let access = worker.environment.access()?;
    let context = ProbeContext { client: &source, access: &access, compute: &worker.compute };
    let probed = tokio::time::timeout(PROBE_TIMEOUT, probe::describe(&context, &request.source, request.frames)).await;
    let probed = probed.map_err(|_| {
        let why = source.last_error().unwrap_or_else(|| "the source is too slow".into());
        let seconds = PROBE_TIMEOUT.as_secs();
        let (what, advice) = match request.source {
            Source::Images(_) => ("frame 0", "; set source.frame: {height, width, dtype} to start without this fetch"),
            Source::Zarr(_) => ("the array's metadata", ""),
        };
        Problem::unprocessable(format!("cannot fetch {what} within {seconds} s: {why}{advice}"), reason::SOURCE_UNAVAILABLE)
    })??;
    Ok(Json(probed))
}

#[derive(Debug, Deserialize)]
pub(super) struct PeekQuery {
    #[serde(default = "png")]
    format: String,
}

fn png() -> String {
    "png".into()
}

/// Frame `index` as the source has it now.
pub(super) async fn peek(
    State(worker): State<Arc<Worker>>,
    Path(index): Path<usize>,
    Query(query): Query<PeekQuery>,
) -> Result<Response, Problem> {
    let format: Format =
        query.format.parse().map_err(|error: formats::encode::Error| Problem::new(StatusCode::BAD_REQUEST, error.to_string()))?;
    let share = worker.share().ok_or_else(Problem::idle)?;
    let access = worker.environment.access()?;
    let context = ProbeContext { client: &share.source, access: &access, compute: &worker.compute };
    let fetched = tokio::time::timeout(PEEK_TIMEOUT, async {
        // Fails only if the semaphore is closed, which never happens.
        let permit = worker.peeking.acquire().await;
        (permit, probe::fetch(&context, &share.job.source, share.job.frames, index).await)
    });
    let late = |_| {
        let why = share.source.last_error().unwrap_or_else(|| "the source is slow or busy".into());
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, format!("cannot fetch frame {index} now: {why}; try again"))
    };
    let (permit, frame) = fetched.await.map_err(late)?;
    let frame = frame?;
    let spec = share.plan.partition.frame;
    let encoded = tokio::task::spawn_blocking(move || {
        let (spec, pixels) = frame.pixels(Some(spec))?;
        let array = ArrayRef { element: spec.dtype.into(), shape: &[spec.height, spec.width], data: &pixels };
        encode(&array, format).map_err(|error| Problem::new(StatusCode::BAD_REQUEST, chain(&error)))
    })
    .await;
    drop(permit);
    let bytes = encoded.map_err(|error| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))??;
    Ok(([(header::CONTENT_TYPE, format.content_type())], bytes).into_response())
}
