//! The servers of the job hold shares of a plan that this version of the operator does not create.

use super::error::StepError;
use super::plan::plan;
use super::reconcile_context::ReconcileContext;
use super::requeue;
use super::write_status::{base_input, write_status};
use crate::fleet::Fleet as _;
use crate::fleet::kubernetes::KubernetesFleet;
use crate::report::conditions::{ConditionState, Facts};
use crate::report::status::{StatusInput, time};
use crate::turn;
use api::phase::Failure;
use kube::ResourceExt as _;
use kube::runtime::controller::Action;

/// The reason in the conditions `Progressing` and `Stalled`.
const PLAN_CHANGED: &str = "PlanChanged";

/// Working job, another plan: restarts the job.
pub(super) async fn restart_with_new_plan(ctx: &ReconcileContext<'_>, fleet: &KubernetesFleet, why: &str) -> Result<Action, StepError> {
    tracing::warn!(job = ctx.job.name_any(), why, "the job restarts with a new plan");
    ctx.cache.recent.reset();
    let mut after = ctx.before.clone();
    after.plan = plan(ctx).ok();
    (after.start_time, after.progress) = (Some(time(ctx.now)), None);
    after.phases.clear();
    let message = format!("the job restarts, because the operator was updated: {why}");
    let facts = Facts { working: Some(ConditionState::true_because(PLAN_CHANGED, message)), ..Facts::default() };
    write_status(ctx, &after, StatusInput { facts, ..base_input(ctx) }).await?;
    fleet.remove().await;
    Ok(requeue::after_interval())
}

/// Working job, no plan: keeps the servers, because another version of the operator can continue with their data.
pub(super) async fn keep_unplannable(ctx: &ReconcileContext<'_>, error: &turn::Error) -> Result<Action, StepError> {
    let message = format!(
        "an older version of the operator started the job, and this version cannot plan it: {error}; the servers keep running; install \
         the older version again, or delete the job and apply a changed manifest"
    );
    let stalled = Failure { reason: PLAN_CHANGED.into(), message };
    let working = ConditionState::false_because(&stalled.reason, stalled.message.clone());
    let facts = Facts { ready: ctx.ready_before(), working: Some(working), stalled: Some(stalled), ..Facts::default() };
    write_status(ctx, &ctx.before, StatusInput { facts, ..base_input(ctx) }).await?;
    Ok(requeue::at_deadline(ctx))
}

/// Complete job: the servers continue to serve, and a new server could not join them.
pub(super) async fn serve_without_replacements(ctx: &ReconcileContext<'_>, why: &str) -> Result<Action, StepError> {
    let message = format!(
        "the operator was updated: {why}; results stay readable while no server is lost; to compute them again, delete the job and apply \
         it again"
    );
    let stalled = Some(Failure { reason: PLAN_CHANGED.into(), message });
    let facts = Facts { ready: ctx.ready_before(), stalled, ..Facts::default() };
    write_status(ctx, &ctx.before, StatusInput { facts, ..base_input(ctx) }).await?;
    Ok(requeue::at_deadline(ctx))
}
