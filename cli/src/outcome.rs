//! What came out of a run, and its summary.

use api::job::Job;
use api::plan::Plan;
use operator::report::Report;
use serde_json::json;

/// What came out of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The job.
    pub job: Job,
    /// Its plan.
    pub plan: Plan,
    /// Phases, blank frames, memory.
    pub report: Report,
    /// Seconds from the process's start.
    pub seconds: f64,
}

impl Outcome {
    /// The summary, as design and tests know it.
    pub fn summary(&self) -> serde_json::Value {
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
            "restarts": self.report.restarts,
        })
    }
}
