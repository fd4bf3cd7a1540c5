//! The last error of a fetch that is still retried. The status shows the error while retries go on.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

#[derive(Debug, Default)]
pub(super) struct LastError {
    /// Whether `latest` holds an error. A successful fetch reads this flag and takes the lock only when the flag is set.
    present: AtomicBool,
    latest: Mutex<Option<String>>,
}

impl LastError {
    /// Records the error of a fetch that failed at least twice and is retried.
    pub(super) fn note(&self, sentence: String) {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        *latest = Some(sentence);
        self.present.store(true, Ordering::Relaxed);
    }

    /// Clears the error after a successful fetch.
    pub(super) fn clear(&self) {
        if self.present.load(Ordering::Relaxed) {
            let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
            *latest = None;
            self.present.store(false, Ordering::Relaxed);
        }
    }

    pub(super) fn latest(&self) -> Option<String> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
