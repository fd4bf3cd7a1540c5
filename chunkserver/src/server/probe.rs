//! Frames straight from the source: the first one's shape for the operator, before there is a plan; any one for readers.

use super::problem::Problem;
use crate::probe::{self, MOST_FRAME_BYTES, Means};
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

/// The longest that the first frame may take, retries included: less than the operator waits.
const PROBE_PATIENCE: Duration = Duration::from_secs(75);
/// The longest that a person waits for a frame.
const PEEK_PATIENCE: Duration = Duration::from_secs(30);

/// Height, width and element type of the source's first frame; of an array, how it lies in its store, too.
pub(super) async fn probe(State(worker): State<Arc<Worker>>, Json(ask): Json<ProbeRequest>) -> Result<Json<Probed>, Problem> {
    let source = worker.source(&ask.source, source::Options { max_bytes: MOST_FRAME_BYTES, ..source::Options::default() })?;
    let access = worker.environment.access()?;
    let means = Means { client: &source, access: &access, compute: &worker.compute };
    let looked = tokio::time::timeout(PROBE_PATIENCE, probe::look(&means, &ask.source, ask.frames)).await;
    let probed = looked.map_err(|_| {
        let why = source.last_error().unwrap_or_else(|| "it sends too slowly".into());
        let seconds = PROBE_PATIENCE.as_secs();
        let (what, advice) = match ask.source {
            Source::Images(_) => ("frame 0", "; set source.frame: {height, width, dtype}, and no frame is fetched beforehand"),
            Source::Zarr(_) => ("the array's metadata", ""),
        };
        Problem::unprocessable(format!("{what} could not be had within {seconds} s: {why}{advice}"), reason::SOURCE_UNAVAILABLE)
    })??;
    Ok(Json(probed))
}

#[derive(Debug, Deserialize)]
pub(super) struct Peek {
    #[serde(default = "png")]
    format: String,
}

fn png() -> String {
    "png".into()
}

/// Frame `index` as the source has it now, whether it is kept or not.
pub(super) async fn peek(
    State(worker): State<Arc<Worker>>,
    Path(index): Path<usize>,
    Query(peek): Query<Peek>,
) -> Result<Response, Problem> {
    let format: Format =
        peek.format.parse().map_err(|error: formats::encode::Error| Problem::new(StatusCode::BAD_REQUEST, error.to_string()))?;
    let share = worker.share().ok_or_else(Problem::idle)?;
    let access = worker.environment.access()?;
    let means = Means { client: &share.source, access: &access, compute: &worker.compute };
    let fetched = tokio::time::timeout(PEEK_PATIENCE, async {
        // It fails only when closed, which nobody does.
        let turn = worker.peeking.acquire().await;
        (turn, probe::fetch(&means, &share.job.source, share.job.frames, index).await)
    });
    let late = |_| {
        let why = share.source.last_error().unwrap_or_else(|| "the source is slow or busy".into());
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, format!("frame {index} is not there yet: {why}; try again"))
    };
    let (turn, response) = fetched.await.map_err(late)?;
    let response = response?;
    let spec = share.plan.partition.frame;
    let encoded = tokio::task::spawn_blocking(move || {
        let (spec, pixels) = response.pixels(Some(spec))?;
        let array = ArrayRef { element: spec.dtype.into(), shape: &[spec.height, spec.width], data: &pixels };
        encode(&array, format).map_err(|error| Problem::new(StatusCode::BAD_REQUEST, chain(&error)))
    })
    .await;
    drop(turn);
    let bytes = encoded.map_err(|error| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))??;
    Ok(([(header::CONTENT_TYPE, format.content_type())], bytes).into_response())
}
