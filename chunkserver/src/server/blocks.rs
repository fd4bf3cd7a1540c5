//! Routes for peers: blocks, parts of selections, and sums. Each request names the job, its generation and the boot id of the receiver.

use super::problem::Problem;
use crate::exchange::own_block;
use crate::results::{self, Cube, Region};
use crate::share::Share;
use crate::worker::Worker;
use api::geometry::cut;
use api::selection::Axis;
use api::wire::{BOOT_HEADER, GENERATION_HEADER, UID_HEADER};
use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use formats::aspect::Aspect;
use futures_util::StreamExt as _;
use serde::Deserialize;
use std::io;
use std::sync::Arc;

/// Bytes of a block that are cut at a time: large enough for few iterations, small enough for the cache.
const PIECE_BYTES: usize = 1 << 20;

/// The current share, if the request names it.
pub(super) fn current(worker: &Worker, headers: &HeaderMap) -> Result<Arc<Share>, Problem> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let stale = |what: &str| Problem::new(StatusCode::CONFLICT, format!("the {what} of the request is not the one of this server"));
    if text(BOOT_HEADER) != worker.boot.0 {
        return Err(stale("boot id"));
    }
    let share = worker.share().ok_or_else(|| stale("job (none)"))?;
    if text(UID_HEADER) != share.job.uid {
        return Err(stale("job"));
    }
    if text(GENERATION_HEADER).parse() != Ok(share.job.generation) {
        return Err(stale("generation"));
    }
    Ok(share)
}

#[derive(Debug, Deserialize)]
pub(super) struct BandQuery {
    band: usize,
}

/// This server's block of a band, (t, pixel) in C order, sent as frames become ready.
pub(super) async fn block(
    State(worker): State<Arc<Worker>>,
    Query(BandQuery { band }): Query<BandQuery>,
    headers: HeaderMap,
) -> Result<Body, Problem> {
    let share = current(&worker, &headers)?;
    if band >= share.plan.bands() {
        return Err(Problem::new(StatusCode::NOT_FOUND, format!("there is no band {band}")));
    }
    let row = share.plan.band(band).len() * share.plan.partition.stack.dtype.size();
    let pieces = cut(share.frames().len(), (PIECE_BYTES / row.max(1)).max(1));
    let stream = futures_util::stream::iter(pieces).then(move |frames| {
        let share = Arc::clone(&share);
        async move {
            share.stack.until_ready(frames.clone()).await;
            let piece = tokio::task::spawn_blocking(move || own_block(&share, band, frames)).await;
            piece.ok().flatten().map(Bytes::from).ok_or_else(|| io::Error::other("the frames are no longer in memory"))
        }
    });
    Ok(Body::from_stream(stream))
}

#[derive(Debug, Deserialize)]
pub(super) struct PartQuery {
    array: String,
    t: String,
    y: String,
    x: String,
    /// `ct,cy,cx`: the padded shape. Default: the counts of the axes.
    shape: Option<String>,
    /// The value, the magnitude or the phase of each element. Default: the value.
    aspect: Option<String>,
}

/// This server's part of a region.
pub(super) async fn part(State(worker): State<Arc<Worker>>, Query(part): Query<PartQuery>, headers: HeaderMap) -> Result<Bytes, Problem> {
    let share = current(&worker, &headers)?;
    let array = share.array(&part.array).filter(|array| array.shape.len() == 3);
    let array = array.ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, format!("there is no array {} with three axes", part.array)))?;
    let axis = |text: &str, size: usize| {
        parse_axis(text, size)
            .ok_or_else(|| Problem::new(StatusCode::BAD_REQUEST, format!("'{text}' is not start:step:count within an axis of {size}")))
    };
    let cube = Cube { t: axis(&part.t, array.shape[0])?, y: axis(&part.y, array.shape[1])?, x: axis(&part.x, array.shape[2])? };
    let aspect = part.aspect.as_deref().map_or(Some(Aspect::Value), Aspect::parse).filter(|aspect| aspect.is_of(array.element));
    let shape = part.shape.as_deref().map_or(Some(cube.counts()), parse_shape);
    let region = aspect.zip(shape).map(|(aspect, shape)| Region { cube, shape, aspect }).filter(Region::fits);
    let wrong = "the shape is smaller than the counts of the axes, or the aspect is unknown";
    let region = region.ok_or_else(|| Problem::new(StatusCode::BAD_REQUEST, wrong))?;
    results::own_part(&share, array, &region).await.map_err(to_peer)
}

/// The response to a peer. Between servers, failed work is 410, because 409 is a stale request.
fn to_peer(error: results::Error) -> Problem {
    match error {
        results::Error::Failed(message) => Problem::new(StatusCode::GONE, message),
        other => other.into(),
    }
}

/// `ct,cy,cx`.
fn parse_shape(text: &str) -> Option<[usize; 3]> {
    let sizes: Vec<usize> = text.split(',').map(str::parse).collect::<Result<_, _>>().ok()?;
    sizes.try_into().ok()
}

/// `start:step:count`: ascending and in bounds.
fn parse_axis(text: &str, size: usize) -> Option<Axis> {
    let mut numbers = text.split(':').map(str::parse::<usize>);
    let (start, step, count) = (numbers.next()?.ok()?, numbers.next()?.ok()?, numbers.next()?.ok()?);
    let last = count.checked_sub(1)?.checked_mul(step)?.checked_add(start)?;
    (numbers.next().is_none() && step > 0 && last < size).then_some(Axis { start, step: i64::try_from(step).ok()?, count, kept: true })
}

#[derive(Debug, Deserialize)]
pub(super) struct SumsQuery {
    array: String,
}

/// This server's sums, from which a small array is computed.
pub(super) async fn sums(State(worker): State<Arc<Worker>>, Query(sums): Query<SumsQuery>, headers: HeaderMap) -> Result<Vec<u8>, Problem> {
    let share = current(&worker, &headers)?;
    let array = share.array(&sums.array).ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, format!("there is no array {}", sums.array)))?;
    let (base, kind) = results::source_of(array);
    results::own_sums(&share, base, kind).await.map_err(to_peer)
}

#[cfg(test)]
mod tests {
    use super::{parse_axis, parse_shape};

    #[test]
    fn an_axis_out_of_bounds_is_refused() {
        assert!(parse_axis("0:1:10", 10).is_some());
        assert!(parse_axis("1:3:3", 8).is_some());
        for wrong in ["0:1:11", "1:3:4", "0:0:1", "0:1:0", "0:1", "0:1:1:1", "-1:1:1", "x", "18446744073709551615:2:2"] {
            assert!(parse_axis(wrong, 10).is_none(), "{wrong}");
        }
    }

    #[test]
    fn a_shape_has_three_sizes() {
        assert_eq!(parse_shape("1,20,300"), Some([1, 20, 300]));
        for wrong in ["", "1,2", "1,2,3,4", "1,2,-3", "1,2,x"] {
            assert_eq!(parse_shape(wrong), None, "{wrong}");
        }
    }
}
