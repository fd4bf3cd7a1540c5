//! Pulls one block from one peer. A GET is idempotent, so a failed request is retried until the block is complete.

use crate::share::Share;
use api::plan::ServerId;
use api::wire::{Peer, route};
use journal::{Event, Kind};
use std::time::Duration;
use transport::client::{Client, PullError};

/// First pause after a failed request; doubled up to [`LONGEST_PAUSE`], and ended early by a change of the peers.
const PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Pulls the block (frames of `from`) ∩ (`band`) into `into`, (t, pixel) in C order. Retries without limit and follows changes of the peer's
/// address. Returns the number of attempts beyond the first.
pub async fn pull_block(client: &Client, share: &Share, from: ServerId, band: usize, into: &mut [u8]) -> u64 {
    let mut directions = share.directions.subscribe();
    let mut pause = PAUSE;
    let mut retries = 0;
    loop {
        let peer = directions.borrow_and_update().peers.get(from.0).cloned().flatten();
        if let Some(peer) = peer {
            match attempt(client, share, &peer, band, into).await {
                Ok(()) => return retries,
                Err(error) => {
                    tracing::debug!(server = from.0, band, error = &error as &dyn std::error::Error, "the block is retried");
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

async fn attempt(client: &Client, share: &Share, peer: &Peer, band: usize, into: &mut [u8]) -> Result<(), PullError> {
    let mut filled = 0;
    // The transfer begins with the first bytes, which may be late because the peer waits for its own frames.
    let mut task = None;
    let filling = async {
        let mut response = client.get(share.job_ref(), peer, &format!("{}?band={band}", route::BLOCK)).await?;
        let expected = into.len();
        while let Some(bytes) = response.chunk().await? {
            task.get_or_insert_with(|| share.journal.begin(Kind::Transfer, band));
            client.traffic.received(bytes.len());
            let end = filled + bytes.len();
            let Some(target) = into.get_mut(filled..end) else {
                return Err(PullError::Length { found: end, expected });
            };
            target.copy_from_slice(&bytes);
            filled = end;
        }
        if filled == expected { Ok(()) } else { Err(PullError::Length { found: filled, expected }) }
    };
    let done = filling.await;
    let task = task.unwrap_or_else(|| share.journal.begin(Kind::Transfer, band));
    match &done {
        Ok(()) => task.done(filled as u64),
        Err(_) => task.failed(filled as u64),
    }
    done
}
