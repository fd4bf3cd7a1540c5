//! Pulls one block from one peer. A GET is idempotent, so a failed request is retried until the block is complete.

use super::piece::{PIECE_BYTES, pieces};
use super::receive::Receiver;
use crate::share::Share;
use api::digest::{FrameDigest, SourceChanged};
use api::plan::ServerId;
use api::wire::{BLOCK_CHECKS_HEADER, BLOCK_PIECE_HEADER, EARLIER_PIECE_BYTES, Peer, route};
use journal::{Event, Kind};
use std::time::Duration;
use thiserror::Error;
use transport::client::{Client, PullError};

/// First pause after a failed request; doubled up to [`LONGEST_PAUSE`], and ended early by a change of the peers.
const PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Why an attempt failed.
#[derive(Debug, Error)]
enum BlockError {
    /// The block is requested again.
    #[error(transparent)]
    Pull(#[from] PullError),
    /// The peer loaded other frames than the peer's earlier start did. No attempt helps.
    #[error(transparent)]
    Changed(#[from] SourceChanged),
}

/// Pulls the block (frames of `from`) ∩ (`band`) into `into`, (t, pixel) in C order. Retries without limit and follows changes of the peer's
/// address. Returns the number of attempts beyond the first.
///
/// # Errors
/// When the source changed between two starts of the peer.
pub async fn pull_block(client: &Client, share: &Share, from: ServerId, band: usize, into: &mut [u8]) -> Result<u64, SourceChanged> {
    let mut directions = share.directions.subscribe();
    let mut pause = PAUSE;
    let mut retries = 0;
    let mut compare = false;
    loop {
        let peer = directions.borrow_and_update().peers.get(from.0).cloned().flatten();
        if let Some(peer) = peer {
            match attempt(client, share, (from, &peer), band, compare, into).await {
                Ok(()) => return Ok(retries),
                Err(BlockError::Changed(changed)) => return Err(changed),
                Err(BlockError::Pull(error)) => {
                    tracing::debug!(server = from.0, band, error = &error as &dyn std::error::Error, "the block is retried");
                    if let PullError::Checksum { frame } = error {
                        // The peer finds out whether the damage happened on its side.
                        compare = true;
                        share.counters.add_checksum_mismatch();
                        tracing::warn!(server = from.0, band, frame, "a row of a block has another checksum: the block is requested again");
                    }
                    share.journal.mark(Event::Retry, &format!("a block of server {} is retried: {error}", from.0));
                    retries += 1;
                }
            }
        }
        // A change of the peers ends the pause: the restarted peer may be available.
        let _ = tokio::time::timeout(pause, directions.changed()).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

async fn attempt(
    client: &Client,
    share: &Share,
    (from, peer): (ServerId, &Peer),
    band: usize,
    compare: bool,
    into: &mut [u8],
) -> Result<(), BlockError> {
    let frames = share.plan.frames_of(from);
    let row_bytes = into.len() / frames.len().max(1);
    // The transfer begins with the first bytes, which may be late because the peer waits for its own frames.
    let mut task = None;
    let mut received = 0;
    let filling = async {
        let checks = if compare { "compare" } else { "send" };
        let path = format!("{}?band={band}&checks={checks}&piece={PIECE_BYTES}", route::BLOCK);
        let mut response = client.get(share.job_ref(), peer, &path).await?;
        let checked = response.headers().contains_key(BLOCK_CHECKS_HEADER);
        let stated = response.headers().get(BLOCK_PIECE_HEADER).and_then(|value| value.to_str().ok()?.parse().ok());
        let pieces = pieces(frames.len(), row_bytes, stated.unwrap_or(EARLIER_PIECE_BYTES));
        let mut receiver = Receiver::new(into, row_bytes, checked, frames.start, pieces);
        let mut changed = Ok(());
        let mut learn = |digest: FrameDigest| changed = changed.and(share.frame_digests.learn(digest));
        while let Some(bytes) = response.chunk().await.map_err(PullError::from)? {
            task.get_or_insert_with(|| share.journal.begin(Kind::Transfer, band));
            client.traffic.received(bytes.len());
            received += bytes.len() as u64;
            receiver.take(&bytes, &mut learn)?;
        }
        let rows = receiver.end()?;
        changed?;
        Ok(rows)
    };
    let done: Result<usize, BlockError> = filling.await;
    let task = task.unwrap_or_else(|| share.journal.begin(Kind::Transfer, band));
    match &done {
        Ok(rows) => task.done(*rows as u64),
        Err(_) => task.failed(received),
    }
    done.map(drop)
}
