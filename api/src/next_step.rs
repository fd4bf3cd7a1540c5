//! The decision of the loop: a pure function of the job, the plan and the observed servers, without state of its own.

use crate::job::{Job, Output};
use crate::partition::ServerId;
use crate::phase::{Failure, Observed, Phase, Progress, Seen, Stage, Writing, reason};
use crate::plan::Plan;
use crate::wire::{Assignment, Peer};
use std::ops::Range;

/// A server that the kernel killed this often for lack of memory does not fit.
const MAX_OOM_KILLS: u32 = 2;

/// The next action of the loop.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Start these servers.
    Launch(Vec<ServerId>),
    /// Send the assignment to these servers.
    Assign(Vec<ServerId>, Box<Assignment>),
    /// Start these stages of outputs on these servers.
    Write(Vec<(ServerId, Writing)>),
    /// Wait until the state of a server changes.
    Wait,
    /// The job is complete: everything is computed and written.
    Finish,
    /// The job fails.
    Fail(Failure),
}

/// The next step. The same job, plan and state always give the same step.
pub fn next_step(job: &Job, plan: &Plan, observed: &Observed) -> Step {
    if let Some((id, failure)) = observed.progress().find_map(|(id, p)| p.failure.as_ref().map(|failure| (id, failure))) {
        return Step::Fail(Failure { reason: failure.reason.clone(), message: format!("{} (server {})", failure.message, id.0) });
    }
    if let Some(failure) = too_many_losses(job, observed) {
        return Step::Fail(failure);
    }
    let missing: Vec<ServerId> =
        plan.ids().filter(|id| matches!(observed.servers[id.0], Seen::Absent | Seen::Exited(_) | Seen::Lost(_))).collect();
    if !missing.is_empty() {
        return Step::Launch(missing);
    }
    let assignment = assignment(job, plan, observed);
    let stale: Vec<ServerId> = observed.progress().filter(|(_, p)| !assignment.is_known_to(p)).map(|(id, _)| id).collect();
    if !stale.is_empty() {
        return Step::Assign(stale, Box::new(assignment));
    }
    let all_computed =
        observed.progress().count() == plan.partition.servers && observed.progress().all(|(_, p)| p.complete_through(Phase::Fft));
    if !all_computed {
        return Step::Wait;
    }
    write_or_finish(job, plan, observed)
}

fn write_or_finish(job: &Job, plan: &Plan, observed: &Observed) -> Step {
    let reports = |id: ServerId, list: fn(&Progress) -> &Vec<Writing>, wanted: Writing| {
        observed.progress().any(|(server, p)| server == id && list(p).contains(&wanted))
    };
    let mut not_started = Vec::new();
    let mut all_written = true;
    for (output, wanted) in job.outputs.iter().enumerate() {
        // A server that writes or has written objects found the array open, or closed with all objects. The server that opened the array
        // may have been replaced since. A second Open would start an array without these objects.
        let part = Writing { output, stage: Stage::Part };
        let is_open = observed.progress().any(|(_, p)| p.written.contains(&part) || p.writing.contains(&part));
        for (stage, writers) in stages(output, wanted, plan) {
            if stage == Stage::Open && is_open {
                continue;
            }
            let of = Writing { output, stage };
            let is_idle = |&id: &ServerId| !reports(id, |p| &p.writing, of) && !reports(id, |p| &p.written, of);
            not_started.extend(writers.clone().filter(is_idle).map(|id| (id, of)));
            // The next stage needs this stage on all servers.
            if !writers.clone().all(|id| reports(id, |p| &p.written, of)) {
                all_written = false;
                break;
            }
        }
    }
    if !not_started.is_empty() {
        return Step::Write(not_started);
    }
    if all_written { Step::Finish } else { Step::Wait }
}

/// The stages of an output in order, with the servers of each stage. Consecutive outputs use consecutive servers for Whole, Open and Close.
fn stages(output: usize, wanted: &Output, plan: &Plan) -> Vec<(Stage, impl Iterator<Item = ServerId> + Clone + use<>)> {
    let servers = plan.partition.servers;
    let one = output % servers;
    let ids = |range: Range<usize>| range.map(ServerId);
    if wanted.is_zarr() {
        vec![(Stage::Open, ids(one..one + 1)), (Stage::Part, ids(0..servers)), (Stage::Close, ids(one..one + 1))]
    } else {
        vec![(Stage::Whole, ids(one..one + 1))]
    }
}

fn too_many_losses(job: &Job, observed: &Observed) -> Option<Failure> {
    let lost = observed.servers.iter().find_map(|seen| if let Seen::Exited(why) = seen { Some(why) } else { None })?;
    if observed.oom_kills >= MAX_OOM_KILLS {
        return Some(Failure {
            reason: reason::INSUFFICIENT_MEMORY.into(),
            message: format!(
                "a server ended {} times for lack of memory ({lost}); free memory, set a smaller --memory or storage: Disk, or keep fewer \
                 arrays",
                observed.oom_kills
            ),
        });
    }
    (observed.restarts >= job.backoff_limit).then(|| Failure {
        reason: reason::BACKOFF_LIMIT_EXCEEDED.into(),
        message: format!("a server ended ({lost}) after {} restarts; see its log, or raise backoffLimit", observed.restarts),
    })
}

/// The assignment for the current peers. Without overlap, servers pull blocks only after all frames are loaded, so that the memory of Load is
/// free again.
fn assignment(job: &Job, plan: &Plan, observed: &Observed) -> Assignment {
    let peers = observed
        .servers
        .iter()
        .map(|seen| match seen {
            Seen::Up { address, progress } => Some(Peer { address: address.clone(), boot: progress.boot.clone() }),
            Seen::Absent | Seen::Exited(_) | Seen::Lost(_) | Seen::Starting => None,
        })
        .collect();
    let current = |p: &Progress| p.assignment.as_ref().is_some_and(|(uid, generation)| *uid == job.uid && *generation == job.generation);
    let loaded = observed.progress().count() == plan.partition.servers
        && observed.progress().all(|(_, p)| current(p) && p.complete_through(Phase::Recenter));
    let goal = if plan.overlap || loaded { Phase::Fft } else { Phase::Recenter };
    Assignment { job: job.clone(), plan: plan.clone(), peers, goal }
}

#[cfg(test)]
mod tests;
