//! What the server takes, and what it waits for: read when somebody asks, and again and again while there is work.

use super::Worker;
use crate::share::Share;
use api::phase::{Phase, PhaseProgress, Vitals, Wait};
use journal::Kind;
use journal::system::{Usage, memory_limit_bytes, usage};
use std::sync::{Mutex, PoisonError, Weak};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The system is not asked again before.
const FRESH: Duration = Duration::from_millis(200);

/// What the system said last.
#[derive(Debug, Default)]
pub(super) struct Gauge {
    latest: Mutex<Option<(Instant, u64, Usage)>>,
}

impl Gauge {
    /// When in milliseconds of Unix time, and what the process had taken by then; not long ago.
    fn read(&self) -> (u64, Usage) {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, at_ms, usage)) = *latest
            && at.elapsed() < FRESH
        {
            return (at_ms, usage);
        }
        let at_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
        let usage = usage();
        *latest = Some((Instant::now(), at_ms, usage));
        (at_ms, usage)
    }
}

impl Worker {
    /// What it takes and waits for now.
    pub(crate) fn vitals(&self) -> Vitals {
        let (at_ms, Usage { cpu_ms, resident_bytes }) = self.gauge.read();
        let (received_bytes, sent_bytes) = self.client.traffic.bytes();
        Vitals {
            at_ms,
            cores: self.compute.threads() as u64,
            cpu_ms,
            resident_bytes,
            memory_limit_bytes: memory_limit_bytes(),
            received_bytes,
            sent_bytes,
            waits: self.share().map_or_else(Vec::new, |share| share.waits()),
        }
    }
}

impl Share {
    /// What there is more work to do for, but nothing to compute with right now.
    fn waits(&self) -> Vec<Wait> {
        if self.journal.computes() || self.counters.failure().is_some() {
            return Vec::new();
        }
        let begun = self.counters.outputs().0.len();
        waits(&self.counters.phases(), begun, self.journal.running(Kind::Write))
    }

    /// Whether there is nothing to do, unless somebody says so.
    fn rests(&self) -> bool {
        let computed = self.counters.phases().iter().filter(|phase| phase.phase != Phase::Write).all(PhaseProgress::complete);
        self.counters.failure().is_some() || (computed && self.counters.outputs().0.is_empty())
    }
}

/// What a server waits for whose threads do nothing, with `begun` stages of outputs of which so many write.
fn waits(phases: &[PhaseProgress], begun: usize, writing: usize) -> Vec<Wait> {
    let open = |phase| phases.iter().any(|of| of.phase == phase && !of.complete());
    let mut waits = Vec::new();
    if open(Phase::Load) {
        waits.push(Wait::Source);
    } else if open(Phase::Rechunk) {
        waits.push(Wait::Peers);
    }
    if writing > 0 {
        waits.push(Wait::Store);
    }
    // There is memory for one at a time.
    if begun > writing {
        waits.push(Wait::Memory);
    }
    waits
}

/// Notes in the share's journal what the process takes, for as long as it is there; at rest, nothing new until something happens.
pub(super) async fn watch(worker: Weak<Worker>, share: Weak<Share>) {
    let Some(mut milestones) = worker.upgrade().map(|worker| worker.milestones()) else { return };
    loop {
        // Neither is held while nothing is done: memory of a share that is over is wanted by the next one.
        let (pause, rests) = {
            let (Some(worker), Some(share)) = (worker.upgrade(), share.upgrade()) else { return };
            milestones.mark_unchanged();
            let rests = share.rests();
            (share.journal.sample(&worker.gauge.read().1, &worker.client.traffic), rests)
        };
        if rests && milestones.changed().await.is_err() {
            return;
        }
        tokio::time::sleep(pause).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_waits_for_what_its_next_work_needs() {
        let phase = |phase, done| PhaseProgress { phase, done, total: 2, bytes: 0, retries: 0, started_ms: 0, ended_ms: 0 };
        let check = |loaded, pulled, begun, writing, expected: &[Wait]| {
            let phases = [phase(Phase::Load, loaded), phase(Phase::Rechunk, pulled), phase(Phase::Fft, pulled)];
            assert_eq!(waits(&phases, begun, writing), expected, "{loaded} {pulled} {begun} {writing}");
        };
        check(1, 0, 0, 0, &[Wait::Source]);
        check(2, 1, 0, 0, &[Wait::Peers]);
        check(2, 2, 0, 0, &[]);
        check(2, 2, 1, 1, &[Wait::Store]);
        check(2, 2, 3, 1, &[Wait::Store, Wait::Memory]);
    }

    #[test]
    fn the_system_is_not_asked_twice_at_once() {
        let gauge = Gauge::default();
        let first = gauge.read();
        assert!(first.0 > 0 && first.1.resident_bytes > 0);
        assert_eq!(gauge.read(), first);
    }
}
