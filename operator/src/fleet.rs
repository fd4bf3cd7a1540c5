//! The servers of one job, as processes or as pods. This trait is the only interface between the loop and the platform.

#[cfg(feature = "kubernetes")]
pub mod kubernetes;
pub mod process;

use api::phase::{Failure, Seen};
use api::plan::ServerId;
use std::future::Future;
use thiserror::Error;

/// The reason of a replacement: the server runs and does not respond.
pub(crate) const NO_RESPONSE: &str = "it did not respond";

/// The state of a server as the fleet observes it, without a request to the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerState {
    /// Never started.
    Absent,
    /// Ended by itself, with the known reason.
    Exited(String),
    /// Removed from outside, with the known reason.
    Lost(String),
    /// Started, and not listening yet.
    Starting,
    /// Listening at `host:port`.
    Up(String),
}

/// Reason why a fleet cannot start a server.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "each message states it")]
pub enum Error {
    #[error("cannot start server {}", id.0)]
    Start {
        id: ServerId,
        #[source]
        source: std::io::Error,
    },
    #[error("server {} started and did not report its address", id.0)]
    NoResponse { id: ServerId },
    #[error("{}", .0.message)]
    Refused(Failure),
}

/// A fleet of servers.
pub trait Fleet {
    /// The states of the servers 0 to `servers` - 1, in order.
    fn observe(&self, servers: usize) -> impl Future<Output = Vec<ServerState>> + Send;

    /// Number of restarts of servers that ended by themselves.
    fn restarts(&self) -> u32;

    /// The observation of a server that accepts requests and does not respond.
    fn unresponsive(&self) -> Seen {
        Seen::Exited(NO_RESPONSE.into())
    }

    /// Starts these servers. A started server replaces an ended or lost one.
    ///
    /// # Errors
    /// If a server cannot be started, now or later.
    fn ensure(&self, servers: &[ServerId]) -> impl Future<Output = Result<(), Error>> + Send;

    /// Stops all servers, and waits for their end.
    fn remove(&self) -> impl Future<Output = ()> + Send;
}
