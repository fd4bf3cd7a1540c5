//! The operator's metrics, for Prometheus.

use crate::server_client::Waits;
use crds::ArrayJob;
use kube::runtime::reflector::Store;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Upper bounds of the histogram of reconciliations, in seconds. A reconciliation that waits for progress takes about 1 s.
const BUCKETS: [f64; 9] = [0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];
/// All phases of a job, so that each has a sample from the start.
const PHASES: [&str; 7] = ["Pending", "Starting", "Running", "Recovering", "Suspended", "Complete", "Failed"];

/// The metrics.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Reconciliations that ended in an error.
    pub errors: Counter,
    /// Written statuses.
    pub status_writes: Counter,
    /// 1 if this operator holds the lease, else 0.
    pub leads: Gauge,
    reconciling: Histogram,
    working: Histogram,
    jobs: Family<Vec<(String, String)>, Gauge>,
    restarts: Gauge,
    store: Mutex<Option<Store<ArrayJob>>>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("arrayjob_operator");
        let (errors, status_writes, leads, restarts) = (Counter::default(), Counter::default(), Gauge::default(), Gauge::default());
        let (reconciling, working, jobs) = (Histogram::new(BUCKETS), Histogram::new(BUCKETS), Family::default());
        registry.register("reconcile_errors", "Reconciliations that ended in an error", errors.clone());
        registry.register("status_writes", "Statuses written", status_writes.clone());
        registry.register("leads", "Whether this operator leads", leads.clone());
        registry.register("reconcile_seconds", "Time of a reconciliation, with the wait for progress", reconciling.clone());
        registry.register(
            "reconcile_work_seconds",
            "Time of a reconciliation, without its waits for servers and for the next write of the status",
            working.clone(),
        );
        registry.register("jobs", "ArrayJobs by phase", Clone::clone(&jobs));
        registry.register("server_restarts", "Restarts of servers, over all existing ArrayJobs", restarts.clone());
        Self { registry, errors, status_writes, leads, reconciling, working, jobs, restarts, store: Mutex::default() }
    }
}

/// Measures the time of one reconciliation until the timer is dropped.
#[derive(Debug)]
pub struct Timer<'a> {
    metrics: &'a Metrics,
    started: Instant,
    /// Time of the waits for something else than servers, in microseconds.
    waited: AtomicU64,
    /// Waits for servers, and their time before the reconciliation.
    servers: Option<(Waits, Duration)>,
}

impl Timer<'_> {
    /// From now on, the time of `waits` does not count as work.
    pub fn watch(&mut self, waits: &Waits) {
        self.servers = Some((waits.clone(), waits.total()));
    }

    /// Waits until `done`. The time counts as a wait, not as work.
    pub async fn wait<T>(&self, done: impl Future<Output = T>) -> T {
        let started = Instant::now();
        let output = done.await;
        self.waited.fetch_add(started.elapsed().as_micros() as u64, Ordering::Relaxed);
        output
    }
}

impl Drop for Timer<'_> {
    fn drop(&mut self) {
        let all = self.started.elapsed();
        let servers = self.servers.as_ref().map_or(Duration::ZERO, |(waits, before)| waits.total().saturating_sub(*before));
        let waited = servers + Duration::from_micros(self.waited.load(Ordering::Relaxed));
        self.metrics.reconciling.observe(all.as_secs_f64());
        self.metrics.working.observe(all.saturating_sub(waited).as_secs_f64());
    }
}

impl Metrics {
    /// Starts the timer of a reconciliation.
    pub fn reconciling(&self) -> Timer<'_> {
        Timer { metrics: self, started: Instant::now(), waited: AtomicU64::new(0), servers: None }
    }

    /// Sets the cache whose jobs are counted.
    pub fn count_jobs(&self, jobs: Store<ArrayJob>) {
        *self.store.lock().unwrap_or_else(PoisonError::into_inner) = Some(jobs);
    }

    /// All metrics in the OpenMetrics text format.
    pub fn text(&self) -> String {
        if let Some(store) = &*self.store.lock().unwrap_or_else(PoisonError::into_inner) {
            let jobs = store.state();
            let phase = |job: &ArrayJob| job.status.as_ref().and_then(|status| status.phase.clone()).unwrap_or_else(|| "Pending".into());
            for name in PHASES {
                let count = jobs.iter().filter(|job| phase(job) == name).count();
                self.jobs.get_or_create(&vec![("phase".into(), name.into())]).set(count as i64);
            }
            let restarts =
                |job: &ArrayJob| job.status.as_ref().and_then(|status| status.servers.as_ref()).map_or(0, |servers| servers.restarts);
            self.restarts.set(jobs.iter().map(|job| restarts(job) as i64).sum());
        }
        let mut text = String::new();
        // Writing to a String does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_time_of_a_wait_counts_as_a_reconciliation_and_not_as_work() {
        let metrics = Metrics::default();
        let timer = metrics.reconciling();
        let real_time = || std::thread::sleep(Duration::from_millis(30));
        timer.wait(async { real_time() }).await;
        drop(timer);
        let text = metrics.text();
        assert!(text.contains("reconcile_seconds_bucket{le=\"0.02\"} 0"), "{text}");
        assert!(text.contains("reconcile_work_seconds_bucket{le=\"0.02\"} 1"), "{text}");
    }
}
