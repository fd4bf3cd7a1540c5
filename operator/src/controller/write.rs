//! Writes a status: only when it changed, at most once a second, in one server-side apply; then tells the news as events.

use super::case::Error;
use super::context::{Context, Memory, Written};
use crate::fleet::kubernetes::names::MANAGER;
use crate::report::events::{self, News};
use crds::{ArrayJob, ArrayJobStatus};
use kube::api::{Api, Patch, PatchParams};
use kube::runtime::events::{Event, EventType};
use kube::{Resource as _, ResourceExt as _};
use serde_json::json;
use std::sync::PoisonError;
use std::time::Duration;
use tokio::time::Instant;

/// Two writes of one status are at least so far apart.
const APART: Duration = Duration::from_secs(1);

/// Writes `after` where it differs from `before`. Numbers alone wait for their turn, a changed condition waits here. Says
/// whether the status is written.
pub(super) async fn write(
    context: &Context,
    memory: &Memory,
    job: &ArrayJob,
    before: &ArrayJobStatus,
    after: &ArrayJobStatus,
) -> Result<bool, Error> {
    if before == after {
        return Ok(true);
    }
    let last = memory.written.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|written| written.at);
    let turn = last.map_or_else(Instant::now, |last| last + APART);
    if turn > Instant::now() {
        if !urgent(before, after) {
            return Ok(false);
        }
        tokio::time::sleep_until(turn).await;
    }
    let api: Api<ArrayJob> = Api::namespaced(context.client.clone(), &job.namespace().unwrap_or_default());
    // The uid is a precondition: another job of the same name is not told this one's story.
    let body = json!({
        "apiVersion": ArrayJob::api_version(&()),
        "kind": ArrayJob::kind(&()),
        "metadata": {"name": job.name_any(), "uid": job.uid()},
        "status": after,
    });
    match api.patch_status(&job.name_any(), &PatchParams::apply(MANAGER).force(), &Patch::Apply(&body)).await {
        Ok(_) => {}
        Err(kube::Error::Api(status)) if status.code == 404 || status.code == 409 => {
            tracing::debug!(job = job.name_any(), message = status.message, "status not written");
            // Tried again later: the cache still has the job.
            return Err(Error::Gone);
        }
        Err(error) => return Err(error.into()),
    }
    context.metrics.status_writes.inc();
    *memory.written.lock().unwrap_or_else(PoisonError::into_inner) = Some(Written { status: after.clone(), at: Instant::now() });
    for news in events::between(before, after) {
        publish(context, job, news).await;
    }
    Ok(true)
}

/// Whether people or programs wait for the change.
fn urgent(before: &ArrayJobStatus, after: &ArrayJobStatus) -> bool {
    let said = |status: &ArrayJobStatus| -> Vec<(String, String, String)> {
        status
            .conditions
            .iter()
            .filter(|condition| condition.type_ != "Progressing")
            .map(|condition| (condition.type_.clone(), condition.status.clone(), condition.reason.clone()))
            .collect()
    };
    before.phase != after.phase || before.plan != after.plan || before.failures != after.failures || said(before) != said(after)
}

/// Events are for people; one that is not taken changes nothing.
async fn publish(context: &Context, job: &ArrayJob, news: News) {
    let event = Event {
        type_: if news.warning { EventType::Warning } else { EventType::Normal },
        reason: news.reason,
        note: Some(news.note),
        action: news.action.into(),
        secondary: None,
    };
    if let Err(error) = context.recorder.publish(&event, &job.object_ref(&())).await {
        tracing::info!(job = job.name_any(), %error, "an event was not taken");
    }
}
