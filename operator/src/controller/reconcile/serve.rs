//! A complete job: its servers keep the results readable. A lost server is replaced, and computes its share again.

use super::ensure_children::ensure_children;
use super::error::StepError;
use super::plan::{recorded_plan, with_identity};
use super::plan_changed::serve_without_replacements;
use super::reconcile_context::ReconcileContext;
use super::requeue;
use super::status_input::turn_input;
use super::write_status::write_status;
use crate::recorded_plan::PlanMatch;
use crate::turn::{TurnMode, turn};
use api::next_step::Step;
use kube::runtime::controller::Action;

/// Takes one turn in which outputs are not written again.
pub(super) async fn serve(ctx: &ReconcileContext<'_>) -> Result<Action, StepError> {
    match ensure_children(ctx).await {
        // A complete job cannot fail any more.
        Ok(()) | Err(StepError::JobFailed(_)) => {}
        Err(error @ StepError::Retry(_)) => return Err(error),
    }
    let Some(planned) = &ctx.before.plan else { return Ok(requeue::at_deadline(ctx)) };
    let Ok(size) = ctx.planned_size(planned) else { return Ok(requeue::at_deadline(ctx)) };
    let fleet = ctx.fleet(size);
    let (job, plan) = match recorded_plan(ctx, planned) {
        PlanMatch::Same(known) => *known,
        PlanMatch::Different(why) => return serve_without_replacements(ctx, &why).await,
        PlanMatch::Unplannable(error) => return serve_without_replacements(ctx, &error.to_string()).await,
    };
    let after = with_identity(&ctx.before, &plan);
    let turn = turn(job, plan, &fleet, &ctx.cache.servers, TurnMode::Serve).await;
    let mut input = turn_input(ctx, &turn, &fleet);
    // A complete job stays complete. A server that cannot start again is reported as `Stalled`.
    if let Some(Err(failure)) = input.facts.ended.take() {
        input.facts.stalled = Some(failure);
    }
    write_status(ctx, &after, input).await?;
    let all_up = turn.observed.progress().count() == turn.plan.partition.servers;
    Ok(if turn.step == Step::Finish && all_up { requeue::at_deadline(ctx) } else { requeue::after_interval() })
}
