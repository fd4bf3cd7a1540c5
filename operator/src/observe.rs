//! All reads of the world in one place: the fleet, and what each server says.

use crate::fleet::{Fleet, Sighting};
use crate::servers::Servers;
use api::phase::{Observed, Seen};
use api::plan::Plan;

/// Looks at every server of the plan.
pub async fn observe(fleet: &impl Fleet, servers: &Servers, plan: &Plan) -> Observed {
    let sightings = fleet.observe(plan.servers).await;
    let asked = sightings.into_iter().map(|sighting| async move {
        match sighting {
            Sighting::Absent => Seen::Absent,
            Sighting::Exited(why) => Seen::Exited(why),
            Sighting::Lost(why) => Seen::Lost(why),
            Sighting::Starting => Seen::Starting,
            Sighting::Up(address) => match servers.progress(&address, None).await {
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
