//! Probes the source where the manifest does not state the shape of a frame. The first server of the job reads the first frame or the
//! metadata of the array: the operator never reads data.

use super::error::{Error, StepError};
use super::reconcile_context::ReconcileContext;
use super::requeue;
use super::write_status::{base_input, write_status};
use crate::controller::lifecycle;
use crate::fleet::kubernetes::{KubernetesFleet, diagnose, pod};
use crate::fleet::{self, Fleet as _, ServerState};
use crate::report::conditions::{ConditionState, Facts};
use crate::report::status::StatusInput;
use crate::server_client;
use crate::validate::{self, Platform};
use api::phase::{Failure, reason};
use api::plan::ServerId;
use api::wire::{ProbeRequest, Probed};
use crds::ArrayJobStatus;
use kube::runtime::controller::Action;
use std::time::Duration;

/// Interval between two observations of the server's container.
const INTERVAL: Duration = Duration::from_millis(300);

/// Starts one server, sends it the probe request, and writes the result to the status.
pub(super) async fn probe(ctx: &ReconcileContext<'_>, size: pod::Size) -> Result<Action, StepError> {
    let fleet = ctx.fleet(size);
    match fleet.observe(1).await.pop().unwrap_or(ServerState::Absent) {
        ServerState::Up(address) => request(ctx, &address).await,
        ServerState::Starting => {
            let pods = fleet.pods();
            let stalled = diagnose::diagnose(pods.values().map(|pod| &**pod), ctx.now);
            wait(ctx, stalled).await
        }
        ServerState::Exited(why) if fleet.restarts() >= ctx.job.spec.backoff_limit.unwrap_or(validate::BACKOFF_LIMIT) => {
            let message = format!("the server that reads the source ended ({why})");
            Err(Failure { reason: reason::BACKOFF_LIMIT_EXCEEDED.into(), message }.into())
        }
        ServerState::Absent | ServerState::Exited(_) | ServerState::Lost(_) => start_server(ctx, &fleet).await,
    }
}

async fn start_server(ctx: &ReconcileContext<'_>, fleet: &KubernetesFleet) -> Result<Action, StepError> {
    if let Err(fleet::Error::Refused(failure)) = fleet.ensure(&[ServerId(0)]).await {
        return Err(failure.into());
    }
    wait(ctx, ctx.cache.recent.create_error()).await
}

async fn request(ctx: &ReconcileContext<'_>, address: &str) -> Result<Action, StepError> {
    let (source, frames) = validate::source(&ctx.job, Platform::Cluster)?;
    match ctx.cache.servers.client.probe(address, &ProbeRequest { source, frames }).await {
        Ok(probed) => {
            write_probed(ctx, &probed).await?;
            Ok(requeue::now())
        }
        Err(server_client::Error::Refused { status: 400..=499, problem, reason: stated, .. }) => {
            let reason = stated.unwrap_or_else(|| reason::SOURCE_UNAVAILABLE.into());
            Err(Failure { reason, message: problem }.into())
        }
        Err(error) => {
            tracing::debug!(error = &error as &dyn std::error::Error, "the probe failed and is retried");
            wait(ctx, None).await
        }
    }
}

async fn write_probed(ctx: &ReconcileContext<'_>, probed: &Probed) -> Result<(), Error> {
    let after = ArrayJobStatus {
        frame: Some(validate::frame_status(probed.frame)),
        array: probed.array.as_ref().map(validate::array_status),
        ..ctx.before.clone()
    };
    let working = ConditionState::true_because("Probed", format!("a frame is {}", probed.frame));
    let facts = Facts { working: Some(working), ..Facts::default() };
    write_status(ctx, &after, StatusInput { facts, desired: 1, ..base_input(ctx) }).await
}

async fn wait(ctx: &ReconcileContext<'_>, stalled: Option<Failure>) -> Result<Action, StepError> {
    if let Some(failure) = lifecycle::start_overdue(&ctx.job, stalled.as_ref(), ctx.now) {
        return Err(failure.into());
    }
    let working = match &stalled {
        Some(failure) => ConditionState::false_because(&failure.reason, failure.message.clone()),
        None => ConditionState::true_because("Probing", "a server starts and reads the source"),
    };
    let facts = Facts { working: Some(working), stalled, ..Facts::default() };
    write_status(ctx, &ctx.before, StatusInput { facts, desired: 1, ..base_input(ctx) }).await?;
    Ok(Action::requeue(INTERVAL))
}
