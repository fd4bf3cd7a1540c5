//! Memory that readers' answers take on their way. The plan knows nothing of readers; what it leaves is theirs, and who finds it
//! taken waits.

use bytes::Bytes;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What readers have even where the plan leaves nothing.
const LEAST: u64 = 64 << 20;
/// It is counted in pieces of so many bytes.
const PIECE: u64 = 64 << 10;

/// A server's memory for readers.
#[derive(Clone, Debug)]
pub struct Room {
    pieces: u32,
    free: Arc<Semaphore>,
}

/// Some of it, until it is dropped.
#[derive(Debug)]
pub struct Taken(#[expect(dead_code, reason = "its drop gives back")] OwnedSemaphorePermit);

impl Room {
    /// So many bytes, or the least that there has to be.
    pub fn new(bytes: u64) -> Self {
        let pieces = u32::try_from(bytes.max(LEAST) / PIECE).unwrap_or(u32::MAX);
        Self { pieces, free: Arc::new(Semaphore::new(pieces as usize)) }
    }

    /// Waits for so many bytes, first come, first served. What is more than there is in all goes alone.
    pub(crate) async fn take(&self, bytes: u64) -> Taken {
        let pieces = bytes.div_ceil(PIECE).min(u64::from(self.pieces)) as u32;
        match Arc::clone(&self.free).acquire_many_owned(pieces).await {
            Ok(permit) => Taken(permit),
            // It fails only when closed, which nobody does.
            Err(_) => std::future::pending().await,
        }
    }
}

/// Bytes that keep their part of the room for as long as they are sent.
struct Kept {
    bytes: Bytes,
    _taken: Option<Taken>,
}

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// `bytes`, which give back what they have `taken` when they are dropped.
pub(crate) fn kept(bytes: impl Into<Bytes>, taken: Option<Taken>) -> Bytes {
    let bytes = bytes.into();
    if taken.is_none() { bytes } else { Bytes::from_owner(Kept { bytes, _taken: taken }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;

    #[test]
    fn who_finds_it_taken_waits_and_what_is_too_large_goes_alone() {
        let room = Room::new(0);
        let first = room.take(LEAST - PIECE).now_or_never().expect("there is room");
        let little = room.take(1).now_or_never().expect("there is some left");
        assert!(room.take(1).now_or_never().is_none(), "there is none left");
        drop(little);
        assert!(room.take(2 * PIECE).now_or_never().is_none(), "there is too little left");
        drop(first);
        let alone = room.take(u64::MAX).now_or_never().expect("nobody else is there");
        assert!(room.take(1).now_or_never().is_none(), "it is alone");
        let body = kept(vec![7], Some(alone));
        let part = body.slice(..1);
        drop(body);
        assert!(room.take(1).now_or_never().is_none(), "some of it is still being sent");
        assert_eq!(part[..], [7]);
        drop(part);
        assert!(room.take(LEAST).now_or_never().is_some());
        assert!(Room::new(u64::MAX).take(1 << 40).now_or_never().is_some());
    }
}
