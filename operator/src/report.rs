//! The report of a turn, for the status and for the command line. Pure.

pub mod conditions;
pub mod events;
pub mod status;

use crate::turn::Turn;
use api::phase::{Failure, Phase, PhaseProgress, Total};
use serde::Serialize;

/// The progress of one phase over all servers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PhaseReport {
    /// Name of the phase.
    pub name: String,
    /// Time from the start of the first unit to the end of the last unit. Phases overlap: the sum exceeds the time of the job.
    pub seconds: f64,
    /// Bytes that the phase fetched, cropped, pulled or computed.
    pub bytes: u64,
    /// Attempts after the first attempt.
    pub retries: u64,
    /// Completed units: frames, bands, or objects of outputs.
    pub done: u64,
    /// All units.
    pub total: u64,
}

impl PhaseReport {
    /// Name of the units: frames, bands or objects. `units` for a phase that another version of the operator has recorded.
    pub fn unit(&self) -> &'static str {
        serde_json::from_value(self.name.as_str().into()).map_or("units", Phase::unit)
    }
}

/// The progress of a job over all servers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The phases of the job, in order.
    pub phases: Vec<PhaseReport>,
    /// Indices of frames that are zero because they could not be fetched.
    pub frames_blank: Vec<usize>,
    /// Indices of frames whose crops start at the first pixel because the frames have no centroid.
    pub frames_without_centroid: Vec<usize>,
    /// Sum over all servers of the peak resident memory, in bytes.
    pub peak_rss_bytes: u64,
    /// Number of servers that respond.
    pub servers_up: usize,
    /// Number of restarts of servers that ended by themselves.
    pub restarts: u32,
    /// The progress of outputs; `None` without outputs.
    pub writing: Option<PhaseReport>,
    /// Number of written outputs, and of all outputs.
    pub outputs: (usize, usize),
    /// Seconds from the start of the first unit of work to the end of the last completed unit, by the clocks of the servers. `None` before.
    /// A step of the operator's clock has no effect.
    pub work_seconds: Option<f64>,
    /// The last error that a server still retries.
    pub last_error: Option<Failure>,
}

/// The report of a turn.
pub fn report(turn: &Turn) -> Report {
    let total = Total::of(&turn.job, &turn.plan.partition, turn.observed.progress());
    let outputs = turn.job.outputs.len();
    let work_seconds = total.seconds();
    Report {
        phases: total.phases.iter().map(PhaseReport::from).collect(),
        frames_blank: total.blank,
        frames_without_centroid: total.uncentered,
        peak_rss_bytes: total.peak_rss_bytes,
        servers_up: turn.observed.progress().count(),
        restarts: turn.observed.restarts,
        work_seconds,
        last_error: total.last_error.map(|(_, failure)| failure),
        writing: (outputs > 0).then(|| PhaseReport::from(&total.writing)),
        outputs: (total.written.len(), outputs),
    }
}

impl From<&PhaseProgress> for PhaseReport {
    fn from(phase: &PhaseProgress) -> Self {
        Self {
            name: phase.phase.to_string(),
            seconds: phase.seconds(),
            bytes: phase.bytes,
            retries: phase.retries,
            done: phase.done,
            total: phase.total,
        }
    }
}
