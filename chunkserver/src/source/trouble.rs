//! The latest failure of a fetch that goes on trying: for people, who would otherwise see nothing meanwhile.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

#[derive(Debug, Default)]
pub(super) struct Trouble {
    /// Whether there is any. Every success asks this, so that it takes the lock in trouble only.
    any: AtomicBool,
    latest: Mutex<Option<String>>,
}

impl Trouble {
    /// A fetch has failed, not for the first time, and goes on.
    pub(super) fn note(&self, sentence: String) {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        *latest = Some(sentence);
        self.any.store(true, Ordering::Relaxed);
    }

    /// A fetch has succeeded.
    pub(super) fn over(&self) {
        if self.any.load(Ordering::Relaxed) {
            let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
            *latest = None;
            self.any.store(false, Ordering::Relaxed);
        }
    }

    pub(super) fn latest(&self) -> Option<String> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
