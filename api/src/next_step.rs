//! What to do next, from what is seen: pure, total, and without a memory of its own.

use crate::job::{Job, Output};
use crate::phase::{Failure, Observed, Phase, Progress, Seen, Stage, Writing, reason};
use crate::plan::{Plan, ServerId};
use crate::wire::{Assignment, Peer};
use std::ops::Range;

/// The one thing to do next.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Start these servers.
    Launch(Vec<ServerId>),
    /// Tell these servers what is theirs and where their peers are.
    Assign(Vec<ServerId>, Box<Assignment>),
    /// Have servers write outputs, or their parts of them.
    Write(Vec<(ServerId, Writing)>),
    /// Nothing to do until something changes.
    Wait,
    /// All is computed and written.
    Finish,
    /// The job cannot be finished.
    Fail(Failure),
}

/// Decides. The same plan and the same sight give the same step, whoever asks and however often.
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
    let all_computed = observed.progress().count() == plan.servers && observed.progress().all(|(_, p)| p.complete_through(Phase::Fft));
    if !all_computed {
        return Step::Wait;
    }
    write_or_finish(job, plan, observed)
}

fn write_or_finish(job: &Job, plan: &Plan, observed: &Observed) -> Step {
    let told = |id: ServerId, has: fn(&Progress) -> &Vec<Writing>, wanted: Writing| {
        observed.progress().any(|(seen, p)| seen == id && has(p).contains(&wanted))
    };
    let mut untold = Vec::new();
    let mut all_written = true;
    for (output, wanted) in job.outputs.iter().enumerate() {
        // Who has written a part found the place open. The server that opened it may be another one now, and to open it again
        // would undo what is closed.
        let is_open = observed.progress().any(|(_, p)| p.written.contains(&Writing { output, stage: Stage::Part }));
        for (stage, writers) in stages(output, wanted, plan) {
            if stage == Stage::Open && is_open {
                continue;
            }
            let of = Writing { output, stage };
            untold.extend(writers.clone().filter(|&id| !told(id, |p| &p.writing, of) && !told(id, |p| &p.written, of)).map(|id| (id, of)));
            // The next stage stands on this one.
            if !writers.clone().all(|id| told(id, |p| &p.written, of)) {
                all_written = false;
                break;
            }
        }
    }
    if !untold.is_empty() {
        return Step::Write(untold);
    }
    if all_written { Step::Finish } else { Step::Wait }
}

/// The stages of an output in order, and who does each: one server, another for each output, or all.
fn stages(output: usize, wanted: &Output, plan: &Plan) -> Vec<(Stage, impl Iterator<Item = ServerId> + Clone + use<>)> {
    let one = output % plan.servers;
    let servers = |range: Range<usize>| range.map(ServerId);
    if wanted.is_zarr() {
        vec![(Stage::Open, servers(one..one + 1)), (Stage::Part, servers(0..plan.servers)), (Stage::Close, servers(one..one + 1))]
    } else {
        vec![(Stage::Whole, servers(one..one + 1))]
    }
}

fn too_many_losses(job: &Job, observed: &Observed) -> Option<Failure> {
    let lost = observed.servers.iter().find_map(|seen| if let Seen::Exited(why) = seen { Some(why) } else { None })?;
    (observed.restarts >= job.backoff_limit).then(|| Failure {
        reason: reason::BACKOFF_LIMIT_EXCEEDED.into(),
        message: format!("a server ended ({lost}) after {} restarts; see its log, or raise backoffLimit", observed.restarts),
    })
}

/// What every server has to know now: the plan, where its peers are, and how far it may go. Without overlap, blocks are
/// pulled only once every frame is loaded, so that the memory of loading is free again.
fn assignment(job: &Job, plan: &Plan, observed: &Observed) -> Assignment {
    let peers = observed
        .servers
        .iter()
        .map(|seen| match seen {
            Seen::Up { address, progress } => Some(Peer { address: address.clone(), boot: progress.boot.clone() }),
            _ => None,
        })
        .collect();
    let current = |p: &Progress| p.assignment.as_ref().is_some_and(|(uid, generation)| *uid == job.uid && *generation == job.generation);
    let loaded =
        observed.progress().count() == plan.servers && observed.progress().all(|(_, p)| current(p) && p.complete_through(Phase::Recenter));
    let goal = if plan.overlap || loaded { Phase::Fft } else { Phase::Recenter };
    Assignment { job: job.clone(), plan: plan.clone(), peers, goal }
}

#[cfg(test)]
mod tests;
