//! CPU time, memory and traffic of the server, and what its idle compute threads wait for. Sampled on request, and periodically while there is
//! work.

use super::Worker;
use crate::share::Share;
use api::phase::{Phase, PhaseProgress, Vitals, Wait};
use journal::Kind;
use journal::control_groups::memory_limit_bytes;
use journal::system::{Usage, usage};
use std::sync::{Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

/// Lifetime of a sample. Within this time, the system is not queried again.
const LIFETIME: Duration = Duration::from_millis(200);

/// The last sample of the process's resource usage.
#[derive(Debug, Default)]
pub(super) struct UsageCache {
    latest: Mutex<Option<(Instant, u64, Usage)>>,
}

impl UsageCache {
    /// A sample that is at most [`LIFETIME`] old, and its time in milliseconds of Unix time.
    fn read(&self) -> (u64, Usage) {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, at_ms, usage)) = *latest
            && at.elapsed() < LIFETIME
        {
            return (at_ms, usage);
        }
        let at_ms = crate::clock::unix_ms();
        let usage = usage();
        *latest = Some((Instant::now(), at_ms, usage));
        (at_ms, usage)
    }
}

impl Worker {
    /// CPU time, memory, traffic and waits of this server.
    pub(crate) fn vitals(&self) -> Vitals {
        let (at_ms, Usage { cpu_ms, resident_bytes }) = self.usage.read();
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
    /// What idle compute threads wait for; empty while a thread computes.
    fn waits(&self) -> Vec<Wait> {
        if self.journal.computes() || self.counters.failure().is_some() {
            return Vec::new();
        }
        let started = self.counters.outputs().0.len();
        waits(&self.counters.phases(), started, self.journal.running(Kind::Write))
    }

    /// Whether the share has no work until the next command.
    fn is_idle(&self) -> bool {
        let computed = self.counters.phases().iter().filter(|phase| phase.phase != Phase::Write).all(PhaseProgress::complete);
        self.counters.failure().is_some() || (computed && self.counters.outputs().0.is_empty())
    }
}

/// What a server with idle threads waits for. `started` is the number of started stages of outputs; `writing` of them are writing.
fn waits(phases: &[PhaseProgress], started: usize, writing: usize) -> Vec<Wait> {
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
    // The plan has memory for one stage at a time.
    if started > writing {
        waits.push(Wait::Memory);
    }
    waits
}

/// Records the process's resource usage in the share's journal until the share is dropped. An idle share is sampled after the next milestone.
pub(super) async fn watch(worker: Weak<Worker>, share: Weak<Share>) {
    let Some(mut milestones) = worker.upgrade().map(|worker| worker.milestones()) else { return };
    loop {
        // The references are released during the pause, so that a replaced share frees its memory.
        let (pause, idle) = {
            let (Some(worker), Some(share)) = (worker.upgrade(), share.upgrade()) else { return };
            milestones.mark_unchanged();
            let idle = share.is_idle();
            (share.journal.sample(&worker.usage.read().1, &worker.client.traffic), idle)
        };
        if idle && milestones.changed().await.is_err() {
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
        let check = |loaded, pulled, started, writing, expected: &[Wait]| {
            let phases = [phase(Phase::Load, loaded), phase(Phase::Rechunk, pulled), phase(Phase::Fft, pulled)];
            assert_eq!(waits(&phases, started, writing), expected, "{loaded} {pulled} {started} {writing}");
        };
        check(1, 0, 0, 0, &[Wait::Source]);
        check(2, 1, 0, 0, &[Wait::Peers]);
        check(2, 2, 0, 0, &[]);
        check(2, 2, 1, 1, &[Wait::Store]);
        check(2, 2, 3, 1, &[Wait::Store, Wait::Memory]);
    }

    #[test]
    fn the_system_is_not_queried_twice_within_the_lifetime() {
        let cache = UsageCache::default();
        let first = cache.read();
        assert!(first.0 > 0 && first.1.resident_bytes > 0);
        assert_eq!(cache.read(), first);
    }
}
