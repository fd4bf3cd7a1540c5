//! The mean of the frames loaded so far, reduced in size.

use super::blocks::current;
use super::extract::{Path, Query};
use super::problem::Problem;
use super::request_cache::RequestCache;
use crate::share::{FrameKind, PartialSum, Share};
use crate::worker::Worker;
use api::geometry::FrameSpec;
use api::plan::ServerId;
use api::wire::route;
use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use futures_util::StreamExt as _;
use journal::packed;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// The media type of a preview.
pub(super) const PREVIEW: &str = "application/vnd.arrayjob.preview";
/// Timeout of a peer. Servers slower than the timeout are omitted.
const PEER_TIMEOUT: Duration = Duration::from_secs(2);
/// Concurrent requests to peers.
const CONCURRENT_REQUESTS: usize = 16;
/// Default longest edge, in pixels.
const DEFAULT_EDGE: usize = 512;
/// Smallest value of the longest edge, in pixels.
const MIN_EDGE: usize = 16;
/// Largest value of the longest edge, in pixels: each compute thread copies this many sums, and the plan counts little memory for the copies.
const MAX_EDGE: usize = 512;

#[derive(Debug, Deserialize)]
pub(super) struct PreviewQuery {
    edge: Option<usize>,
}

#[derive(Debug, Deserialize)]
pub(super) struct OwnQuery {
    array: String,
    stride: usize,
}

/// The line of JSON in front of the pixels. `shape` is of the full frame, `shown` of the preview: (y, x).
#[derive(Debug, Serialize)]
struct Header<'a> {
    array: &'a str,
    frames: u64,
    of: usize,
    shape: [usize; 2],
    stride: usize,
    shown: [usize; 2],
}

/// The summed frames of that name, and the specification of one frame.
fn summed_frames(share: &Share, array: &str) -> Result<(FrameKind, FrameSpec), Problem> {
    let not_found = |why: String| Problem::new(StatusCode::NOT_FOUND, why);
    if !share.ops.sum {
        return Err(not_found(format!("there are no sums of {array}: 'reduce' has no mean")));
    }
    match array {
        "raw" => Ok((FrameKind::Raw, share.plan.partition.frame)),
        "recentered" if share.job.recenter.is_some() => Ok((FrameKind::Recentered, share.plan.partition.stack)),
        _ => Err(not_found(format!("there is no preview of {array}: use raw, or recentered if the job recenters"))),
    }
}

/// This server's sums so far, for a peer: the number of frames as uint64, then every `stride`-th pixel along both axes as float64; little
/// endian.
pub(super) async fn own(
    State(worker): State<Arc<Worker>>,
    Extension(cache): Extension<Arc<RequestCache>>,
    Query(OwnQuery { array, stride }): Query<OwnQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let share = current(&worker, &headers)?;
    let (kind, spec) = summed_frames(&share, &array)?;
    let (rows, columns) = (spec.height.div_ceil(stride.max(1)), spec.width.div_ceil(stride.max(1)));
    if rows > MAX_EDGE || columns > MAX_EDGE {
        return Err(Problem::new(StatusCode::BAD_REQUEST, format!("a stride of {stride} gives an edge of more than {MAX_EDGE} pixels")));
    }
    let key = cache_key(&worker, &share, &format!("own {array} {stride}"));
    let bytes = cache.get(key, async { to_bytes(&share.partial_sum(kind, stride).await) }).await;
    Ok(bytes.into_response())
}

/// The mean of all frames of the job that are loaded so far.
pub(super) async fn preview(
    State(worker): State<Arc<Worker>>,
    Extension(cache): Extension<Arc<RequestCache>>,
    Path(array): Path<String>,
    Query(PreviewQuery { edge }): Query<PreviewQuery>,
) -> Result<Response, Problem> {
    let share = worker.share().ok_or_else(Problem::idle)?;
    let (kind, spec) = summed_frames(&share, &array)?;
    let edge = edge.unwrap_or(DEFAULT_EDGE).clamp(MIN_EDGE, MAX_EDGE);
    let stride = spec.height.max(spec.width).div_ceil(edge).max(1);
    let key = cache_key(&worker, &share, &format!("{array} {stride}"));
    let bytes = cache.get(key, mean(&worker, &share, &array, kind, spec, stride)).await;
    Ok(([(header::CONTENT_TYPE, PREVIEW)], bytes).into_response())
}

/// A cache key of `request` that is unique to the job, its generation and this start of the server.
pub(super) fn cache_key(worker: &Worker, share: &Share, request: &str) -> String {
    format!("{} {} {} {request}", share.job.uid, share.job.generation, worker.boot.0)
}

async fn mean(worker: &Worker, share: &Share, array: &str, kind: FrameKind, spec: FrameSpec, stride: usize) -> Vec<u8> {
    let shown = [spec.height.div_ceil(stride), spec.width.div_ceil(stride)];
    let pixels = shown[0] * shown[1];
    let path = format!("{}?array={array}&stride={stride}", route::PREVIEW);
    let parts = share.plan.ids().filter(|&id| !share.plan.frames_of(id).is_empty()).map(|id| {
        let path = &path;
        async move {
            if id == share.id {
                return Some(share.partial_sum(kind, stride).await);
            }
            from_bytes(&request(worker, share, id, path, PEER_TIMEOUT).await?)
        }
    });
    let mut all = PartialSum { frames: 0, sums: vec![0.0; pixels] };
    let mut parts = std::pin::pin!(futures_util::stream::iter(parts).buffer_unordered(CONCURRENT_REQUESTS));
    while let Some(part) = parts.next().await {
        // A server without a loaded frame has no sums.
        if let Some(part) = part.filter(|part| part.frames > 0 && part.sums.len() == pixels) {
            all.add(&part);
        }
    }
    let header = Header { array, frames: all.frames, of: share.plan.partition.frames, shape: [spec.height, spec.width], stride, shown };
    let mut bytes = packed(&header, pixels * 4);
    // Without frames, 0 / 0 is NaN.
    all.sums.iter().for_each(|sum| bytes.extend_from_slice(&((sum / all.frames as f64) as f32).to_le_bytes()));
    bytes
}

/// The body of server `id`'s response to `path`, if it arrives within `timeout`.
pub(super) async fn request(worker: &Worker, share: &Share, id: ServerId, path: &str, timeout: Duration) -> Option<bytes::Bytes> {
    let peer = share.peer(id)?;
    let body = async { worker.client.get(share.job_ref(), &peer, path).await.ok()?.bytes().await.ok() };
    tokio::time::timeout(timeout, body).await.ok().flatten()
}

fn to_bytes(partial: &PartialSum) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(8 + partial.sums.len() * 8);
    bytes.extend_from_slice(&partial.frames.to_le_bytes());
    partial.sums.iter().for_each(|sum| bytes.extend_from_slice(&sum.to_le_bytes()));
    bytes
}

fn from_bytes(bytes: &[u8]) -> Option<PartialSum> {
    let ([frames, sums @ ..], []) = bytes.as_chunks::<8>() else { return None };
    Some(PartialSum { frames: u64::from_le_bytes(*frames), sums: sums.iter().map(|sum| f64::from_le_bytes(*sum)).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_survive_the_wire_unchanged() {
        let partial = PartialSum { frames: 3, sums: vec![1.5, 2.0] };
        assert_eq!(from_bytes(&to_bytes(&partial)), Some(partial));
        assert_eq!(from_bytes(b"1234567"), None);
        assert_eq!(from_bytes(b""), None);
    }
}
