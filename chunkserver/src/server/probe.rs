//! Frames directly from the source: the shape of the first frame for the operator, before the plan exists, and any frame for readers.

use super::extract::{self, Path, Query};
use super::problem::Problem;
use crate::probe::{self, ProbeContext, most_frame_bytes};
use crate::source;
use crate::worker::Worker;
use api::geometry::{FrameSpec, human_bytes};
use api::job::Source;
use api::phase::reason;
use api::wire::{ProbeRequest, Probed};
use api::words::chain;
use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use formats::encode::{ArrayRef, Format, encode};
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;

/// Timeout of a probe, including retries: shorter than the timeout of the operator.
const PROBE_TIMEOUT: Duration = Duration::from_secs(75);
/// Bytes of a response to a peek beyond its pixels.
const HEADER_BYTES: u64 = 1 << 20;
/// Timeout of a reader's request for a frame.
const PEEK_TIMEOUT: Duration = Duration::from_secs(30);

/// Height, width and element type of the source's first frame; for an array, also its layout in the store.
pub(super) async fn probe(
    State(worker): State<Arc<Worker>>,
    extract::Json(request): extract::Json<ProbeRequest>,
) -> Result<Json<Probed>, Problem> {
    let source = worker.source(&request.source, source::Options { max_bytes: most_frame_bytes(), ..source::Options::default() })?;
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

/// Memory of a peek, in bytes.
struct PeekMemory {
    /// Most bytes of the response.
    body: u64,
    /// The response, the frame, and the frame in the reader's format.
    all: u64,
}

impl PeekMemory {
    /// All of it fits `budget`, the memory for readers. The body may be a frame in color that does not compress, if memory permits.
    fn of(frame: FrameSpec, format: Format, budget: u64) -> Result<Self, Problem> {
        let (pixels, bytes) = (frame.pixels() as u64, frame.bytes() as u64);
        let decoded = bytes.saturating_add(format.scratch_bytes(frame.dtype.into(), pixels, pixels));
        let body = bytes.saturating_mul(4).saturating_add(HEADER_BYTES).min(budget.saturating_sub(decoded));
        if body < bytes {
            let needed = decoded.saturating_add(bytes);
            let advice = if format == Format::Raw { "" } else { "; format=raw needs the least" };
            return Err(Problem::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                format!(
                    "the frame needs {} of this server's memory for readers, which is {}{advice}",
                    human_bytes(needed),
                    human_bytes(budget)
                ),
            ));
        }
        Ok(Self { body, all: decoded + body })
    }
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
    let spec = share.plan.partition.frame;
    let needs = PeekMemory::of(spec, format, share.memory_budget.bytes())?;
    let source = share.source.at_most(needs.body);
    let context = ProbeContext { client: &source, ..context };
    let fetched = tokio::time::timeout(PEEK_TIMEOUT, async {
        // Fails only if the semaphore is closed, which never happens.
        let permit = worker.peeking.acquire().await;
        let memory = share.memory_budget.acquire(needs.all).await;
        ((permit, memory), probe::fetch(&context, &share.job.source, share.job.frames, index).await)
    });
    let late = |_| {
        let why = share.source.last_error().unwrap_or_else(|| "the source is slow or busy".into());
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, format!("cannot fetch frame {index} now: {why}; try again"))
    };
    let (permit, frame) = fetched.await.map_err(late)?;
    let frame = frame?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use api::geometry::Dtype;

    #[test]
    fn a_peek_fits_the_memory_for_readers_or_is_refused() {
        let of = |edge, budget| PeekMemory::of(FrameSpec { height: edge, width: edge, dtype: Dtype::Uint8 }, Format::Png, budget);
        let small = of(100, 64 << 20).unwrap();
        assert_eq!(small.body, 40_000 + HEADER_BYTES);
        let large = of(3600, 64 << 20).unwrap();
        assert!(large.all <= 64 << 20 && large.body < 4 * 3600 * 3600, "{} bytes", large.body);
        let Err(refused) = of(8000, 64 << 20) else { panic!("a frame of 61 MiB in 64 MiB") };
        let response = refused.into_response();
        assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    }
}
