//! All writes to the world in one place. A command that a server misses is given again next turn, since it is then still
//! seen to be missing.

use crate::fleet::{self, Fleet};
use crate::servers::{self, Servers};
use api::next_step::Step;
use api::phase::{Failure, Observed, Seen, reason};

/// Carries out a step. A failure is one that no later turn can mend.
///
/// # Errors
/// When servers cannot be started, or one refuses its assignment for good.
pub async fn carry_out(fleet: &impl Fleet, servers: &Servers, observed: &Observed, step: &Step) -> Result<(), Failure> {
    match step {
        Step::Launch(ids) => fleet.ensure(ids).await.map_err(|error| cannot_start(&error)),
        Step::Assign(ids, assignment) => {
            let told = ids.iter().map(|&id| async move {
                match &observed.servers[id.0] {
                    Seen::Up { address, .. } => servers.assign(address, id, assignment).await.map(drop),
                    _ => Ok(()),
                }
            });
            futures_util::future::join_all(told).await.into_iter().try_for_each(|told| told.or_else(|error| refusal(&error)))
        }
        Step::Write(writes) => {
            let told = writes.iter().map(|&(id, writing)| async move {
                match &observed.servers[id.0] {
                    Seen::Up { address, progress } => servers.write(address, progress, writing).await.map(drop),
                    _ => Ok(()),
                }
            });
            futures_util::future::join_all(told).await.into_iter().try_for_each(|told| told.or_else(|error| refusal(&error)))
        }
        Step::Wait | Step::Finish | Step::Fail(_) => Ok(()),
    }
}

fn cannot_start(error: &fleet::Error) -> Failure {
    if let fleet::Error::Refused(failure) = error {
        return failure.clone();
    }
    let cause = std::error::Error::source(error).map_or_else(String::new, |cause| format!(": {cause}"));
    Failure { reason: reason::SERVER_START_FAILED.into(), message: format!("{error}{cause}") }
}

/// Silence and a conflict pass: the server is being replaced. Any other refusal will be repeated.
fn refusal(error: &servers::Error) -> Result<(), Failure> {
    match error {
        servers::Error::Silent { .. } | servers::Error::Refused { status: 409 | 503, .. } => {
            tracing::debug!(error = error as &dyn std::error::Error, "told again next turn");
            Ok(())
        }
        // A server states why it cannot take a command, for example DiskFull. A refusal without a reason is a wrong command: a bug.
        servers::Error::Refused { reason: stated, .. } => {
            let reason = stated.clone().unwrap_or_else(|| reason::INTERNAL_ERROR.into());
            Err(Failure { reason, message: error.to_string() })
        }
        servers::Error::Client(_) => Err(Failure { reason: reason::INTERNAL_ERROR.into(), message: error.to_string() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_keeps_the_reason_of_the_server_and_a_wrong_command_is_a_bug() {
        let refused = |status, stated: Option<&str>| servers::Error::Refused {
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
