//! A turn in, what people are told out. Pure.

pub mod conditions;
pub mod events;
pub mod status;

use crate::turn::Turn;
use api::phase::{Failure, Phase, PhaseProgress, Progress};
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

/// Sums up what a turn saw.
pub fn report(turn: &Turn) -> Report {
    let of_all: Vec<&Progress> = turn.observed.progress().map(|(_, progress)| progress).collect();
    let has = [
        (Phase::Load, turn.plan.partition.frames),
        (Phase::Recenter, if turn.job.recenter.is_some() { turn.plan.partition.frames } else { 0 }),
        (Phase::Rechunk, turn.plan.bands()),
        (Phase::Fft, if turn.job.fft.is_some() { turn.plan.bands() } else { 0 }),
    ];
    let phases = has.into_iter().filter(|(_, total)| *total > 0).map(|(phase, total)| sum_up(phase, total as u64, &of_all)).collect();
    let mut frames_blank: Vec<usize> = of_all.iter().flat_map(|progress| progress.blank.iter().copied()).collect();
    frames_blank.sort_unstable();
    Report {
        phases,
        frames_blank,
        peak_rss_bytes: of_all.iter().map(|progress| progress.peak_rss_bytes).sum(),
        servers_up: of_all.len(),
        restarts: turn.observed.restarts,
        started_ms: of_all.iter().flat_map(|progress| &progress.phases).map(|phase| phase.started_ms).filter(|&ms| ms > 0).min(),
        last_error: of_all.iter().find_map(|progress| progress.last_error.clone()),
        writing: (!turn.job.outputs.is_empty()).then(|| {
            let objects =
                of_all.iter().flat_map(|progress| &progress.phases).filter(|part| part.phase == Phase::Write).map(|part| part.total);
            sum_up(Phase::Write, objects.sum(), &of_all)
        }),
        outputs: (
            of_all.iter().flat_map(|progress| &progress.written).filter(|written| written.stage.is_last()).count(),
            turn.job.outputs.len(),
        ),
    }
}

fn sum_up(phase: Phase, total: u64, servers: &[&Progress]) -> PhaseReport {
    let parts: Vec<&PhaseProgress> = servers.iter().flat_map(|server| server.phases.iter().filter(|part| part.phase == phase)).collect();
    let started = parts.iter().map(|part| part.started_ms).filter(|&ms| ms > 0).min();
    let ended = parts.iter().map(|part| part.ended_ms).max().unwrap_or(0);
    PhaseReport {
        name: phase.to_string(),
        seconds: started.map_or(0.0, |started| ended.saturating_sub(started) as f64 / 1000.0),
        bytes: parts.iter().map(|part| part.bytes).sum(),
        retries: parts.iter().map(|part| part.retries).sum(),
        done: parts.iter().map(|part| part.done).sum(),
        total,
    }
}
