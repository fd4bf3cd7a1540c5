//! The mean of the frames that are there so far, small enough to be looked at again and again.

use super::blocks::current;
use super::gathered::Gathered;
use super::problem::Problem;
use crate::share::{Partial, Share, Stack};
use crate::worker::Worker;
use api::geometry::FrameSpec;
use api::plan::ServerId;
use api::wire::route;
use axum::Extension;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use futures_util::StreamExt as _;
use journal::packed;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// Its media type.
pub(super) const PREVIEW: &str = "application/vnd.arrayjob.preview";
/// Of a server that has not told by then, nothing is shown.
const PATIENCE: Duration = Duration::from_secs(2);
/// Servers asked at a time.
const ASKED_AT_A_TIME: usize = 16;
/// An edge has so many pixels when nothing is said.
const EDGE: usize = 512;
/// An edge may have so few.
const SHORTEST: usize = 16;
/// An edge may have so many: a compute thread copies as much, and the plan has memory for little more.
const LONGEST: usize = 512;

#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    edge: Option<usize>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Part {
    array: String,
    stride: usize,
}

/// The line in front of the pixels.
#[derive(Debug, Serialize)]
struct Header<'a> {
    array: &'a str,
    frames: u64,
    of: usize,
    shape: [usize; 2],
    stride: usize,
    shown: [usize; 2],
}

/// The frames of that name, and what one of them is.
fn stack(share: &Share, array: &str) -> Result<(Stack, FrameSpec), Problem> {
    let nothing = |why: String| Problem::new(StatusCode::NOT_FOUND, why);
    if !share.ops.sum {
        return Err(nothing(format!("nothing is summed of {array}: 'reduce' has no mean")));
    }
    match array {
        "raw" => Ok((Stack::Raw, share.plan.partition.frame)),
        "recentered" if share.job.recenter.is_some() => Ok((Stack::Recentered, share.plan.partition.stack)),
        _ => Err(nothing(format!("there is no preview of {array}, but of raw, and of recentered where there is that phase"))),
    }
}

/// Every so many-th pixel of this server's sums so far, for a peer: the number of frames, then float64.
pub(super) async fn own(
    State(worker): State<Arc<Worker>>,
    Extension(gathered): Extension<Arc<Gathered>>,
    Query(Part { array, stride }): Query<Part>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let share = current(&worker, &headers)?;
    let (stack, spec) = stack(&share, &array)?;
    let (rows, columns) = (spec.height.div_ceil(stride.max(1)), spec.width.div_ceil(stride.max(1)));
    if rows > LONGEST || columns > LONGEST {
        return Err(Problem::new(StatusCode::BAD_REQUEST, format!("every {stride}th pixel is more than an edge of {LONGEST}")));
    }
    let question = question(&worker, &share, &format!("own {array} {stride}"));
    let bytes = gathered.get(question, async { to_bytes(&share.so_far(stack, stride).await) }).await;
    Ok(bytes.into_response())
}

/// The mean of all frames of the job that are there so far.
pub(super) async fn preview(
    State(worker): State<Arc<Worker>>,
    Extension(gathered): Extension<Arc<Gathered>>,
    Path(array): Path<String>,
    Query(Wanted { edge }): Query<Wanted>,
) -> Result<Response, Problem> {
    let share = worker.share().ok_or_else(Problem::idle)?;
    let (stack, spec) = stack(&share, &array)?;
    let edge = edge.unwrap_or(EDGE).clamp(SHORTEST, LONGEST);
    let stride = spec.height.max(spec.width).div_ceil(edge).max(1);
    let question = question(&worker, &share, &format!("{array} {stride}"));
    let bytes = gathered.get(question, mean(&worker, &share, &array, stack, spec, stride)).await;
    Ok(([(header::CONTENT_TYPE, PREVIEW)], bytes).into_response())
}

/// What is asked, of this job alone.
pub(super) fn question(worker: &Worker, share: &Share, what: &str) -> String {
    format!("{} {} {} {what}", share.job.uid, share.job.generation, worker.boot.0)
}

async fn mean(worker: &Worker, share: &Share, array: &str, stack: Stack, spec: FrameSpec, stride: usize) -> Vec<u8> {
    let shown = [spec.height.div_ceil(stride), spec.width.div_ceil(stride)];
    let pixels = shown[0] * shown[1];
    let path = format!("{}?array={array}&stride={stride}", route::PREVIEW);
    let parts = share.plan.ids().filter(|&id| !share.plan.frames_of(id).is_empty()).map(|id| {
        let path = &path;
        async move {
            if id == share.id {
                return Some(share.so_far(stack, stride).await);
            }
            from_bytes(&ask(worker, share, id, path, PATIENCE).await?)
        }
    });
    let mut all = Partial { frames: 0, sums: vec![0.0; pixels] };
    let mut parts = std::pin::pin!(futures_util::stream::iter(parts).buffer_unordered(ASKED_AT_A_TIME));
    while let Some(part) = parts.next().await {
        // A server whose first frame is not there yet has no sums.
        if let Some(part) = part.filter(|part| part.frames > 0 && part.sums.len() == pixels) {
            all.add(&part);
        }
    }
    let header = Header { array, frames: all.frames, of: share.plan.partition.frames, shape: [spec.height, spec.width], stride, shown };
    let mut bytes = packed(&header, pixels * 4);
    // Of no frames, 0 / 0 is what it should be.
    all.sums.iter().for_each(|sum| bytes.extend_from_slice(&((sum / all.frames as f64) as f32).to_le_bytes()));
    bytes
}

/// What server `id` answers within `patience`.
pub(super) async fn ask(worker: &Worker, share: &Share, id: ServerId, path: &str, patience: Duration) -> Option<bytes::Bytes> {
    let peer = share.peer(id)?;
    let answer = async { worker.client.get(share.job_ref(), &peer, path).await.ok()?.bytes().await.ok() };
    tokio::time::timeout(patience, answer).await.ok().flatten()
}

fn to_bytes(partial: &Partial) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(8 + partial.sums.len() * 8);
    bytes.extend_from_slice(&partial.frames.to_le_bytes());
    partial.sums.iter().for_each(|sum| bytes.extend_from_slice(&sum.to_le_bytes()));
    bytes
}

fn from_bytes(bytes: &[u8]) -> Option<Partial> {
    let ([frames, sums @ ..], []) = bytes.as_chunks::<8>() else { return None };
    Some(Partial { frames: u64::from_le_bytes(*frames), sums: sums.iter().map(|sum| f64::from_le_bytes(*sum)).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_cross_the_wire_as_they_are() {
        let partial = Partial { frames: 3, sums: vec![1.5, 2.0] };
        assert_eq!(from_bytes(&to_bytes(&partial)), Some(partial));
        assert_eq!(from_bytes(b"1234567"), None);
        assert_eq!(from_bytes(b""), None);
    }
}
