//! Requests to peers on behalf of a reader.

use super::Error;
use super::content::Fragment;
use super::region::Region;
use crate::share::Share;
use api::arrays::Array;
use api::plan::ServerId;
use api::selection::Axis;
use api::wire::route;
use formats::aspect::Aspect;
use futures_util::{StreamExt as _, TryStreamExt as _};
use std::sync::Arc;
use transport::client::{Client, PullError};

/// Server `id`'s part of `region`, of `bytes` bytes. Returns when the response begins.
pub(super) async fn part(
    client: &Client,
    share: &Arc<Share>,
    array: &Array,
    region: &Region,
    id: ServerId,
    bytes: usize,
) -> Result<Fragment, Error> {
    let fragment = get(client, share, id, &part_path(&array.name, region)).await?;
    if fragment.length() == bytes as u64 {
        return Ok(fragment);
    }
    Err(Error::PartLength { server: id.0, found: usize::try_from(fragment.length()).unwrap_or(usize::MAX), expected: bytes })
}

/// Server `id`'s sums, from which `array` is computed.
pub(super) async fn sums(client: &Client, share: &Arc<Share>, array: &Array, id: ServerId) -> Result<Fragment, Error> {
    get(client, share, id, &format!("{}?array={}", route::SUMS, array.name)).await
}

fn part_path(array: &str, region: &Region) -> String {
    let axis = |axis: &Axis| format!("{}:{}:{}", axis.start, axis.step, axis.count);
    let (cube, [t, y, x]) = (&region.cube, region.shape);
    let mut path = format!("{}?array={array}&t={}&y={}&x={}", route::PART, axis(&cube.t), axis(&cube.y), axis(&cube.x));
    if region.shape != cube.counts() {
        path.push_str(&format!("&shape={t},{y},{x}"));
    }
    if region.aspect != Aspect::Value {
        path.push_str("&aspect=");
        path.push_str(region.aspect.name());
    }
    path
}

/// A GET to server `id`. Returns when the response begins, or with an error when the server is replaced.
async fn get(client: &Client, share: &Arc<Share>, id: ServerId, path: &str) -> Result<Fragment, Error> {
    let server = id.0;
    let mut directions = share.directions.subscribe();
    let peer = directions.borrow_and_update().peers.get(server).cloned().flatten().ok_or(Error::PeerAbsent(server))?;
    let replaced = async {
        // Fails only if the share is dropped, and this function holds the share.
        let _ = directions.wait_for(|now| now.peers.get(server).and_then(Option::as_ref) != Some(&peer)).await;
    };
    let response = tokio::select! {
        biased;
        response = client.get(share.job_ref(), &peer, path) => response,
        () = replaced => return Err(Error::PeerAbsent(server)),
    };
    match response {
        Ok(response) => Ok(counted(Fragment::of(response, server), client)),
        Err(PullError::Failed(message)) => Err(Error::Failed(message)),
        Err(source) => Err(Error::Peer { server, source }),
    }
}

/// Counts the bytes of the fragment when they arrive.
fn counted(fragment: Fragment, client: &Client) -> Fragment {
    match fragment {
        Fragment::Ready(bytes) => Fragment::Ready(bytes),
        Fragment::Incoming { length, stream } => {
            let traffic = Arc::clone(&client.traffic);
            Fragment::Incoming { length, stream: stream.inspect_ok(move |bytes| traffic.received(bytes.len())).boxed() }
        }
    }
}
