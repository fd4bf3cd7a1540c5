//! Writes a status in one server-side apply, only if it changed and at most once a second; then publishes the changes as events.

use super::error::Error;
use super::reconcile_context::ReconcileContext;
use crate::controller::context::WrittenStatus;
use crate::fleet::kubernetes::names::MANAGER;
use crate::report::events::{self, JobEvent};
use crds::{ArrayJob, ArrayJobStatus};
use kube::api::{Api, Patch, PatchParams};
use kube::runtime::events::{Event, EventType};
use kube::{Resource as _, ResourceExt as _};
use serde_json::json;
use std::sync::PoisonError;
use std::time::Duration;
use tokio::time::Instant;

/// Shortest time between two writes of one status.
const INTERVAL: Duration = Duration::from_secs(1);

/// Writes `after` if it differs from the status before. Within [`INTERVAL`] of the last write, a change of numbers is skipped (the next
/// reconciliation writes it), and a change of a condition waits.
pub(super) async fn apply_status(ctx: &ReconcileContext<'_>, after: &ArrayJobStatus) -> Result<(), Error> {
    let (job, before) = (&*ctx.job, &ctx.before);
    if before == after {
        return Ok(());
    }
    let last = ctx.cache.written.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|written| written.at);
    let earliest = last.map_or_else(Instant::now, |last| last + INTERVAL);
    if earliest > Instant::now() {
        if !urgent(before, after) {
            return Ok(());
        }
        ctx.timer.wait(tokio::time::sleep_until(earliest)).await;
    }
    let api: Api<ArrayJob> = Api::namespaced(ctx.shared.client.clone(), &job.namespace().unwrap_or_default());
    // The uid is a precondition: another job of the same name does not get this status.
    let body = json!({
        "apiVersion": ArrayJob::api_version(&()),
        "kind": ArrayJob::kind(&()),
        "metadata": {"name": job.name_any(), "uid": job.uid()},
        "status": after,
    });
    match api.patch_status(&job.name_any(), &PatchParams::apply(MANAGER).force(), &Patch::Apply(&body)).await {
        Ok(_) => {}
        Err(kube::Error::Api(status)) if status.code == 404 || status.code == 409 => {
            tracing::debug!(job = job.name_any(), message = status.message, "the status was not written");
            // A retry ends when the cache shows the deletion.
            return Err(Error::JobReplaced);
        }
        Err(error) => return Err(error.into()),
    }
    ctx.shared.metrics.status_writes.inc();
    *ctx.cache.written.lock().unwrap_or_else(PoisonError::into_inner) = Some(WrittenStatus { status: after.clone(), at: Instant::now() });
    for event in events::between(before, after) {
        publish(ctx, event).await;
    }
    Ok(())
}

/// Whether a user or a program may wait for the change.
fn urgent(before: &ArrayJobStatus, after: &ArrayJobStatus) -> bool {
    let states = |status: &ArrayJobStatus| -> Vec<(String, String, String)> {
        status
            .conditions
            .iter()
            .filter(|condition| condition.type_ != "Progressing")
            .map(|condition| (condition.type_.clone(), condition.status.clone(), condition.reason.clone()))
            .collect()
    };
    before.phase != after.phase || before.plan != after.plan || before.failures != after.failures || states(before) != states(after)
}

/// Events inform users. A lost event has no effect on the job.
async fn publish(ctx: &ReconcileContext<'_>, event: JobEvent) {
    let published = Event {
        type_: if event.warning { EventType::Warning } else { EventType::Normal },
        reason: event.reason,
        note: Some(event.note),
        action: event.action.into(),
        secondary: None,
    };
    if let Err(error) = ctx.shared.recorder.publish(&published, &ctx.job.object_ref(&())).await {
        tracing::info!(job = ctx.job.name_any(), %error, "an event was not published");
    }
}
