//! Memory for the responses to readers. The plan does not count readers: they share the memory that the plan leaves free, and a reader waits
//! until enough memory is free.

use bytes::Bytes;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The smallest budget, in bytes, if the plan leaves less memory free.
const LEAST: u64 = 64 << 20;
/// Unit of the budget, in bytes.
const UNIT: u64 = 64 << 10;

/// A server's memory for readers.
#[derive(Clone, Debug)]
pub struct MemoryBudget {
    units: u32,
    free: Arc<Semaphore>,
}

/// A part of the budget. Dropping the permit returns the part.
#[derive(Debug)]
pub struct Permit(#[expect(dead_code, reason = "dropping the semaphore's permit returns the memory")] OwnedSemaphorePermit);

impl MemoryBudget {
    /// A budget of `bytes` bytes, or of [`LEAST`].
    pub fn new(bytes: u64) -> Self {
        let units = u32::try_from(bytes.max(LEAST) / UNIT).unwrap_or(u32::MAX);
        Self { units, free: Arc::new(Semaphore::new(units as usize)) }
    }

    /// Waits for `bytes` bytes, in the order of requests. A request for more than the whole budget waits for the whole budget.
    pub(crate) async fn acquire(&self, bytes: u64) -> Permit {
        let units = bytes.div_ceil(UNIT).min(u64::from(self.units)) as u32;
        match Arc::clone(&self.free).acquire_many_owned(units).await {
            Ok(permit) => Permit(permit),
            // The semaphore is never closed, so this arm is not reached.
            Err(_) => std::future::pending().await,
        }
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
    fn a_request_waits_for_memory_and_a_large_request_takes_all_of_it() {
        let budget = MemoryBudget::new(0);
        let first = budget.acquire(LEAST - UNIT).now_or_never().expect("the budget is free");
        let little = budget.acquire(1).now_or_never().expect("one unit is left");
        assert!(budget.acquire(1).now_or_never().is_none(), "no unit is left");
        drop(little);
        assert!(budget.acquire(2 * UNIT).now_or_never().is_none(), "one unit is too little");
        drop(first);
        let all = budget.acquire(u64::MAX).now_or_never().expect("the budget is free");
        assert!(budget.acquire(1).now_or_never().is_none(), "the large request holds the whole budget");
        let body = with_permit(vec![7], Some(all));
        let part = body.slice(..1);
        drop(body);
        assert!(budget.acquire(1).now_or_never().is_none(), "a part of the body is still being sent");
        assert_eq!(part[..], [7]);
        drop(part);
        assert!(budget.acquire(LEAST).now_or_never().is_some());
        assert!(MemoryBudget::new(u64::MAX).acquire(1 << 40).now_or_never().is_some());
    }
}
