//! All reads of one turn: the states of the fleet, and the progress of each server.

use crate::fleet::{Fleet, ServerState};
use crate::server_client::ServerClient;
use api::phase::{Observed, Seen};
use api::plan::Plan;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// While another server is missing, the observation waits at most this time for servers that do not respond.
const GRACE: Duration = Duration::from_secs(1);

/// Observes every server of the plan.
pub async fn observe(fleet: &impl Fleet, servers: &ServerClient, plan: &Plan) -> Observed {
    let states = fleet.observe(plan.partition.servers).await;
    let untrusted = AtomicUsize::new(0);
    let untrusted = &untrusted;
    let is_missing = |state: &ServerState| match state {
        ServerState::Absent | ServerState::Exited(_) | ServerState::Lost(_) => true,
        ServerState::Starting | ServerState::Up(_) => false,
    };
    let missing = states.iter().any(is_missing);
    let observations = states.into_iter().map(|state| async move {
        match state {
            ServerState::Absent => Seen::Absent,
            ServerState::Exited(why) => Seen::Exited(why),
            ServerState::Lost(why) => Seen::Lost(why),
            ServerState::Starting => Seen::Starting,
            ServerState::Up(address) => tokio::select! {
                seen = progress(fleet, servers, address, untrusted) => seen,
                // A server that hangs does not delay the replacement of a server that ended.
                () = enough(fleet, missing) => Seen::Starting,
            },
        }
    });
    let servers = futures_util::future::join_all(observations).await;
    Observed { servers, restarts: fleet.restarts(), oom_kills: fleet.oom_kills(), untrusted: untrusted.load(Ordering::Relaxed) }
}

/// Completes some time after a server ends. `missing`: whether the observation has found such a server.
async fn enough(fleet: &impl Fleet, missing: bool) {
    if !fleet.reports_changes() {
        return std::future::pending().await;
    }
    if !missing {
        fleet.until_changed().await;
    }
    tokio::time::sleep(GRACE).await;
}

async fn progress(fleet: &impl Fleet, servers: &ServerClient, address: String, untrusted: &AtomicUsize) -> Seen {
    match servers.progress_now(&address).await {
        Ok(progress) => Seen::Up { address, progress: Box::new(progress) },
        // The process is stopped or swaps memory. The fleet replaces the server.
        Err(error) if error.is_timeout() => fleet.unresponsive(),
        // The process may be ending. The fleet observes the end in a later turn.
        Err(error) => {
            untrusted.fetch_add(usize::from(error.is_untrusted()), Ordering::Relaxed);
            tracing::debug!(address, error = &error as &dyn std::error::Error, "no response");
            Seen::Starting
        }
    }
}
