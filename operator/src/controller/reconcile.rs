//! One reconciliation of one ArrayJob.
//!
//! 1. Read the object (`reconcile_context`).
//! 2. Find the state of the job (`lifecycle`).
//! 3. New job: validate and plan (`start`). Working job (`work`): ensure the children (`ensure_children`), probe the source
//!    (`probe`), find the recorded plan (`plan`), then take one `crate::turn`: observe, find the next step, carry the step out.
//!    Complete job: the same turn without outputs (`serve`). Other jobs: stop servers (`stop`).
//! 4. Write the status (`status_input`, `write_status`).
//! 5. Choose the time of the next reconciliation (`requeue`).

mod apply_status;
mod ensure_children;
mod error;
mod plan;
mod plan_changed;
mod probe;
mod reconcile_context;
mod requeue;
mod serve;
mod start;
mod status_input;
mod stop;
mod work;
mod write_status;

use super::context::Context;
use super::lifecycle::{self, JobState};
use crds::ArrayJob;
use error::{Error, StepError};
use kube::ResourceExt as _;
use kube::runtime::controller::Action;
use reconcile_context::{ReconcileContext, read_object};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Moves one ArrayJob one step forward.
///
/// # Errors
/// If a request to the API server fails; the reconciliation is retried.
pub async fn reconcile(job: Arc<ArrayJob>, context: Arc<Context>) -> Result<Action, Error> {
    let timer = context.metrics.reconciling();
    let ctx = read_object(job, &context, timer)?;
    let action = match run_steps(&ctx).await {
        Ok(action) => action,
        Err(StepError::JobFailed(failure)) => write_status::write_failure(&ctx, failure).await?,
        Err(StepError::Retry(error)) => return Err(error),
    };
    ctx.cache.errors.store(0, Ordering::Relaxed);
    Ok(action)
}

async fn run_steps(ctx: &ReconcileContext<'_>) -> Result<Action, StepError> {
    match lifecycle::job_state(&ctx.job, ctx.now) {
        JobState::Deleted => Ok(Action::await_change()),
        JobState::Expired => stop::expire(ctx).await,
        JobState::Failed => Ok(stop::stop_running(ctx).await),
        JobState::Suspended => stop::suspend(ctx).await,
        JobState::DeadlineExceeded(failure) => Err(failure.into()),
        JobState::New => start::start(ctx).await,
        JobState::Working => work::work(ctx).await,
        JobState::Complete => serve::serve(ctx).await,
    }
}

/// Time of the retry after an error: 250 ms, doubled for each error in a row, up to 32 s.
pub fn error_policy(job: Arc<ArrayJob>, error: &Error, context: Arc<Context>) -> Action {
    context.metrics.errors.inc();
    let errors = context.job_cache(&job).map_or(0, |cache| cache.errors.fetch_add(1, Ordering::Relaxed));
    let wait = Duration::from_millis(250 << errors.min(7));
    match error {
        Error::OldService | Error::JobReplaced => tracing::info!(job = job.name_any(), %error, ?wait, "the reconciliation is retried"),
        Error::Api(_) | Error::Context(_) => {
            tracing::warn!(
                job = job.name_any(),
                namespace = job.namespace(),
                error = api::words::chain(error),
                ?wait,
                "the reconciliation failed and is retried"
            );
        }
    }
    Action::requeue(wait)
}
