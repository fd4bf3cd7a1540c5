//! The last step: computes the status from its input, and writes it.

use super::apply_status::apply_status;
use super::error::Error;
use super::reconcile_context::ReconcileContext;
use super::requeue;
use crate::report::conditions::Facts;
use crate::report::status::{StatusInput, status};
use api::phase::Failure;
use crds::ArrayJobStatus;
use kube::ResourceExt as _;
use kube::runtime::controller::Action;

/// The input that every status has, without facts and without a report of the servers.
pub(super) fn base_input(ctx: &ReconcileContext<'_>) -> StatusInput {
    StatusInput {
        generation: ctx.job.metadata.generation,
        desired: ctx.before.plan.as_ref().map_or(0, |plan| plan.servers as usize),
        launched: ctx.cache.recent.launched(),
        counts: ctx.cache.recent.counts(),
        last: ctx.cache.recent.last(),
        ..StatusInput::default()
    }
}

/// Writes the status that follows from `after` and `input`.
pub(super) async fn write_status(ctx: &ReconcileContext<'_>, after: &ArrayJobStatus, input: StatusInput) -> Result<(), Error> {
    apply_status(ctx, &status(after, &input, ctx.now)).await
}

/// Writes the condition `Failed`.
pub(super) async fn write_failure(ctx: &ReconcileContext<'_>, failure: Failure) -> Result<Action, Error> {
    tracing::info!(
        job = ctx.job.name_any(),
        namespace = ctx.job.namespace(),
        reason = failure.reason,
        message = failure.message,
        "job failed"
    );
    let facts = Facts { ended: Some(Err(failure)), ..Facts::default() };
    write_status(ctx, &ctx.before, StatusInput { facts, ..base_input(ctx) }).await?;
    Ok(requeue::now())
}
