//! One block from one peer, asked for until it is there: a GET is idempotent, so a lost answer is asked for again.

use crate::share::Share;
use api::plan::ServerId;
use api::wire::{Peer, route};
use journal::{Event, Kind};
use std::time::Duration;
use transport::client::{Client, PullError};

/// First pause after a failed request; doubled up to [`LONGEST_PAUSE`], and cut short by news of the peer.
const PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Pulls the block (frames of `from`) ∩ (`band`) into `into`, (t, pixel) in C order, however often the peer has to be
/// asked and wherever it moves meanwhile. Gives the number of attempts beyond the first.
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
                    tracing::debug!(server = from.0, band, error = &error as &dyn std::error::Error, "block asked for again");
                    share.journal.mark(Event::Retry, &format!("a block of server {} is asked for again: {error}", from.0));
                    retries += 1;
                }
            }
        }
        // News of the peers ends the pause: a restarted peer is asked as soon as it is known.
        let _ = tokio::time::timeout(pause, directions.changed()).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

async fn attempt(client: &Client, share: &Share, peer: &Peer, band: usize, into: &mut [u8]) -> Result<(), PullError> {
    let mut filled = 0;
    // The first bytes may be long in coming, since the peer waits for its own frames; a transfer begins with them.
    let mut task = None;
    let filling = async {
        let mut response = client.get(share.job_ref(), peer, &format!("{}?band={band}", route::BLOCK)).await?;
        let expected = into.len();
        while let Some(bytes) = response.chunk().await? {
            task.get_or_insert_with(|| share.journal.begin(Kind::Transfer, band));
            client.traffic.received(bytes.len());
            let end = filled + bytes.len();
            let Some(place) = into.get_mut(filled..end) else {
                return Err(PullError::Length { found: end, expected });
            };
            place.copy_from_slice(&bytes);
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
