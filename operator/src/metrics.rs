//! The operator's metrics, for Prometheus.

use crds::ArrayJob;
use kube::runtime::reflector::Store;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

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
    jobs: Family<Vec<(String, String)>, Gauge>,
    restarts: Gauge,
    store: Mutex<Option<Store<ArrayJob>>>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("arrayjob_operator");
        let (errors, status_writes, leads, restarts) = (Counter::default(), Counter::default(), Gauge::default(), Gauge::default());
        let (reconciling, jobs) = (Histogram::new(BUCKETS), Family::default());
        registry.register("reconcile_errors", "Reconciliations that ended in an error", errors.clone());
        registry.register("status_writes", "Statuses written", status_writes.clone());
        registry.register("leads", "Whether this operator leads", leads.clone());
        registry.register("reconcile_seconds", "Time of a reconciliation, with the wait for progress", reconciling.clone());
        registry.register("jobs", "ArrayJobs by phase", Clone::clone(&jobs));
        registry.register("server_restarts", "Restarts of servers, over all existing ArrayJobs", restarts.clone());
        Self { registry, errors, status_writes, leads, reconciling, jobs, restarts, store: Mutex::default() }
    }
}

/// Measures the time of one reconciliation until the timer is dropped.
#[derive(Debug)]
pub struct Timer<'a> {
    histogram: &'a Histogram,
    started: Instant,
}

impl Drop for Timer<'_> {
    fn drop(&mut self) {
        self.histogram.observe(self.started.elapsed().as_secs_f64());
    }
}

impl Metrics {
    /// Starts the timer of a reconciliation.
    pub fn reconciling(&self) -> Timer<'_> {
        Timer { histogram: &self.reconciling, started: Instant::now() }
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
