//! Memory for the responses to readers. The plan does not count readers: they share the memory that the plan leaves free, and a reader waits
//! until enough memory is free.

use bytes::Bytes;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The smallest budget, in bytes, if the plan leaves less memory free.
const LEAST: u64 = 64 << 20;
/// Notes of a server that the plan's base contains, in bytes.
const NOTES: u64 = 2 << 20;
/// Unit of the budget, in bytes.
const UNIT: u64 = 64 << 10;

/// The part of the budget that holds responses to peers, if there are peers.
const PEERS: u64 = 4;

/// A server's memory for readers. Parts that peers request for their readers have memory of their own: a reader holds memory while it waits
/// for parts, so that two servers could otherwise wait for each other.
#[derive(Clone, Debug)]
pub struct MemoryBudget {
    units: u32,
    free: Arc<Semaphore>,
    part_units: u32,
    free_for_parts: Arc<Semaphore>,
}

/// A part of the budget. Dropping the permit returns the part.
#[derive(Debug)]
pub struct Permit(#[expect(dead_code, reason = "dropping the semaphore's permit returns the memory")] OwnedSemaphorePermit);

impl MemoryBudget {
    /// A budget of `bytes` bytes, or of [`LEAST`], without the memory of `notes` bytes of notes.
    pub fn new(bytes: u64, notes: u64, servers: usize) -> Self {
        let bytes = bytes.max(LEAST).saturating_sub(notes.saturating_sub(NOTES)).max(LEAST / 4);
        let parts = if servers > 1 { bytes / PEERS } else { 0 };
        let units = |bytes: u64| u32::try_from(bytes / UNIT).unwrap_or(u32::MAX);
        let (units, part_units) = (units(bytes - parts), units(parts));
        let free = |units: u32| Arc::new(Semaphore::new(units as usize));
        Self { units, free: free(units), part_units, free_for_parts: free(part_units) }
    }

    /// The whole budget, in bytes.
    pub const fn bytes(&self) -> u64 {
        self.units as u64 * UNIT
    }

    /// Waits for `bytes` bytes, in the order of requests. `None` if the whole budget is smaller.
    pub(crate) async fn acquire(&self, bytes: u64) -> Option<Permit> {
        let units = u32::try_from(bytes.div_ceil(UNIT)).ok().filter(|&units| units <= self.units)?;
        match Arc::clone(&self.free).acquire_many_owned(units).await {
            Ok(permit) => Some(Permit(permit)),
            // The semaphore is never closed, so this arm is not reached.
            Err(_) => std::future::pending().await,
        }
    }

    /// Waits for the memory of a part of `bytes` bytes that a peer requests. A part beyond this memory takes all of it: the reader's server
    /// has already refused parts beyond its own memory for readers.
    pub(crate) async fn acquire_part(&self, bytes: u64) -> Option<Permit> {
        let units = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX).min(self.part_units);
        Arc::clone(&self.free_for_parts).acquire_many_owned(units).await.ok().map(Permit)
    }
}

/// Bytes that hold their permit while they are being sent.
struct Permitted {
    bytes: Bytes,
    _permit: Option<Permit>,
}

impl AsRef<[u8]> for Permitted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// `bytes`, which return `permit` when the last reference to them is dropped.
pub(crate) fn with_permit(bytes: impl Into<Bytes>, permit: Option<Permit>) -> Bytes {
    let bytes = bytes.into();
    if permit.is_none() { bytes } else { Bytes::from_owner(Permitted { bytes, _permit: permit }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;

    #[test]
    fn a_request_waits_for_memory_and_a_request_beyond_the_budget_is_refused() {
        let budget = MemoryBudget::new(0, NOTES, 1);
        assert_eq!(budget.bytes(), LEAST);
        let first = budget.acquire(LEAST - UNIT).now_or_never().expect("the budget is free");
        let little = budget.acquire(1).now_or_never().expect("one unit is left");
        assert!(budget.acquire(1).now_or_never().is_none(), "no unit is left");
        drop(little);
        assert!(budget.acquire(2 * UNIT).now_or_never().is_none(), "one unit is too little");
        assert!(budget.acquire(LEAST + 1).now_or_never().expect("the refusal does not wait").is_none());
        assert!(budget.acquire(u64::MAX).now_or_never().expect("the refusal does not wait").is_none());
        drop(first);
        assert!(budget.acquire(LEAST).now_or_never().flatten().is_some());
        assert_eq!(MemoryBudget::new(0, NOTES + (1 << 20), 1).bytes(), LEAST - (1 << 20));
        assert_eq!(MemoryBudget::new(0, u64::MAX, 1).bytes(), LEAST / 4);
    }

    #[test]
    fn parts_for_peers_have_their_own_memory_until_they_are_sent() {
        let budget = MemoryBudget::new(0, 0, 2);
        assert_eq!(budget.bytes(), LEAST / 4 * 3);
        let all = budget.acquire(budget.bytes()).now_or_never().flatten();
        let permit = budget.acquire_part(LEAST).now_or_never().expect("readers do not use the memory of parts");
        let body = with_permit(vec![7], permit);
        let piece = body.slice(..1);
        drop((body, all));
        assert!(budget.acquire_part(1).now_or_never().is_none(), "a piece of the body is still being sent");
        assert_eq!(piece[..], [7]);
        drop(piece);
        assert!(budget.acquire_part(1).now_or_never().is_some());
        assert!(MemoryBudget::new(u64::MAX, 0, 1).acquire(1 << 40).now_or_never().flatten().is_some());
    }
}
