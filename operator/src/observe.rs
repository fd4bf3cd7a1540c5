//! All reads of one turn: the states of the fleet, and the progress of each server.

use crate::fleet::{Fleet, ServerState};
use crate::server_client::ServerClient;
use api::phase::{Observed, Seen};
use api::plan::Plan;

/// Observes every server of the plan.
pub async fn observe(fleet: &impl Fleet, servers: &ServerClient, plan: &Plan) -> Observed {
    let states = fleet.observe(plan.partition.servers).await;
    let observations = states.into_iter().map(|state| async move {
        match state {
            ServerState::Absent => Seen::Absent,
            ServerState::Exited(why) => Seen::Exited(why),
            ServerState::Lost(why) => Seen::Lost(why),
            ServerState::Starting => Seen::Starting,
            ServerState::Up(address) => match servers.progress(&address, None).await {
                Ok(progress) => Seen::Up { address, progress: Box::new(progress) },
                // The process is stopped or swaps memory. The fleet replaces the server.
                Err(error) if error.is_timeout() => fleet.unresponsive(),
                // The process may be ending. The fleet observes the end in a later turn.
                Err(error) => {
                    tracing::debug!(address, error = &error as &dyn std::error::Error, "no response");
                    Seen::Starting
                }
            },
        }
    });
    Observed { servers: futures_util::future::join_all(observations).await, restarts: fleet.restarts() }
}
