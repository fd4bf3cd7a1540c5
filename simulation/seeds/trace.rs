//! The events of a run, in order, with their simulated times.

use crate::dice::hash;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// The record of a run.
#[derive(Debug)]
pub(crate) struct Trace {
    began: Instant,
    print: bool,
    /// A hash of all events: two runs of one seed have the same.
    digest: Mutex<u64>,
}

impl Trace {
    /// A record from now. With `print`, the events are printed.
    pub(crate) fn new(print: bool) -> Self {
        Self { began: Instant::now(), print, digest: Mutex::default() }
    }

    /// Simulated time since the start.
    pub(crate) fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// Records an event.
    pub(crate) fn event(&self, text: &str) {
        let line = format!("{:>11.6} {text}", self.now().as_secs_f64());
        if self.print {
            println!("{line}");
        }
        let mut digest = self.digest.lock().unwrap_or_else(PoisonError::into_inner);
        *digest = digest.rotate_left(5) ^ hash(line.as_bytes());
    }

    /// The hash of all events so far.
    pub(crate) fn digest(&self) -> u64 {
        *self.digest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
