//! What readers ask for: slices in a format of their choice, and the job as it stands.

use super::problem::Problem;
use crate::encode::{self, ArrayRef, Format};
use crate::results::{PATIENCE, Patience, read_patiently};
use crate::worker::{Worker, chain};
use api::selection::parse_items;
use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

#[derive(Debug, Deserialize)]
pub(super) struct Slice {
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
    Query(slice): Query<Slice>,
) -> Result<Response, Problem> {
    let share = worker.share().ok_or_else(Problem::idle)?;
    let format: Format = slice.format.parse().map_err(|error: encode::Error| Problem::new(StatusCode::BAD_REQUEST, error.to_string()))?;
    let items = parse_items(&slice.sel).map_err(|error| Problem::new(StatusCode::BAD_REQUEST, error.to_string()))?;
    let reading = read_patiently(&worker.client, &share, &array, &items, Patience::of(PATIENCE));
    let gathered = worker.unless_replaced(&share, reading).await.ok_or_else(Problem::replaced)??;
    let encoded = tokio::task::spawn_blocking(move || {
        encode::encode(&ArrayRef { element: gathered.element, shape: &gathered.shape, data: &gathered.data }, format)
    })
    .await;
    match encoded {
        Ok(Ok(bytes)) => Ok(([(header::CONTENT_TYPE, format.content_type())], bytes).into_response()),
        Ok(Err(error)) => Err(Problem::new(StatusCode::BAD_REQUEST, chain(&error))),
        Err(error) => Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())),
    }
}

/// The job, its arrays, and how far this server is.
pub(super) async fn status(State(worker): State<Arc<Worker>>) -> Result<Json<Value>, Problem> {
    let share = worker.share().ok_or_else(Problem::idle)?;
    let arrays: Vec<Value> = share
        .arrays
        .iter()
        .map(|array| json!({"name": array.name, "shape": array.shape, "dtype": array.element.name(), "axes": array.axes}))
        .collect();
    Ok(Json(
        json!({"job": share.job.name, "servers": share.plan.servers, "server": share.id, "chunks": share.plan.chunks, "arrays": arrays, "progress": worker.progress()}),
    ))
}
