//! Plans a job, and finds the recorded plan of a working job again.

use super::error::invalid_spec;
use super::reconcile_context::ReconcileContext;
use crate::fleet::kubernetes::pod;
use crate::recorded_plan::{PlanMatch, match_recorded_plan};
use crate::report::status::plan_status;
use crate::turn::{self, prepare};
use crate::validate::Platform;
use api::phase::{Failure, reason};
use api::plan::{Allowance, Budget, Plan};
use crds::ArrayJobStatus;
use crds::v1alpha1::status::PlanStatus;

/// Validates and plans the manifest. The plan is written to the status before the first pod is created.
pub(super) fn plan(ctx: &ReconcileContext<'_>) -> Result<PlanStatus, Failure> {
    let size = ctx.pod_size().map_err(|invalid| invalid_spec(&invalid))?;
    let budget = Budget { memory: Allowance::PerServer(size.memory_bytes), cores: size.threads };
    let (_, plan) = prepare(&ctx.manifest(), &budget, Platform::Cluster).map_err(|error| match error {
        turn::Error::Invalid(invalid) => invalid_spec(&invalid),
        turn::Error::Memory(error) => Failure { reason: reason::INSUFFICIENT_MEMORY.into(), message: error.to_string() },
    })?;
    // Fields that the builder of pods refuses fail the job before the first pod is created.
    let memory_bytes = size.memory_bytes;
    pod::build(&ctx.job, &ctx.pod_template(size), pod::Start::default()).map_err(|invalid| invalid_spec(&invalid))?;
    Ok(plan_status(&plan, ctx.job.metadata.generation.unwrap_or(1), memory_bytes))
}

/// Compares the recorded plan with the plans that this version of the operator considers.
pub(super) fn recorded_plan(ctx: &ReconcileContext<'_>, planned: &PlanStatus) -> PlanMatch {
    let budget = Budget { memory: Allowance::PerServer(planned.memory_limit_bytes), cores: planned.threads as usize };
    match_recorded_plan(&ctx.manifest(), &budget, Platform::Cluster, planned)
}

/// The status with the identity of `plan`. An older operator may have recorded the identity in another form.
pub(super) fn with_identity(before: &ArrayJobStatus, plan: &Plan) -> ArrayJobStatus {
    let mut after = before.clone();
    if let Some(recorded) = &mut after.plan {
        recorded.fingerprint = plan.identity();
    }
    after
}
