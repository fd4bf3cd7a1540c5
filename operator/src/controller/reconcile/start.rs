//! The first reconciliation of a job: validates, plans, and writes the plan. No pod is created before the plan is in the status.

use super::error::{Error, StepError};
use super::plan::plan;
use super::reconcile_context::ReconcileContext;
use super::requeue;
use super::write_status::{base_input, write_status};
use crate::fleet::kubernetes::names;
use crate::report::conditions::{ConditionState, Facts};
use crate::report::status::{StatusInput, time};
use crate::validate::{self, Platform};
use crds::ArrayJobStatus;
use crds::v1alpha1::status::Endpoint;
use kube::ResourceExt as _;
use kube::runtime::controller::Action;

/// Starts a new job.
pub(super) async fn start(ctx: &ReconcileContext<'_>) -> Result<Action, StepError> {
    let mut after = ctx.before.clone();
    after.start_time = Some(time(ctx.now));
    after.endpoint = Some(Endpoint {
        url: format!("http://{}.{}.svc", ctx.job.name_any(), ctx.job.namespace().unwrap_or_default()),
        token_secret: names::own(&ctx.job),
    });
    let working = if validate::needs_probe(&ctx.manifest()) {
        validate::source(&ctx.job, Platform::Cluster)?;
        ConditionState::true_because("Probing", "the manifest does not state the shape of a frame; a server starts and reads the source")
    } else {
        let plan = plan(ctx)?;
        let state = ConditionState::true_because("Planned", plan.summary.clone());
        after.plan = Some(plan);
        state
    };
    write_planned(ctx, &after, working).await?;
    Ok(requeue::now())
}

/// Plans a job after the probe of its source.
pub(super) async fn plan_after_probe(ctx: &ReconcileContext<'_>) -> Result<Action, StepError> {
    let after = ArrayJobStatus { plan: Some(plan(ctx)?), ..ctx.before.clone() };
    write_planned(ctx, &after, ConditionState::true_because("Planned", "the shape of a frame is known")).await?;
    Ok(requeue::now())
}

async fn write_planned(ctx: &ReconcileContext<'_>, after: &ArrayJobStatus, working: ConditionState) -> Result<(), Error> {
    let facts = Facts { working: Some(working), ..Facts::default() };
    let desired = after.plan.as_ref().map_or(1, |plan| plan.servers as usize);
    write_status(ctx, after, StatusInput { facts, desired, ..base_input(ctx) }).await
}
