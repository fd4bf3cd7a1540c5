//! The journal of a server: each task with its lane and time, events such as failures, and samples of resource usage.
//!
//! A journal has a bounded size. When the journal is full, neighbouring tasks are merged, so that the journal of a long run covers the
//! whole run at a coarser resolution. The page reads [snapshots](Journal::snapshot).

pub mod control_groups;
pub mod system;

mod history;
mod log;
mod marks;
mod record;
mod snapshot;

pub use marks::Event;
pub use record::Kind;
pub use snapshot::packed;
pub use snapshot::{SnapshotQuery, SnapshotResponse};

use crate::system::Usage;
use log::Log;
use record::FAILED;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use transport::traffic::Traffic;

/// Shortest poll of a future that is recorded as a task. Shorter polls only register a waker.
const SHORTEST_POLL: Duration = Duration::from_micros(20);

/// The journal of one assignment of a server.
#[derive(Debug)]
pub struct Journal {
    log: Mutex<Log>,
    began: Instant,
    /// Start of the journal, in microseconds of Unix time.
    epoch_us: u64,
    /// A random number that identifies the journal.
    name: u64,
}

impl Journal {
    /// An empty journal for `threads` compute threads.
    pub fn new(threads: usize) -> Self {
        let epoch_us = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as u64);
        // `RandomState` has random keys.
        let name = RandomState::new().hash_one(epoch_us);
        Self { log: Mutex::new(Log::new(threads, log::MOST)), began: Instant::now(), epoch_us, name }
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Microseconds since the start of the journal.
    fn now(&self) -> f64 {
        self.began.elapsed().as_secs_f64() * 1e6
    }

    /// Begins a task, on the lane of the compute thread that calls, if any. `item` is the number of the first frame, band or output of the
    /// task.
    pub fn begin(&self, kind: Kind, item: usize) -> Task<'_> {
        let (now, thread) = (self.now(), rayon::current_thread_index());
        let lane = self.log().begin(now, kind, item as u32, thread);
        Task { journal: self, lane, count: 1 }
    }

    /// Records a future: each poll is a task, except polls that only register a waker. Polls may run on different threads. `bytes` is the
    /// size of the result and is recorded with the last poll.
    pub fn stretches<F: Future>(
        self: &Arc<Self>,
        kind: Kind,
        item: usize,
        bytes: u64,
        work: F,
    ) -> impl Future<Output = F::Output> + use<F> {
        let journal = Arc::clone(self);
        async move {
            let mut work = std::pin::pin!(work);
            std::future::poll_fn(move |context| {
                let (began, task) = (Instant::now(), journal.begin(kind, item));
                let polled = work.as_mut().poll(context);
                match &polled {
                    Poll::Ready(_) => task.done(bytes),
                    Poll::Pending if began.elapsed() > SHORTEST_POLL => task.done(0),
                    Poll::Pending => drop(task),
                }
                polled
            })
            .await
        }
    }

    /// Records an event. Equal events within a second are merged into one with a count.
    pub fn mark(&self, event: Event, text: &str) {
        self.mark_as(event, text, text);
    }

    /// As [`Self::mark`], but events with the same `key` are equal. The text of the first event is kept.
    pub fn mark_as(&self, event: Event, key: &str, text: &str) {
        let now = self.now();
        self.log().mark(now, event, key, text);
    }

    /// Records the resource usage of the process. Returns the time until the next sample.
    pub fn sample(&self, usage: &Usage, traffic: &Traffic) -> Duration {
        let (now, (received, sent)) = (self.now(), traffic.bytes());
        let mut log = self.log();
        log.sample(now, [usage.cpu_ms, usage.resident_bytes, received, sent]);
        Duration::from_secs_f64(log.interval() / 1e6)
    }

    /// Whether a compute thread is busy.
    pub fn computes(&self) -> bool {
        let now = self.now();
        self.log().computes(now)
    }

    /// Number of running tasks of a kind.
    pub fn running(&self, kind: Kind) -> usize {
        self.log().running(kind)
    }

    /// The part of the journal that `query` selects. The header states `server` and `boot`, the identity of the server.
    pub fn snapshot(&self, query: &SnapshotQuery, server: usize, boot: &str) -> SnapshotResponse {
        let now = self.now();
        let version = query.log.as_deref().and_then(|log| self.version(log));
        let snapshot = self.log().snapshot(now, version, query.after);
        SnapshotResponse {
            snapshot,
            server,
            boot: boot.to_owned(),
            name: self.name,
            epoch_us: self.epoch_us,
            now,
            resolution: query.resolution,
        }
    }

    /// The version in `log`, if `log` names this journal.
    fn version(&self, log: &str) -> Option<u32> {
        let (name, version) = log.split_once('-')?;
        version.parse().ok().filter(|_| name == format!("{:x}", self.name))
    }
}

/// A running task. A task that is dropped without an end was cancelled and is not recorded.
#[derive(Debug)]
#[must_use]
pub struct Task<'a> {
    journal: &'a Journal,
    /// `None` when the task has no lane and is not recorded.
    lane: Option<u16>,
    count: u32,
}

impl Task<'_> {
    /// Records the task as `count` tasks.
    pub const fn of(self, count: usize) -> Self {
        let mut task = self;
        task.count = count as u32;
        task
    }

    /// Ends the task; `bytes` were received, sent or computed.
    pub fn done(self, bytes: u64) {
        self.end(bytes, 0);
    }

    /// Ends the task as failed, after `bytes` bytes.
    pub fn failed(self, bytes: u64) {
        self.end(bytes, FAILED);
    }

    fn end(mut self, bytes: u64, flags: u8) {
        if let Some(lane) = self.lane.take() {
            let now = self.journal.now();
            self.journal.log().end(now, lane, self.count, bytes as f32, flags);
        }
    }
}

impl Drop for Task<'_> {
    fn drop(&mut self) {
        if let Some(lane) = self.lane.take() {
            self.journal.log().cancel(lane);
        }
    }
}

#[cfg(test)]
mod tests;
