//! What servers are made of: processes here, pods elsewhere. The only seam between the loop and the machines.

#[cfg(feature = "kubernetes")]
pub mod kubernetes;
pub mod process;

use crate::validate::Place;
use api::phase::{Failure, Seen};
use api::plan::ServerId;
use std::future::Future;
use thiserror::Error;

/// What is said of a server that runs and does not answer.
pub(crate) const SILENT: &str = "it did not answer";

/// A server as its fleet sees it, before it is asked anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerState {
    /// Never started.
    Absent,
    /// Ended by itself; why, as far as is known.
    Exited(String),
    /// Taken away, through no failure of its own; what is known.
    Lost(String),
    /// Started, and not listening yet.
    Starting,
    /// Listening at `host:port`.
    Up(String),
}

/// Why a fleet cannot do what it is told.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "each message says it")]
pub enum Error {
    #[error("cannot start server {}", id.0)]
    Start {
        id: ServerId,
        #[source]
        source: std::io::Error,
    },
    #[error("server {} started and said nothing", id.0)]
    Silent { id: ServerId },
    #[error("{}", .0.message)]
    Refused(Failure),
}

/// A fleet of servers.
pub trait Fleet {
    /// Every one of `servers` servers, in order.
    fn observe(&self, servers: usize) -> impl Future<Output = Vec<ServerState>> + Send;

    /// How often a server was started again.
    fn restarts(&self) -> u32;

    /// Where the servers run.
    fn place(&self) -> Place;

    /// What a server is that takes requests and does not answer them.
    fn silent(&self) -> Seen {
        Seen::Exited(SILENT.into())
    }

    /// Starts these servers, in the place of those that ended or were lost.
    ///
    /// # Errors
    /// When one cannot be started at all, now or later.
    fn ensure(&self, servers: &[ServerId]) -> impl Future<Output = Result<(), Error>> + Send;

    /// Ends all servers, and waits until they are gone.
    fn remove(&self) -> impl Future<Output = ()> + Send;
}
