//! What the writers and readers of slots share: the states, and the first write that failed.

use super::Error;
use super::states::States;
use std::ops::Range;
use std::sync::{Arc, OnceLock};
use tokio::sync::Notify;

/// The part of slots, or of frames in blocks, that a thread which writes them shares.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) states: States,
    /// The first write that failed.
    failure: OnceLock<std::io::Error>,
    /// Notified whenever a slot becomes ready, and by the failure.
    changed: Notify,
}

impl Shared {
    pub(super) fn new(count: usize) -> Arc<Self> {
        Arc::new(Self { states: States::new(count), failure: OnceLock::new(), changed: Notify::new() })
    }

    /// Makes claimed slots ready, unless an earlier write failed.
    pub(super) fn finish(&self, slots: Range<usize>) {
        if self.failure.get().is_none() {
            slots.for_each(|slot| self.states.finish(slot));
        }
        self.changed.notify_waiters();
    }

    /// Keeps the error of a write. All later writes fail.
    pub(super) fn fail(&self, error: std::io::Error) {
        let _ = self.failure.set(error);
        self.changed.notify_waiters();
    }

    /// The error of an earlier write.
    pub(super) fn check(&self) -> Result<(), Error> {
        self.failure.get().map_or(Ok(()), |error| Err(Error::of_write(error)))
    }

    /// Waits until all of `slots` are ready.
    pub(super) async fn until_ready(&self, slots: Range<usize>) {
        self.until(|| self.states.all_ready(&slots).then_some(())).await;
    }

    /// Waits until `found` finds something.
    pub(super) async fn until<T>(&self, found: impl Fn() -> Option<T>) -> T {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Registered before the check: a slot that becomes ready in between wakes this task.
            changed.as_mut().enable();
            if let Some(found) = found() {
                return found;
            }
            changed.await;
        }
    }
}
