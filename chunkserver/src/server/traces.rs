//! Values of each frame loaded so far: one float32 per frame and column.

use super::blocks::current;
use super::preview::{cache_key, request};
use super::problem::Problem;
use super::request_cache::RequestCache;
use crate::share::{FrameNotes, Share};
use crate::worker::Worker;
use api::wire::route;
use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse as _, Response};
use futures_util::StreamExt as _;
use journal::packed;
use serde::Serialize;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// The media type of traces.
pub(super) const TRACES: &str = "application/vnd.arrayjob.traces";
/// Timeout of a peer. Servers slower than the timeout are omitted.
const PEER_TIMEOUT: Duration = Duration::from_secs(1);
/// Concurrent requests to peers.
const CONCURRENT_REQUESTS: usize = 64;

/// The name of a column, and the column's value of a frame.
type Column = (&'static str, fn(&FrameNotes) -> f32);

/// The line of JSON in front of the columns. `known` is the number of frames with values.
#[derive(Debug, Serialize)]
struct Header {
    frames: usize,
    known: usize,
    columns: Vec<&'static str>,
}

/// The columns of the job.
fn columns(share: &Share) -> Vec<Column> {
    let mut columns: Vec<Column> = Vec::new();
    if share.ops.sum {
        columns.push(("raw_mean", |note| note.raw.mean() as f32));
    }
    if share.job.recenter.is_some() {
        if share.ops.sum {
            columns.push(("recentered_mean", |note| note.crop.map_or(f32::NAN, |crop| crop.mean() as f32)));
        }
        columns.push(("centroid_y", |note| note.centroid[0] as f32));
        columns.push(("centroid_x", |note| note.centroid[1] as f32));
    }
    columns
}

/// One byte for each of this server's frames, 1 if the frame has values, then the columns as float32, little endian.
fn own_values(share: &Share) -> Vec<u8> {
    let notes = share.notes.lock().unwrap_or_else(PoisonError::into_inner);
    let known = notes.iter().map(|note| u8::from(note.is_some()));
    let columns = columns(share);
    let values = columns.iter().flat_map(|(_, value)| notes.iter().flat_map(|note| note.as_ref().map_or(f32::NAN, *value).to_le_bytes()));
    known.chain(values).collect()
}

/// The values of this server's frames, for a peer.
pub(super) async fn own(State(worker): State<Arc<Worker>>, headers: HeaderMap) -> Result<Vec<u8>, Problem> {
    Ok(own_values(&*current(&worker, &headers)?))
}

/// The values of all servers' frames.
pub(super) async fn traces(State(worker): State<Arc<Worker>>, Extension(cache): Extension<Arc<RequestCache>>) -> Result<Response, Problem> {
    let share = worker.share().ok_or_else(Problem::idle)?;
    let bytes = cache.get(cache_key(&worker, &share, "traces"), all(&worker, &share)).await;
    Ok(([(header::CONTENT_TYPE, TRACES)], bytes).into_response())
}

async fn all(worker: &Worker, share: &Share) -> Vec<u8> {
    let columns = columns(share);
    let frames = share.plan.partition.frames;
    let mut known = 0;
    let mut values = vec![f32::NAN; columns.len() * frames];
    let parts = share.plan.ids().map(|id| async move {
        let part =
            if id == share.id { Some(own_values(share).into()) } else { request(worker, share, id, route::TRACES, PEER_TIMEOUT).await };
        (share.plan.frames_of(id), part)
    });
    let mut parts = std::pin::pin!(futures_util::stream::iter(parts).buffer_unordered(CONCURRENT_REQUESTS));
    while let Some((own, part)) = parts.next().await {
        let Some(part) = part.filter(|part| part.len() == own.len() * (1 + 4 * columns.len())) else { continue };
        let (flags, received) = part.split_at(own.len());
        known += flags.iter().filter(|&&flag| flag != 0).count();
        let (received, _) = received.as_chunks::<4>();
        for (column, received) in received.chunks(own.len().max(1)).enumerate() {
            let target = &mut values[column * frames..][own.clone()];
            target.iter_mut().zip(received).for_each(|(target, value)| *target = f32::from_le_bytes(*value));
        }
    }
    let mut bytes = packed(&Header { frames, known, columns: columns.iter().map(|(name, _)| *name).collect() }, values.len() * 4);
    values.iter().for_each(|value| bytes.extend_from_slice(&value.to_le_bytes()));
    bytes
}
