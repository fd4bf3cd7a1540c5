//! Slices of arrays, in a format that the reader chooses.

use super::problem::Problem;
use crate::results::{Deadline, Gathered, READER_TIMEOUT, read};
use crate::share::{Share, with_permit};
use crate::worker::Worker;
use api::selection::{Item, parse_items};
use api::words::chain;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use formats::encode::{self, ArrayRef, Format};
use serde::Deserialize;
use std::sync::Arc;

#[derive(Debug, Deserialize)]
pub(super) struct SliceQuery {
    #[serde(default)]
    sel: String,
    #[serde(default = "npy")]
    format: String,
}

fn npy() -> String {
    "npy".into()
}

/// A slice of an array.
pub(super) async fn slice(
    State(worker): State<Arc<Worker>>,
    Path(array): Path<String>,
    Query(query): Query<SliceQuery>,
) -> Result<Response, Problem> {
    let share = worker.share().ok_or_else(Problem::idle)?;
    let format: Format = query.format.parse().map_err(|error: encode::Error| Problem::new(StatusCode::BAD_REQUEST, error.to_string()))?;
    let items = parse_items(&query.sel).map_err(|error| Problem::new(StatusCode::BAD_REQUEST, error.to_string()))?;
    let gathered = gather(&worker, &share, &array, &items).await?;
    encoded(gathered, format).await
}

/// The selected elements. Waits at most [`READER_TIMEOUT`] for elements that are not computed yet.
pub(super) async fn gather(worker: &Worker, share: &Arc<Share>, array: &str, items: &[Item]) -> Result<Gathered, Problem> {
    let reading = read(&worker.client, share, array, items, Deadline::after(READER_TIMEOUT));
    Ok(worker.unless_replaced(share, reading).await.ok_or_else(Problem::replaced)??)
}

/// A response with the elements in the given format.
pub(super) async fn encoded(gathered: Gathered, format: Format) -> Result<Response, Problem> {
    let Gathered { element, shape, data, permit } = gathered;
    let encoded = tokio::task::spawn_blocking(move || encode::encode(&ArrayRef { element, shape: &shape, data: &data }, format)).await;
    match encoded {
        Ok(Ok(bytes)) => Ok(([(header::CONTENT_TYPE, format.content_type())], with_permit(bytes, permit)).into_response()),
        Ok(Err(error)) => Err(Problem::new(StatusCode::BAD_REQUEST, chain(&error))),
        Err(error) => Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())),
    }
}
