//! What a server does is noted here as it happens, and told to whoever asks: each task with its place and time, what went wrong,
//! and what the process took meanwhile. Bounded: a long run is kept whole, more coarsely.

pub mod system;

mod history;
mod log;
mod marks;
mod record;
mod told;

pub use marks::Event;
pub use record::Kind;
pub use told::packed;
pub use told::{Asked, Telling};

use crate::system::Usage;
use log::Log;
use record::FAILED;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use transport::traffic::Traffic;

/// A stretch of work that is shorter only asked for what it waits for.
const STRETCH: Duration = Duration::from_micros(20);

/// A share's journal.
#[derive(Debug)]
pub struct Journal {
    log: Mutex<Log>,
    began: Instant,
    /// When it began, in microseconds of Unix time.
    epoch_us: u64,
    /// Tells it from every other.
    name: u64,
}

impl Journal {
    /// An empty one, for so many compute threads.
    pub fn new(threads: usize) -> Self {
        let epoch_us = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as u64);
        // The state is random by itself.
        let name = RandomState::new().hash_one(epoch_us);
        Self { log: Mutex::new(Log::new(threads, log::MOST)), began: Instant::now(), epoch_us, name }
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Microseconds since its beginning.
    fn now(&self) -> f64 {
        self.began.elapsed().as_secs_f64() * 1e6
    }

    /// A task begins: of a compute thread, when on one. `item` is the number of its (first) frame, band or output.
    pub fn begin(&self, kind: Kind, item: usize) -> Task<'_> {
        let (now, thread) = (self.now(), rayon::current_thread_index());
        let lane = self.log().begin(now, kind, item as u32, thread);
        Task { journal: self, lane, count: 1 }
    }

    /// Work that waits in between and then goes on, maybe on another thread: each stretch of it is a task, but for those that only
    /// begin to wait. `bytes` is what it makes in all.
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
                    Poll::Pending if began.elapsed() > STRETCH => task.done(0),
                    Poll::Pending => drop(task),
                }
                polled
            })
            .await
        }
    }

    /// Something happened; equal ones within a second are one with a count.
    pub fn mark(&self, event: Event, text: &str) {
        self.mark_as(event, text, text);
    }

    /// As [`Self::mark`]; those of one `key` count as equal, and the first one's words are kept.
    pub fn mark_as(&self, event: Event, key: &str, text: &str) {
        let now = self.now();
        self.log().mark(now, event, key, text);
    }

    /// Notes what the process has taken, and says when to do so again.
    pub fn sample(&self, usage: &Usage, traffic: &Traffic) -> Duration {
        let (now, (received, sent)) = (self.now(), traffic.bytes());
        let mut log = self.log();
        log.sample(now, [usage.cpu_ms, usage.resident_bytes, received, sent]);
        Duration::from_secs_f64(log.interval() / 1e6)
    }

    /// Whether a compute thread has something to do now.
    pub fn computes(&self) -> bool {
        let now = self.now();
        self.log().computes(now)
    }

    /// How many tasks of that kind go on.
    pub fn running(&self, kind: Kind) -> usize {
        self.log().running(kind)
    }

    /// What is asked for, told by `server` in its start `boot`.
    pub fn tell(&self, asked: &Asked, server: usize, boot: &str) -> Telling {
        let now = self.now();
        let version = asked.log.as_deref().and_then(|log| self.version(log));
        let told = self.log().tell(now, version, asked.after);
        Telling { told, server, boot: boot.to_owned(), name: self.name, epoch_us: self.epoch_us, now, resolution: asked.resolution }
    }

    /// The version that `log` means, when it is one of this journal.
    fn version(&self, log: &str) -> Option<u32> {
        let (name, version) = log.split_once('-')?;
        version.parse().ok().filter(|_| name == format!("{:x}", self.name))
    }
}

/// A task that goes on. Dropped without an end, it was given up and is not noted.
#[derive(Debug)]
#[must_use]
pub struct Task<'a> {
    journal: &'a Journal,
    /// None when it has no place.
    lane: Option<u16>,
    count: u32,
}

impl Task<'_> {
    /// It is so many in one.
    pub const fn of(self, count: usize) -> Self {
        let mut task = self;
        task.count = count as u32;
        task
    }

    /// It has ended, with so many bytes.
    pub fn done(self, bytes: u64) {
        self.end(bytes, 0);
    }

    /// It has failed, after so many bytes.
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
            self.journal.log().forget(lane);
        }
    }
}

#[cfg(test)]
mod tests;
