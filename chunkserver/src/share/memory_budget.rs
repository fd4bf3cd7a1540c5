//! Memory for the responses to readers. The plan does not count readers: they share the memory that the plan leaves free, and a reader waits
//! until enough memory is free.

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
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;

    #[test]
    fn a_request_waits_for_memory_and_a_request_beyond_the_budget_is_refused() {
        let budget = MemoryBudget::new(0);
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
        assert!(MemoryBudget::new(u64::MAX).acquire(1 << 40).now_or_never().flatten().is_some());
    }
}
