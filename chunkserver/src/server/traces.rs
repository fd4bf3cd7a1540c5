//! What is known of each frame so far: one number a frame and column.

use super::blocks::current;
use super::gathered::Gathered;
use super::preview::{ask, question};
use super::problem::Problem;
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

/// Its media type.
pub(super) const TRACES: &str = "application/vnd.arrayjob.traces";
/// Of a server that has not told by then, nothing is known.
const PATIENCE: Duration = Duration::from_secs(1);
/// Servers asked at a time.
const ASKED_AT_A_TIME: usize = 64;

/// A column, and what it says of a frame.
type Column = (&'static str, fn(&FrameNotes) -> f32);

/// The line in front of the columns.
#[derive(Debug, Serialize)]
struct Header {
    frames: usize,
    known: usize,
    columns: Vec<&'static str>,
}

/// The columns that the job has.
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

/// One byte for each own frame, whether it is known, then its columns one after another.
fn of_own_frames(share: &Share) -> Vec<u8> {
    let notes = share.notes.lock().unwrap_or_else(PoisonError::into_inner);
    let known = notes.iter().map(|note| u8::from(note.is_some()));
    let columns = columns(share);
    let values = columns.iter().flat_map(|(_, value)| notes.iter().flat_map(|note| note.as_ref().map_or(f32::NAN, *value).to_le_bytes()));
    known.chain(values).collect()
}

/// What this server knows of its frames, for a peer.
pub(super) async fn own(State(worker): State<Arc<Worker>>, headers: HeaderMap) -> Result<Vec<u8>, Problem> {
    Ok(of_own_frames(&*current(&worker, &headers)?))
}

/// What all servers know of their frames.
pub(super) async fn traces(State(worker): State<Arc<Worker>>, Extension(gathered): Extension<Arc<Gathered>>) -> Result<Response, Problem> {
    let share = worker.share().ok_or_else(Problem::idle)?;
    let bytes = gathered.get(question(&worker, &share, "traces"), all(&worker, &share)).await;
    Ok(([(header::CONTENT_TYPE, TRACES)], bytes).into_response())
}

async fn all(worker: &Worker, share: &Share) -> Vec<u8> {
    let columns = columns(share);
    let frames = share.plan.partition.frames;
    let mut known = 0;
    let mut values = vec![f32::NAN; columns.len() * frames];
    let parts = share.plan.ids().map(|id| async move {
        let part = if id == share.id { Some(of_own_frames(share).into()) } else { ask(worker, share, id, route::TRACES, PATIENCE).await };
        (share.plan.frames_of(id), part)
    });
    let mut parts = std::pin::pin!(futures_util::stream::iter(parts).buffer_unordered(ASKED_AT_A_TIME));
    while let Some((own, part)) = parts.next().await {
        let Some(part) = part.filter(|part| part.len() == own.len() * (1 + 4 * columns.len())) else { continue };
        let (noted, told) = part.split_at(own.len());
        known += noted.iter().filter(|&&noted| noted != 0).count();
        let (told, _) = told.as_chunks::<4>();
        for (column, told) in told.chunks(own.len().max(1)).enumerate() {
            let place = &mut values[column * frames..][own.clone()];
            place.iter_mut().zip(told).for_each(|(place, told)| *place = f32::from_le_bytes(*told));
        }
    }
    let mut bytes = packed(&Header { frames, known, columns: columns.iter().map(|(name, _)| *name).collect() }, values.len() * 4);
    values.iter().for_each(|value| bytes.extend_from_slice(&value.to_le_bytes()));
    bytes
}
