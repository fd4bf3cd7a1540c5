//! A working job: ensures its objects, probes or plans where that is missing, and takes one turn of the loop over its pods.

use super::ensure_children::ensure_children;
use super::error::StepError;
use super::plan::{recorded_plan, with_identity};
use super::plan_changed::{keep_unplannable, restart_with_new_plan};
use super::probe::probe;
use super::reconcile_context::ReconcileContext;
use super::requeue;
use super::start::plan_after_probe;
use super::status_input::{turn_input, work_begun};
use super::write_status::write_status;
use crate::controller::lifecycle;
use crate::recorded_plan::PlanMatch;
use crate::turn::{TurnMode, turn};
use crate::validate;
use api::next_step::Step;
use kube::runtime::controller::Action;

/// Moves a working job one step forward.
pub(super) async fn work(ctx: &ReconcileContext<'_>) -> Result<Action, StepError> {
    ensure_children(ctx).await?;
    let size = ctx.pod_size()?;
    if validate::needs_probe(&ctx.manifest()) {
        return probe(ctx, size).await;
    }
    let Some(planned) = &ctx.before.plan else {
        return plan_after_probe(ctx).await;
    };
    let fleet = ctx.fleet(ctx.planned_size(planned)?);
    let (job, plan) = match recorded_plan(ctx, planned) {
        PlanMatch::Same(known) => *known,
        PlanMatch::Different(why) => return restart_with_new_plan(ctx, &fleet, &why).await,
        PlanMatch::Unplannable(error) => return keep_unplannable(ctx, &error).await,
    };
    let after = with_identity(&ctx.before, &plan);
    let turn = turn(job, plan, &fleet, &ctx.cache.servers, TurnMode::Compute).await;
    let input = turn_input(ctx, &turn, &fleet);
    if !ctx.was_ready()
        && !work_begun(&turn)
        && let Some(failure) = lifecycle::start_overdue(&ctx.job, input.facts.stalled.as_ref(), ctx.now)
    {
        return Err(failure.into());
    }
    let ended = input.facts.ended.is_some();
    write_status(ctx, &after, input).await?;
    Ok(match turn.step {
        _ if ended => requeue::now(),
        Step::Launch(_) if ctx.cache.recent.create_error().is_some() => requeue::after_refusal(),
        Step::Launch(_) | Step::Assign(..) | Step::Write(_) | Step::Wait | Step::Finish | Step::Fail(_) => {
            requeue::after_turn(ctx, &turn).await
        }
    })
}
