//! The time in which at least one request to the servers of a job waits for its response.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Clones share their content.
#[derive(Clone, Debug, Default)]
pub struct Waits(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    requests: usize,
    /// The start of the first of these requests.
    since: Option<Instant>,
    /// Time of earlier waits.
    total: Duration,
}

/// One request; its wait ends when the value is dropped.
pub(super) struct Request<'a>(&'a Waits);

impl Waits {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn begin(&self) -> Request<'_> {
        let mut inner = self.lock();
        inner.requests += 1;
        inner.since.get_or_insert_with(Instant::now);
        Request(self)
    }

    /// The time so far. Requests at the same time count once.
    pub fn total(&self) -> Duration {
        let inner = self.lock();
        inner.total + inner.since.map_or(Duration::ZERO, |since| since.elapsed())
    }
}

impl Drop for Request<'_> {
    fn drop(&mut self) {
        let mut inner = self.0.lock();
        inner.requests -= 1;
        if inner.requests == 0 {
            let waited = inner.since.take().map_or(Duration::ZERO, |since| since.elapsed());
            inner.total += waited;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_at_the_same_time_count_once() {
        let waits = Waits::default();
        let started = Instant::now();
        let both = (waits.begin(), waits.begin());
        std::thread::sleep(Duration::from_millis(5));
        drop(both);
        let (total, elapsed) = (waits.total(), started.elapsed());
        assert!(total >= Duration::from_millis(5) && total <= elapsed, "{total:?} of {elapsed:?}");
        std::thread::sleep(Duration::from_millis(5));
        assert_eq!(waits.total(), total, "no request waits");
    }
}
