//! Stops servers of a suspended, expired or failed job. The status states the stop before pods are deleted, so that a reader never sees a
//! running job without servers.

use super::error::StepError;
use super::reconcile_context::ReconcileContext;
use super::requeue;
use super::write_status::{base_input, write_status};
use crate::fleet::kubernetes::pod_state;
use crate::report::conditions::{ConditionState, Facts, ended};
use crate::report::status::StatusInput;
use k8s_openapi::api::core::v1::Pod;
use kube::runtime::controller::Action;

/// Suspends the job: deletes all pods.
pub(super) async fn suspend(ctx: &ReconcileContext<'_>) -> Result<Action, StepError> {
    let mut after = ctx.before.clone();
    if ended(&after.conditions).is_none() {
        // Arrays are in the memory of the servers, so a resumed job restarts, and its deadlines restart too.
        (after.start_time, after.progress, after.servers) = (None, None, None);
        // The manifest may change before the job resumes, and with it the plan and the first frame.
        (after.plan, after.frame, after.array) = (None, None, None);
        after.phases.clear();
    }
    let facts = Facts { suspended: true, ..Facts::default() };
    ctx.cache.recent.reset();
    write_status(ctx, &after, StatusInput { facts, ..base_input(ctx) }).await?;
    remove_pods(ctx, |_| true).await;
    Ok(requeue::while_pods_exist(ctx))
}

/// Deletes all pods of a job whose `ttlSecondsAfterFinished` has passed.
pub(super) async fn expire(ctx: &ReconcileContext<'_>) -> Result<Action, StepError> {
    let ready = ConditionState::false_because("Expired", "ttlSecondsAfterFinished has passed; the servers and their arrays were deleted");
    let facts = Facts { ready: Some(ready), ..Facts::default() };
    ctx.cache.recent.reset();
    write_status(ctx, &ctx.before, StatusInput { facts, ..base_input(ctx) }).await?;
    remove_pods(ctx, |_| true).await;
    Ok(requeue::while_pods_exist(ctx))
}

/// Deletes the running pods of a failed job. Terminated pods keep their logs until the job is deleted.
pub(super) async fn stop_running(ctx: &ReconcileContext<'_>) -> Action {
    remove_pods(ctx, |pod| pod_state::terminated(pod).is_none()).await;
    requeue::at_deadline(ctx)
}

async fn remove_pods(ctx: &ReconcileContext<'_>, which: impl Fn(&Pod) -> bool) {
    if let Ok(size) = ctx.pod_size() {
        ctx.fleet(size).remove_if(which).await;
    }
}
