//! One turn of the loop: observe, find the next step, carry it out. The turn keeps no state, so a restarted loop takes the same step.

use crate::carry_out::carry_out;
use crate::fleet::Fleet;
use crate::observe::observe;
use crate::servers::Servers;
use crate::validate::{self, Invalid, Platform};
use api::Job;
use api::next_step::{Step, next_step};
use api::phase::{Failure, Observed};
use api::plan::{self, Budget, Plan};
use crds::ArrayJob;
use thiserror::Error;

/// Reason why a manifest has no plan.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "each message states it")]
pub enum Error {
    #[error(transparent)]
    Invalid(#[from] Invalid),
    #[error("InsufficientMemory: {0}")]
    Memory(#[from] plan::Error),
}

/// The observation and the step of one turn.
#[derive(Debug)]
pub struct Turn {
    /// The valid job.
    pub job: Job,
    /// Its plan.
    pub plan: Plan,
    /// The observed servers.
    pub observed: Observed,
    /// The step that was carried out.
    pub step: Step,
}

/// Validates and plans a manifest. No server is started.
///
/// # Errors
/// If the manifest breaks a rule or does not fit the budget.
pub fn prepare(manifest: &ArrayJob, budget: &Budget, platform: Platform) -> Result<(Job, Plan), Error> {
    let job = validate::validate(manifest, platform)?;
    let plan = Plan::new(&job, validate::replicas(manifest)?, budget)?;
    validate::check_outputs(&job, &plan)?;
    Ok((job, plan))
}

/// The scope of a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TurnMode {
    /// Arrays and outputs.
    Compute,
    /// Arrays only: all outputs are written, and a replaced server does not write its outputs again.
    Serve,
}

/// Takes one turn over a planned job.
pub async fn turn(job: Job, plan: Plan, fleet: &impl Fleet, servers: &Servers, mode: TurnMode) -> Turn {
    let observed = observe(fleet, &servers.client, &plan).await; // every read
    let mut step = next_step(&job, &plan, &observed); // pure; total
    if let Err(failure) = servers.digests.collect(&servers.client, &job, &plan, &observed).await
        && !matches!(step, Step::Fail(_))
    {
        step = Step::Fail(failure);
    }
    if mode == TurnMode::Serve && matches!(step, Step::Write(_)) {
        step = Step::Finish;
    }
    if let Err(failure) = carry_out(fleet, servers, &observed, &step).await {
        step = Step::Fail(failure); // every write
    }
    Turn { job, plan, observed, step }
}

impl Turn {
    /// The result of an ended job; `None` while the job continues.
    pub fn ended(&self) -> Option<Result<(), &Failure>> {
        match &self.step {
            Step::Finish => Some(Ok(())),
            Step::Fail(failure) => Some(Err(failure)),
            Step::Launch(_) | Step::Assign(..) | Step::Write(_) | Step::Wait => None,
        }
    }
}
