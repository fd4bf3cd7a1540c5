//! A turn in, what people are told out. Pure.

pub mod conditions;
pub mod events;
pub mod status;

use crate::turn::Turn;
use api::phase::{Failure, PhaseProgress, Total};
use serde::Serialize;

/// One phase over all servers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PhaseReport {
    /// Its name.
    pub name: String,
    /// From its first unit's start to its last unit's end. Phases overlap, so these do not add up to the job's time.
    pub seconds: f64,
    /// Bytes fetched, cropped, pulled, made.
    pub bytes: u64,
    /// Attempts beyond the first.
    pub retries: u64,
    /// Units done: frames, bands, or objects of outputs.
    pub done: u64,
    /// Units in all.
    pub total: u64,
}

impl PhaseReport {
    /// What the units are.
    pub fn unit(&self) -> &'static str {
        match self.name.as_str() {
            "Load" | "Recenter" => "frames",
            "Write" => "objects",
            _ => "bands",
        }
    }
}

/// The job over all servers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Phases that the job has, in order.
    pub phases: Vec<PhaseReport>,
    /// Frames that are zero because they could not be had.
    pub frames_blank: Vec<usize>,
    /// Sum of all servers' largest resident memory, in bytes.
    pub peak_rss_bytes: u64,
    /// Servers that answer.
    pub servers_up: usize,
    /// How often a server was started again.
    pub restarts: u32,
    /// How far outputs are written; none without outputs.
    pub writing: Option<PhaseReport>,
    /// Outputs written, and in all.
    pub outputs: (usize, usize),
    /// Start of the first unit of work, in milliseconds of Unix time.
    pub started_ms: Option<u64>,
    /// What a server has trouble with and still tries.
    pub last_error: Option<Failure>,
}

/// The report of a turn.
pub fn report(turn: &Turn) -> Report {
    let total = Total::of(&turn.job, &turn.plan.partition, turn.observed.progress());
    let outputs = turn.job.outputs.len();
    Report {
        phases: total.phases.iter().map(PhaseReport::from).collect(),
        frames_blank: total.blank,
        peak_rss_bytes: total.peak_rss_bytes,
        servers_up: turn.observed.progress().count(),
        restarts: turn.observed.restarts,
        started_ms: total.started_ms,
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
