//! How far a share is: counted where the work is done, read by whoever asks.

use api::phase::{Failure, Phase, PhaseProgress, Writing};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::watch;

/// Counters of one phase.
#[derive(Debug)]
pub struct Counter {
    phase: Phase,
    total: u64,
    done: AtomicU64,
    bytes: AtomicU64,
    retries: AtomicU64,
    started_ms: AtomicU64,
    ended_ms: AtomicU64,
}

impl Counter {
    fn new(phase: Phase, total: usize) -> Self {
        let zero = AtomicU64::default;
        Self { phase, total: total as u64, done: zero(), bytes: zero(), retries: zero(), started_ms: zero(), ended_ms: zero() }
    }

    /// A unit begins.
    pub fn start(&self) {
        if self.started_ms.load(Ordering::Relaxed) == 0 {
            let _ = self.started_ms.compare_exchange(0, now_ms(), Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    /// `units` are done. True when they were the last.
    pub fn done(&self, units: usize, bytes: u64) -> bool {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.ended_ms.fetch_max(now_ms(), Ordering::Relaxed);
        // Release: who sees the count sees what it counts.
        self.done.fetch_add(units as u64, Ordering::AcqRel) + units as u64 == self.total
    }

    /// Bytes came for units that are not done yet.
    pub fn received(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Attempts beyond the first.
    pub fn retried(&self, times: u64) {
        self.retries.fetch_add(times, Ordering::Relaxed);
    }

    fn progress(&self) -> PhaseProgress {
        PhaseProgress {
            phase: self.phase,
            done: self.done.load(Ordering::Acquire),
            total: self.total,
            bytes: self.bytes.load(Ordering::Relaxed),
            retries: self.retries.load(Ordering::Relaxed),
            started_ms: self.started_ms.load(Ordering::Relaxed),
            ended_ms: self.ended_ms.load(Ordering::Relaxed),
        }
    }
}

/// All counters of one share.
#[derive(Debug)]
pub struct Counters {
    /// Frames fetched and decoded.
    pub load: Counter,
    /// Frames cropped; none without that phase.
    pub recenter: Option<Counter>,
    /// Bands pulled; none when nothing is exchanged.
    pub rechunk: Option<Counter>,
    /// Bands transformed; none without an FFT.
    pub fft: Option<Counter>,
    /// Objects of outputs written; none without outputs.
    pub write: Option<Counter>,
    notes: Mutex<Notes>,
    /// What ended the work; readers that wait for its results follow it.
    failure: watch::Sender<Option<Failure>>,
}

#[derive(Debug, Default)]
struct Notes {
    blank: BTreeSet<usize>,
    writing: BTreeSet<Writing>,
    written: BTreeSet<Writing>,
}

impl Counters {
    /// Counters for so many frames, bands and objects; `None` for phases that the job has not.
    pub fn new(frames: usize, recenters: bool, bands: Option<usize>, transforms: bool, objects: Option<usize>) -> Self {
        Self {
            load: Counter::new(Phase::Load, frames),
            recenter: recenters.then(|| Counter::new(Phase::Recenter, frames)),
            rechunk: bands.map(|bands| Counter::new(Phase::Rechunk, bands)),
            fft: bands.filter(|_| transforms).map(|bands| Counter::new(Phase::Fft, bands)),
            write: objects.map(|objects| Counter::new(Phase::Write, objects)),
            notes: Mutex::default(),
            failure: watch::Sender::new(None),
        }
    }

    fn notes(&self) -> std::sync::MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Phase by phase, those that the job has.
    pub fn phases(&self) -> Vec<PhaseProgress> {
        [Some(&self.load), self.recenter.as_ref(), self.rechunk.as_ref(), self.fft.as_ref(), self.write.as_ref()]
            .into_iter()
            .flatten()
            .map(Counter::progress)
            .collect()
    }

    /// Frame `frame` is zero because it could not be had.
    pub fn note_blank(&self, frame: usize) {
        self.notes().blank.insert(frame);
    }

    /// Frames that are zero because they could not be had.
    pub fn blank(&self) -> Vec<usize> {
        self.notes().blank.iter().copied().collect()
    }

    /// Whether this was not begun before; it is now.
    pub fn start_writing(&self, writing: Writing) -> bool {
        let mut notes = self.notes();
        !notes.written.contains(&writing) && notes.writing.insert(writing)
    }

    /// This is written.
    pub fn note_written(&self, writing: Writing) {
        let mut notes = self.notes();
        notes.writing.remove(&writing);
        notes.written.insert(writing);
    }

    /// What is being written, and what is written.
    pub fn outputs(&self) -> (Vec<Writing>, Vec<Writing>) {
        let notes = self.notes();
        (notes.writing.iter().copied().collect(), notes.written.iter().copied().collect())
    }

    /// Ends the work; the first reason is kept.
    pub fn fail(&self, failure: Failure) {
        self.failure.send_if_modified(|first| {
            let news = first.is_none();
            first.get_or_insert(failure);
            news
        });
    }

    /// What ended the work.
    pub fn failure(&self) -> Option<Failure> {
        self.failure.borrow().clone()
    }

    /// Waits until something ends the work.
    pub async fn until_failed(&self) -> Failure {
        let mut failures = self.failure.subscribe();
        match failures.wait_for(Option::is_some).await.map(|failure| failure.clone()) {
            Ok(Some(failure)) => failure,
            // The sender lives in `self`, and what was waited for is there.
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}
