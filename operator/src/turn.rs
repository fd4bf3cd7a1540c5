//! One turn of the loop: look, decide, act. It holds no state of its own, so a restarted loop takes the same step.

use crate::carry_out::carry_out;
use crate::fleet::Fleet;
use crate::observe::observe;
use crate::servers::Servers;
use crate::validate::{self, Invalid, Place};
use api::Job;
use api::next_step::{Step, next_step};
use api::phase::{Failure, Observed};
use api::plan::{self, Budget, Plan};
use crds::ArrayJob;
use thiserror::Error;

/// Why a manifest cannot be turned into work.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "each message says it")]
pub enum Error {
    #[error(transparent)]
    Invalid(#[from] Invalid),
    #[error("InsufficientMemory: {0}")]
    Memory(#[from] plan::Error),
}

/// What a turn saw and did.
#[derive(Debug)]
pub struct Turn {
    /// The job, as valid.
    pub job: Job,
    /// Its plan.
    pub plan: Plan,
    /// What was seen.
    pub observed: Observed,
    /// What was decided.
    pub step: Step,
}

/// Validates and plans: everything that can be said of a manifest before anything is started.
///
/// # Errors
/// When a rule is broken, or it does not fit the budget.
pub fn prepare(manifest: &ArrayJob, budget: &Budget, place: Place) -> Result<(Job, Plan), Error> {
    let job = validate::validate(manifest, place)?;
    let plan = Plan::new(&job, validate::replicas(manifest)?, budget)?;
    validate::check_outputs(&job, &plan)?;
    Ok((job, plan))
}

/// What a turn works towards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aim {
    /// Arrays and outputs.
    Finish,
    /// Arrays alone: the outputs are written, and a replaced server does not write its outputs again.
    Serve,
}

/// One turn over a planned job.
pub async fn turn(job: Job, plan: Plan, fleet: &impl Fleet, servers: &Servers, aim: Aim) -> Turn {
    let observed = observe(fleet, servers, &plan).await; // every read
    let mut step = next_step(&job, &plan, &observed); // pure; total
    if aim == Aim::Serve && matches!(step, Step::Write(_)) {
        step = Step::Finish;
    }
    if let Err(failure) = carry_out(fleet, servers, &observed, &step).await {
        step = Step::Fail(failure); // every write
    }
    Turn { job, plan, observed, step }
}

impl Turn {
    /// How the job ended, once it has.
    pub fn ended(&self) -> Option<Result<(), &Failure>> {
        match &self.step {
            Step::Finish => Some(Ok(())),
            Step::Fail(failure) => Some(Err(failure)),
            _ => None,
        }
    }
}
