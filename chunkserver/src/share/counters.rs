//! Counters of a share's progress. Tasks update the counters; requests for progress read them.

use crate::clock::unix_ms;
use api::phase::{Failure, Phase, PhaseProgress, Writing};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
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

    /// Records the start of a unit.
    pub fn start(&self) {
        if self.started_ms.load(Ordering::Relaxed) == 0 {
            let _ = self.started_ms.compare_exchange(0, unix_ms(), Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    /// Records finished units. Returns true after the last unit.
    pub fn done(&self, units: usize, bytes: u64) -> bool {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.ended_ms.fetch_max(unix_ms(), Ordering::Relaxed);
        // Release: a reader of the count also sees the data of the counted units.
        self.done.fetch_add(units as u64, Ordering::AcqRel) + units as u64 == self.total
    }

    /// Records received bytes of units that are not finished yet.
    pub fn received(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Records attempts beyond the first.
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
    /// Frames cropped; `None` without recentering.
    pub recenter: Option<Counter>,
    /// Bands pulled; `None` without an exchange.
    pub rechunk: Option<Counter>,
    /// Bands transformed; `None` without an FFT.
    pub fft: Option<Counter>,
    /// Objects of outputs written; `None` without outputs.
    pub write: Option<Counter>,
    /// Blocks with a row of another checksum.
    checksum_mismatches: AtomicU64,
    records: Mutex<Records>,
    /// The failure that ended the work. Waiting readers subscribe to it.
    failure: watch::Sender<Option<Failure>>,
}

#[derive(Debug, Default)]
struct Records {
    blank: BTreeSet<usize>,
    uncentered: BTreeSet<usize>,
    writing: BTreeSet<Writing>,
    written: BTreeSet<Writing>,
}

impl Counters {
    /// Counters for the given numbers of frames, bands and objects; `None` for phases that the job does not have.
    pub fn new(frames: usize, recenters: bool, bands: Option<usize>, transforms: bool, objects: Option<usize>) -> Self {
        Self {
            load: Counter::new(Phase::Load, frames),
            recenter: recenters.then(|| Counter::new(Phase::Recenter, frames)),
            rechunk: bands.map(|bands| Counter::new(Phase::Rechunk, bands)),
            fft: bands.filter(|_| transforms).map(|bands| Counter::new(Phase::Fft, bands)),
            write: objects.map(|objects| Counter::new(Phase::Write, objects)),
            checksum_mismatches: AtomicU64::default(),
            records: Mutex::default(),
            failure: watch::Sender::new(None),
        }
    }

    fn records(&self) -> std::sync::MutexGuard<'_, Records> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Progress of each phase that the job has.
    pub fn phases(&self) -> Vec<PhaseProgress> {
        [Some(&self.load), self.recenter.as_ref(), self.rechunk.as_ref(), self.fft.as_ref(), self.write.as_ref()]
            .into_iter()
            .flatten()
            .map(Counter::progress)
            .collect()
    }

    /// Records that a row of a block, or a line on the scratch disk, had another checksum.
    pub fn add_checksum_mismatch(&self) {
        self.checksum_mismatches.fetch_add(1, Ordering::Relaxed);
    }

    /// Blocks that were requested again, and reads that were refused, because of a checksum.
    pub fn checksum_mismatches(&self) -> u64 {
        self.checksum_mismatches.load(Ordering::Relaxed)
    }

    /// Records that frame `frame` is zero because the fetch or the decoder failed.
    pub fn add_blank(&self, frame: usize) {
        self.records().blank.insert(frame);
    }

    /// Records that frame `frame` has no centroid. A blank frame is already recorded as blank.
    pub fn add_uncentered(&self, frame: usize) {
        let mut records = self.records();
        if !records.blank.contains(&frame) {
            records.uncentered.insert(frame);
        }
    }

    /// Frames without a centroid.
    pub fn uncentered(&self) -> Vec<usize> {
        self.records().uncentered.iter().copied().collect()
    }

    /// Frames that are zero because the fetch or the decoder failed.
    pub fn blank(&self) -> Vec<usize> {
        self.records().blank.iter().copied().collect()
    }

    /// Records the start of a stage. Returns false if the stage was started before.
    pub fn start_writing(&self, writing: Writing) -> bool {
        let mut records = self.records();
        !records.written.contains(&writing) && records.writing.insert(writing)
    }

    /// Records the end of a stage.
    pub fn finish_writing(&self, writing: Writing) {
        let mut records = self.records();
        records.writing.remove(&writing);
        records.written.insert(writing);
    }

    /// Stages that are running, and stages that are finished.
    pub fn outputs(&self) -> (Vec<Writing>, Vec<Writing>) {
        let records = self.records();
        (records.writing.iter().copied().collect(), records.written.iter().copied().collect())
    }

    /// Ends the work. The first failure is kept.
    pub fn fail(&self, failure: Failure) {
        self.failure.send_if_modified(|first| {
            let changed = first.is_none();
            first.get_or_insert(failure);
            changed
        });
    }

    /// The failure that ended the work.
    pub fn failure(&self) -> Option<Failure> {
        self.failure.borrow().clone()
    }

    /// Waits until a failure ends the work.
    pub async fn until_failed(&self) -> Failure {
        let mut failures = self.failure.subscribe();
        match failures.wait_for(Option::is_some).await.map(|failure| failure.clone()) {
            Ok(Some(failure)) => failure,
            // Not reached: the sender is part of `self`, and the value is present after the wait.
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }
}
