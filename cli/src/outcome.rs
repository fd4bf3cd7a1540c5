//! The result of a run, and its summary.

use api::job::Job;
use api::plan::Plan;
use operator::report::Report;
use serde_json::json;

/// The result of a run.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    /// The job.
    pub(crate) job: Job,
    /// The plan that the servers followed.
    pub(crate) plan: Plan,
    /// Phases, blank frames and memory over all servers.
    pub(crate) report: Report,
    /// Seconds since the process started.
    pub(crate) seconds: f64,
}

impl Outcome {
    /// The content of `summary.json`; docs/operations.md lists the fields.
    pub(crate) fn summary(&self) -> serde_json::Value {
        let phases: Vec<_> = self
            .report
            .phases
            .iter()
            .map(|phase| json!({"name": phase.name, "seconds": phase.seconds, "bytes": phase.bytes, "retries": phase.retries}))
            .collect();
        json!({
            "job": self.job.name,
            "servers": self.plan.partition.servers,
            "seconds": self.seconds,
            "peak_rss_bytes": self.report.peak_rss_bytes,
            "phases": phases,
            "frames_blank": self.report.frames_blank,
            "frames_without_centroid": self.report.frames_without_centroid,
            "restarts": self.report.restarts,
        })
    }
}
