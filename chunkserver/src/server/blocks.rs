//! Routes for peers: blocks, parts of selections, and sums. Each request names the job, its generation and the boot id of the receiver.

use super::extract::Query;
use super::problem::Problem;
use crate::exchange::{Checks, OwnError, PIECE_BYTES, own_piece, pieces};
use crate::results::{self, Cube, Region};
use crate::share::Share;
use crate::worker::{PIECES, Worker};
use api::selection::Axis;
use api::wire::{BLOCK_CHECKS_HEADER, BLOCK_PIECE_HEADER, BOOT_HEADER, EARLIER_PIECE_BYTES, GENERATION_HEADER, UID_HEADER};
use api::words::chain;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::CONTENT_LENGTH;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use formats::aspect::Aspect;
use futures_util::StreamExt as _;
use serde::Deserialize;
use std::io;
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;

/// The current share, if the request names it.
pub(super) fn current(worker: &Worker, headers: &HeaderMap) -> Result<Arc<Share>, Problem> {
    let (uid, generation) = named_job(worker, headers)?;
    let share = worker.share().ok_or_else(|| stale("job (none)"))?;
    if uid != share.job.uid {
        return Err(stale("job"));
    }
    if generation != Some(share.job.generation) {
        return Err(stale("generation"));
    }
    Ok(share)
}

/// The uid and the generation of the job that a request names, if the request names this start of the server. The server may not have the
/// job yet. The generation is `None` if it is missing or not a number.
pub(super) fn named_job<'a>(worker: &Worker, headers: &'a HeaderMap) -> Result<(&'a str, Option<u64>), Problem> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if text(BOOT_HEADER) != worker.boot.0 {
        return Err(stale("boot id"));
    }
    Ok((text(UID_HEADER), text(GENERATION_HEADER).parse().ok()))
}

fn stale(what: &str) -> Problem {
    Problem::new(StatusCode::CONFLICT, format!("the {what} of the request is not the one of this server"))
}

/// A piece of a block, which holds its permit until it is sent.
struct Piece {
    bytes: Vec<u8>,
    _permit: Option<OwnedSemaphorePermit>,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct BlockQuery {
    band: usize,
    /// Whether to send checksums, and whether to compare the rows with them before. A server of an earlier version requests rows alone.
    checks: Option<BlockChecks>,
    /// The most bytes of the rows of a piece. A server of an earlier version requests no number.
    piece: Option<usize>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum BlockChecks {
    Send,
    Compare,
}

/// This server's block of a band in pieces, sent as frames become ready. A damaged frame ends the response, and the server loads its frames
/// again.
pub(super) async fn block(
    State(worker): State<Arc<Worker>>,
    Query(BlockQuery { band, checks, piece }): Query<BlockQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let share = current(&worker, &headers)?;
    if band >= share.plan.bands() {
        return Err(Problem::new(StatusCode::NOT_FOUND, format!("there is no band {band}")));
    }
    let checks = match checks.filter(|_| share.row_checksums.is_some()) {
        None => Checks::None,
        Some(BlockChecks::Send) => Checks::Send,
        Some(BlockChecks::Compare) => Checks::Compare,
    };
    let row = share.plan.band(band).len() * share.plan.partition.stack.dtype.size();
    let piece_bytes = piece.map_or(EARLIER_PIECE_BYTES, |bytes| bytes.clamp(PIECE_BYTES, EARLIER_PIECE_BYTES));
    // A piece has at least one row.
    let units = piece_bytes.max(row).div_ceil(PIECE_BYTES).min(PIECES) as u32;
    let pieces: Vec<_> = pieces(share.frames().len(), row, piece_bytes).collect();
    let stream = futures_util::stream::iter(pieces).then(move |frames| {
        let (worker, share) = (Arc::clone(&worker), Arc::clone(&share));
        async move {
            share.stack.until_ready(frames.clone()).await;
            // Fails only if the semaphore is closed, which never happens.
            let permit = Arc::clone(&worker.pieces).acquire_many_owned(units).await.ok();
            let cut = {
                let share = Arc::clone(&share);
                tokio::task::spawn_blocking(move || own_piece(&share, band, frames, checks)).await
            };
            match cut {
                Ok(Ok(bytes)) => Ok(Bytes::from_owner(Piece { bytes, _permit: permit })),
                Ok(Err(error)) => {
                    if let OwnError::Damaged { .. } | OwnError::Disk(store::Error::Read(_)) = error {
                        worker.load_again(&share, &chain(&error));
                    }
                    Err(io::Error::other(error))
                }
                Err(error) => Err(io::Error::other(error)),
            }
        }
    });
    let mut response = Body::from_stream(stream).into_response();
    response.headers_mut().insert(BLOCK_PIECE_HEADER, HeaderValue::from(piece_bytes));
    if checks != Checks::None {
        response.headers_mut().insert(BLOCK_CHECKS_HEADER, HeaderValue::from_static("1"));
    }
    Ok(response)
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
pub(super) async fn part(
    State(worker): State<Arc<Worker>>,
    Query(part): Query<PartQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
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
    let content = results::part_for_peer(&share, array, &region).await.map_err(to_peer)?;
    let length = HeaderValue::from(content.length());
    let mut response = content.into_body().map_or_else(Body::from_stream, Body::from).into_response();
    response.headers_mut().insert(CONTENT_LENGTH, length);
    Ok(response)
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
pub(super) async fn sums(State(worker): State<Arc<Worker>>, Query(sums): Query<SumsQuery>, headers: HeaderMap) -> Result<Bytes, Problem> {
    let share = current(&worker, &headers)?;
    let array = share.array(&sums.array).ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, format!("there is no array {}", sums.array)))?;
    results::sums_for_peer(&share, array).await.map_err(to_peer)
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
