//! All writes of one turn. If a server misses a command, the next turn observes the missing effect and sends the command again.

use crate::fleet::{self, Fleet};
use crate::server_client;
use crate::servers::Servers;
use api::next_step::Step;
use api::phase::{Failure, Observed, Seen, reason};
use futures_util::future::join_all;

/// Carries out a step.
///
/// # Errors
/// If a later turn cannot succeed either: servers cannot be started, or a server refuses its assignment permanently.
pub async fn carry_out(fleet: &impl Fleet, servers: &Servers, observed: &Observed, step: &Step) -> Result<(), Failure> {
    match step {
        Step::Launch(ids) => fleet.ensure(ids).await.map_err(|error| cannot_start(&error)),
        Step::Assign(ids, assignment) => {
            let responses = ids.iter().map(|&id| async move {
                let Seen::Up { address, progress } = &observed.servers[id.0] else { return Ok(()) };
                let job = &assignment.job;
                let is_new = progress.assignment.as_ref() != Some(&(job.uid.clone(), job.generation));
                let digests = if is_new { servers.digests.of_server(job, &assignment.plan, id) } else { Vec::new() };
                if !digests.is_empty() {
                    servers.client.expect(address, &progress.boot, job, &digests).await?;
                }
                servers.client.assign(address, id, assignment).await.map(drop)
            });
            first_refusal(join_all(responses).await)
        }
        Step::Write(writes) => {
            let responses = writes.iter().map(|&(id, writing)| async move {
                let Seen::Up { address, progress } = &observed.servers[id.0] else { return Ok(()) };
                servers.client.write(address, progress, writing).await.map(drop)
            });
            first_refusal(join_all(responses).await)
        }
        Step::Wait | Step::Finish | Step::Fail(_) => Ok(()),
    }
}

fn first_refusal(responses: Vec<Result<(), server_client::Error>>) -> Result<(), Failure> {
    responses.into_iter().try_for_each(|response| response.or_else(|error| refusal(&error)))
}

fn cannot_start(error: &fleet::Error) -> Failure {
    match error {
        fleet::Error::Refused(failure) => failure.clone(),
        fleet::Error::Start { .. } => Failure { reason: reason::SERVER_START_FAILED.into(), message: error.to_string() },
    }
}

/// No response and a conflict are temporary: the server is being replaced. Any other refusal is permanent.
fn refusal(error: &server_client::Error) -> Result<(), Failure> {
    match error {
        server_client::Error::NoResponse { .. } | server_client::Error::Refused { status: 409 | 503, .. } => {
            tracing::debug!(error = error as &dyn std::error::Error, "the next turn sends the command again");
            Ok(())
        }
        // A server states why it cannot take a command, for example DiskFull. A refusal without a reason is a wrong command: a bug.
        server_client::Error::Refused { reason: stated, .. } => {
            let reason = stated.clone().unwrap_or_else(|| reason::INTERNAL_ERROR.into());
            Err(Failure { reason, message: error.to_string() })
        }
        server_client::Error::Client(_) => Err(Failure { reason: reason::INTERNAL_ERROR.into(), message: error.to_string() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_keeps_the_reason_of_the_server_and_a_wrong_command_is_an_internal_error() {
        let refused = |status, stated: Option<&str>| server_client::Error::Refused {
            address: "a:1".into(),
            status,
            problem: "no".into(),
            reason: stated.map(str::to_owned),
        };
        let reason = |error| refusal(&error).map_err(|failure| failure.reason);
        assert_eq!(reason(refused(507, Some(reason::DISK_FULL))), Err(reason::DISK_FULL.into()));
        assert_eq!(reason(refused(400, None)), Err(reason::INTERNAL_ERROR.into()));
        assert_eq!(reason(refused(409, None)), Ok(()));
    }
}
