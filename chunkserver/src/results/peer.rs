//! What peers are asked for on behalf of a reader.

use super::Error;
use super::content::Piece;
use super::window::Window;
use crate::share::Share;
use api::arrays::Array;
use api::plan::ServerId;
use api::selection::Axis;
use api::wire::route;
use formats::aspect::Aspect;
use futures_util::{StreamExt as _, TryStreamExt as _};
use std::sync::Arc;
use transport::client::{Client, PullError};

/// Server `id`'s part of `window`, `bytes` long, as soon as it has begun to answer.
pub(super) async fn part(
    client: &Client,
    share: &Arc<Share>,
    array: &Array,
    window: &Window,
    id: ServerId,
    bytes: usize,
) -> Result<Piece, Error> {
    let piece = ask(client, share, id, &part_path(&array.name, window)).await?;
    if piece.length() == bytes as u64 {
        return Ok(piece);
    }
    Err(Error::PartLength { server: id.0, found: usize::try_from(piece.length()).unwrap_or(usize::MAX), expected: bytes })
}

/// Server `id`'s sums for `array`.
pub(super) async fn sums(client: &Client, share: &Arc<Share>, array: &Array, id: ServerId) -> Result<Piece, Error> {
    ask(client, share, id, &format!("{}?array={}", route::SUMS, array.name)).await
}

fn part_path(array: &str, window: &Window) -> String {
    let axis = |axis: &Axis| format!("{}:{}:{}", axis.start, axis.step, axis.count);
    let (cube, [t, y, x]) = (&window.cube, window.shape);
    let mut path = format!("{}?array={array}&t={}&y={}&x={}", route::PART, axis(&cube.t), axis(&cube.y), axis(&cube.x));
    if window.shape != cube.counts() {
        path.push_str(&format!("&shape={t},{y},{x}"));
    }
    if window.aspect != Aspect::Value {
        path.push_str("&aspect=");
        path.push_str(window.aspect.name());
    }
    path
}

/// A GET to server `id`, as soon as it has begun to answer. A server that is replaced meanwhile does not answer.
async fn ask(client: &Client, share: &Arc<Share>, id: ServerId, path: &str) -> Result<Piece, Error> {
    let server = id.0;
    let mut directions = share.directions.subscribe();
    let peer = directions.borrow_and_update().peers.get(server).cloned().flatten().ok_or(Error::PeerAbsent(server))?;
    let moved = async {
        // It fails only when the share is gone, and we hold it.
        let _ = directions.wait_for(|now| now.peers.get(server).and_then(Option::as_ref) != Some(&peer)).await;
    };
    let response = tokio::select! {
        biased;
        response = client.get(share.job_ref(), &peer, path) => response,
        () = moved => return Err(Error::PeerAbsent(server)),
    };
    match response {
        Ok(response) => Ok(counted(Piece::of(response, server), client)),
        Err(PullError::Failed(sentence)) => Err(Error::Failed(sentence)),
        Err(source) => Err(Error::Peer { server, source }),
    }
}

/// The same, whose bytes are counted as they come.
fn counted(piece: Piece, client: &Client) -> Piece {
    match piece {
        Piece::Here(bytes) => Piece::Here(bytes),
        Piece::Coming { length, stream } => {
            let traffic = Arc::clone(&client.traffic);
            Piece::Coming { length, stream: stream.inspect_ok(move |bytes| traffic.received(bytes.len())).boxed() }
        }
    }
}
