//! What frames are when the manifest does not say: the job's first server looks at the first frame, or at the metadata of the
//! array, since the operator never touches data.

use super::case::{Case, Error};
use super::lifecycle;
use crate::fleet::kubernetes::{diagnose, pod};
use crate::fleet::{Fleet as _, ServerState};
use crate::report::conditions::{Facts, Said};
use crate::report::status::Story;
use crate::servers;
use crate::validate::{self, Place};
use api::phase::{Failure, reason};
use api::plan::ServerId;
use api::wire::ProbeRequest;
use kube::runtime::controller::Action;
use std::time::Duration;

/// Between two looks at the server's container.
const AGAIN: Duration = Duration::from_millis(300);

pub(super) async fn probe(case: Case<'_>, size: pod::Size) -> Result<Action, Error> {
    let fleet = case.fleet(size);
    let state = fleet.observe(1).await.pop().unwrap_or(ServerState::Absent);
    let address = match state {
        ServerState::Up(address) => address,
        ServerState::Starting => {
            let pods = fleet.pods();
            let stalled = diagnose::diagnose(pods.values().map(|pod| &**pod), case.now);
            return waiting(case, stalled).await;
        }
        ServerState::Exited(why) if fleet.restarts() >= case.job.spec.backoff_limit.unwrap_or(validate::BACKOFF_LIMIT) => {
            let message = format!("the server that looks at the source ended ({why})");
            return case.fail(Failure { reason: reason::BACKOFF_LIMIT_EXCEEDED.into(), message }).await;
        }
        ServerState::Absent | ServerState::Exited(_) | ServerState::Lost(_) => {
            if let Err(crate::fleet::Error::Refused(failure)) = fleet.ensure(&[ServerId(0)]).await {
                return case.fail(failure).await;
            }
            let trouble = case.memory.recent.troubled();
            return waiting(case, trouble).await;
        }
    };
    let (source, frames) = match validate::source(&case.job, Place::Cluster) {
        Ok(found) => found,
        Err(invalid) => return case.fail(Failure { reason: reason::INVALID_SPEC.into(), message: invalid.to_string() }).await,
    };
    match case.memory.servers.probe(&address, &ProbeRequest { source, frames }).await {
        Ok(probed) => {
            let mut after = case.before.clone();
            after.frame = Some(validate::frame_status(probed.frame));
            after.array = probed.array.as_ref().map(validate::array_status);
            let facts = Facts { working: Some(Said::yes("Probed", format!("a frame is {}", probed.frame))), ..Facts::default() };
            case.tell(&after, Story { facts, desired: 1, ..case.story() }).await?;
            Ok(Action::requeue(Duration::ZERO))
        }
        Err(servers::Error::Refused { status: 400..=499, problem, reason: why, .. }) => {
            let reason = why.unwrap_or_else(|| reason::SOURCE_UNAVAILABLE.into());
            case.fail(Failure { reason, message: problem }).await
        }
        Err(error) => {
            tracing::debug!(error = &error as &dyn std::error::Error, "asked again");
            waiting(case, None).await
        }
    }
}

async fn waiting(case: Case<'_>, stalled: Option<Failure>) -> Result<Action, Error> {
    if let Some(failure) = lifecycle::start_overdue(&case.job, stalled.as_ref(), case.now) {
        return case.fail(failure).await;
    }
    let working = match &stalled {
        Some(failure) => Said::no(&failure.reason, failure.message.clone()),
        None => Said::yes("Probing", "a server is started to look at the source"),
    };
    let facts = Facts { working: Some(working), stalled, ..Facts::default() };
    case.tell(&case.before, Story { facts, desired: 1, ..case.story() }).await?;
    Ok(Action::requeue(AGAIN))
}
