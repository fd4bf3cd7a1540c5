//! All reads of the world in one place: the fleet, and what each server says.

use crate::fleet::{Fleet, ServerState};
use crate::servers::Servers;
use api::phase::{Observed, Seen};
use api::plan::Plan;

/// Looks at every server of the plan.
pub async fn observe(fleet: &impl Fleet, servers: &Servers, plan: &Plan) -> Observed {
    let states = fleet.observe(plan.partition.servers).await;
    let asked = states.into_iter().map(|state| async move {
        match state {
            ServerState::Absent => Seen::Absent,
            ServerState::Exited(why) => Seen::Exited(why),
            ServerState::Lost(why) => Seen::Lost(why),
            ServerState::Starting => Seen::Starting,
            ServerState::Up(address) => match servers.progress(&address, None).await {
                Ok(progress) => Seen::Up { address, progress: Box::new(progress) },
                // Stopped or thrashing: its work goes to a new start of it.
                Err(error) if error.is_hung() => fleet.silent(),
                // It may be ending just now: the fleet will know by the next turn.
                Err(error) => {
                    tracing::debug!(address, error = &error as &dyn std::error::Error, "no answer");
                    Seen::Starting
                }
            },
        }
    });
    Observed { servers: futures_util::future::join_all(asked).await, restarts: fleet.restarts() }
}
