//! The operator's numbers, for Prometheus.

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

/// Upper bounds of the histogram of reconciliations, in seconds. One that waits for news takes about one.
const BUCKETS: [f64; 9] = [0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];
/// Phases that a job can be in, so that each has its line from the start.
const PHASES: [&str; 7] = ["Pending", "Starting", "Running", "Recovering", "Suspended", "Complete", "Failed"];

/// The numbers.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Reconciliations that ended in an error.
    pub errors: Counter,
    /// Statuses written.
    pub status_writes: Counter,
    /// Whether this operator leads.
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
        registry.register("reconcile_seconds", "Time of a reconciliation, waiting for news included", reconciling.clone());
        registry.register("jobs", "ArrayJobs by phase", Clone::clone(&jobs));
        registry.register("server_restarts", "Servers started again, over all ArrayJobs there are", restarts.clone());
        Self { registry, errors, status_writes, leads, reconciling, jobs, restarts, store: Mutex::default() }
    }
}

/// Measures one reconciliation, until dropped.
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
    /// Measures a reconciliation.
    pub fn reconciling(&self) -> Timer<'_> {
        Timer { histogram: &self.reconciling, started: Instant::now() }
    }

    /// Counts the jobs of this cache from now on.
    pub fn count_jobs(&self, jobs: Store<ArrayJob>) {
        *self.store.lock().unwrap_or_else(PoisonError::into_inner) = Some(jobs);
    }

    /// All numbers, as Prometheus reads them.
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
