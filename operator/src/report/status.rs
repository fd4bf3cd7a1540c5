//! The status of an ArrayJob, from the report of a turn and the facts of a reconciliation. Pure: the time is an input.

use super::conditions::{Facts, conditions};
use super::{PhaseReport, Report};
use api::geometry::human_bytes;
use api::job::Kept;
use api::phase::Failure;
use api::plan::{Memory, Placement, Plan};
use crds::ArrayJobStatus;
use crds::v1alpha1::status::{Failures, LastFailure, PhaseStatus, PlanStatus, ProgressStatus, ServersStatus};
use jiff::{Timestamp, Unit};

/// Maximum number of blank frames, and of frames without a centroid, that a status lists.
const MAX_LISTED: usize = 100;

/// A time in the format of statuses: RFC 3339, UTC, whole seconds.
pub fn time(now: Timestamp) -> String {
    now.round(Unit::Second).unwrap_or(now).to_string()
}

/// The input of a status.
#[derive(Clone, Debug, Default)]
pub struct StatusInput {
    /// Observed generation of the manifest.
    pub generation: Option<i64>,
    /// The input of the conditions.
    pub facts: Facts,
    /// The report of the servers, after a turn.
    pub report: Option<Report>,
    /// Number of servers of the plan.
    pub desired: usize,
    /// Number of servers that were launched at least once.
    pub launched: usize,
    /// Failures and disruptions so far.
    pub counts: (u32, u32),
    /// The last lost server.
    pub last: Option<LastFailure>,
    /// Whether a lost server is being replaced after the start of the work.
    pub recovering: bool,
}

/// The status after `before`.
pub fn status(before: &ArrayJobStatus, input: &StatusInput, now: Timestamp) -> ArrayJobStatus {
    let text = time(now);
    let mut after = before.clone();
    after.observed_generation = input.generation;
    after.conditions = conditions(&before.conditions, &input.facts, input.generation, &text);
    let ended = super::conditions::ended(&after.conditions);
    if ended.is_some() {
        after.completion_time.get_or_insert(text);
    }
    let up = input.report.as_ref().map_or(0, |report| report.servers_up) as u64;
    let (counted, uncounted) = input.counts;
    after.servers = Some(ServersStatus {
        desired: input.desired as u64,
        ready: up,
        launched: input.launched as u64,
        restarts: u64::from(counted) + u64::from(uncounted),
        summary: format!("{up}/{}", input.desired),
    });
    if counted + uncounted > 0 {
        after.failures = Some(Failures { counted, uncounted, last: input.last.clone() });
    }
    // The numbers of a complete job stay; a replaced server that computes its share again does not change them.
    if let (Some(report), false) = (&input.report, matches!(super::conditions::ended(&before.conditions), Some(Ok(_)))) {
        after.phases = report.phases.iter().map(phase).collect();
        let mut progress = progress(report, matches!(ended, Some(Ok(_))));
        if let Some(before) =
            before.progress.as_ref().filter(|before| (before.bytes, &before.percent) == (progress.bytes, &progress.percent))
        {
            // Without progress, the estimate stays, so that the status does not change.
            (progress.eta_seconds, progress.eta) = (before.eta_seconds, before.eta.clone());
        }
        after.progress = Some(progress);
        let first = |frames: &[usize]| frames.iter().take(MAX_LISTED).map(|&frame| frame as u64).collect();
        if !report.frames_blank.is_empty() {
            after.frames_blank = first(&report.frames_blank);
            after.frames_blank_count = Some(report.frames_blank.len() as u64);
        }
        if !report.frames_without_centroid.is_empty() {
            after.frames_without_centroid = first(&report.frames_without_centroid);
            after.frames_without_centroid_count = Some(report.frames_without_centroid.len() as u64);
        }
    }
    after.phase = Some(summary(&after, input, ended.as_ref()).to_owned());
    after
}

/// The phase: all conditions in one word.
fn summary(status: &ArrayJobStatus, input: &StatusInput, ended: Option<&Result<String, Failure>>) -> &'static str {
    let begun = status.phases.iter().any(|phase| phase.done > 0);
    match ended {
        Some(Ok(_)) => "Complete",
        Some(Err(_)) => "Failed",
        None if input.facts.suspended => "Suspended",
        None if status.start_time.is_none() => "Pending",
        None if input.recovering => "Recovering",
        None if begun => "Running",
        None => "Starting",
    }
}

fn phase(phase: &PhaseReport) -> PhaseStatus {
    let state = match phase.done {
        0 => "Waiting",
        done if done >= phase.total => "Complete",
        _ => "Running",
    };
    PhaseStatus {
        name: phase.name.clone(),
        state: state.into(),
        done: phase.done,
        total: phase.total,
        unit: phase.unit().into(),
        bytes: phase.bytes,
        seconds: (phase.seconds * 1000.0).round() / 1000.0,
        retries: phase.retries,
    }
}

fn progress(report: &Report, complete: bool) -> ProgressStatus {
    let share = |phase: &PhaseReport| (phase.done as f64 / phase.total.max(1) as f64).min(1.0);
    let phases = report.phases.len().max(1) as f64;
    let done = if complete { 1.0 } else { report.phases.iter().map(share).sum::<f64>() / phases };
    let current = report.phases.iter().find(|phase| phase.done < phase.total);
    let step = match current {
        Some(phase) => phase.name.clone(),
        None if complete => "Done".into(),
        None => "Write".into(),
    };
    // The rate of the current phase, or of the last phase if all phases are done.
    let rated_phase = current.or(report.phases.last());
    let rate = rated_phase.filter(|phase| phase.seconds > 0.0).map_or(0, |phase| (phase.bytes as f64 / phase.seconds) as u64);
    let elapsed = report.work_seconds.filter(|_| !complete && done > 0.02);
    let eta_seconds = elapsed.map(|elapsed| (elapsed * (1.0 - done) / done).ceil() as u64);
    ProgressStatus {
        // A job that is not complete shows at most 99 %.
        percent: format!("{}%", if complete { 100 } else { ((done * 100.0) as u64).min(99) }),
        step,
        bytes: report.phases.iter().map(|phase| phase.bytes).sum(),
        bytes_per_second: rate,
        eta_seconds,
        eta: eta_seconds.map(duration),
    }
}

/// `42s`, `4m10s`, `2h05m`.
fn duration(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
    }
}

/// The plan in the form of the status.
pub fn plan_status(plan: &Plan, generation: i64, memory_limit_bytes: u64) -> PlanStatus {
    let frame_bytes = plan.partition.frames as u64 * plan.partition.frame.bytes() as u64;
    let scratch_bytes = plan.memory.iter().map(Memory::disk).max().unwrap_or(0);
    PlanStatus {
        generation,
        servers: plan.partition.servers as u64,
        threads: plan.threads as u64,
        memory_limit_bytes,
        peak_bytes: plan.peak_bytes(),
        scratch_bytes,
        frame_bytes,
        wire_bytes: plan.wire_bytes(),
        storage: plan.storage.name().into(),
        keep: plan
            .keep
            .iter()
            .map(|kept| match kept {
                Kept::Raw => "raw".into(),
                Kept::Recentered => "recentered".into(),
                Kept::Rechunked => "rechunked".into(),
                Kept::Spectrum => plan.fft.map_or("spectrum", |fft| api::arrays::spectrum_name(fft.output)).into(),
            })
            .collect(),
        fingerprint: plan.identity(),
        summary: format!(
            "{} × {}, {} servers of {} (limit {}){}",
            plan.partition.frames,
            plan.partition.frame,
            plan.partition.servers,
            human_bytes(plan.peak_bytes()),
            human_bytes(memory_limit_bytes),
            match plan.storage {
                Placement::Memory => "",
                Placement::TilesOnDisk => ", tiles on scratch disk",
                Placement::Disk => ", arrays on scratch disk",
            }
        ),
    }
}

#[cfg(test)]
mod tests;
