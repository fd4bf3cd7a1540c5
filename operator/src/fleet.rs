//! The servers of one job, as processes or as pods. This trait is the only interface between the loop and the platform.

#[cfg(feature = "kubernetes")]
pub mod kubernetes;
pub mod process;

use api::phase::{Failure, Seen};
use api::plan::ServerId;
use std::future::Future;
use std::path::{Path, PathBuf};
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
    #[error("cannot start server {}: {}", id.0, refusal(program, cause))]
    Start { id: ServerId, program: PathBuf, cause: std::io::Error },
    #[error("{}", .0.message)]
    Refused(Failure),
}

/// Why the system does not start a program, and what to do.
fn refusal(program: &Path, cause: &std::io::Error) -> String {
    use nix::errno::Errno;
    let program = program.display();
    match cause.raw_os_error().map(Errno::from_raw) {
        Some(Errno::ENOENT) => format!("the program {program} does not exist; install arrayjob again"),
        Some(Errno::EMFILE) => format!("{cause}; raise the limit on open files (ulimit -n)"),
        Some(Errno::ENFILE) => format!("{cause}; the whole system has too many open files"),
        Some(Errno::EAGAIN) => format!("{cause}; raise the limit on processes (ulimit -u, or pids.max of the control group)"),
        Some(Errno::ENOMEM) => format!("{cause}; free memory, or run fewer servers"),
        _ => format!("{program}: {cause}"),
    }
}

/// A fleet of servers.
pub trait Fleet {
    /// The states of the servers 0 to `servers` - 1, in order.
    fn observe(&self, servers: usize) -> impl Future<Output = Vec<ServerState>> + Send;

    /// Number of restarts of servers that ended by themselves.
    fn restarts(&self) -> u32;

    /// Most processes of one server that the kernel killed for lack of memory. 0 for a fleet that reports such a kill as an end only.
    fn oom_kills(&self) -> u32 {
        0
    }

    /// Whether [`until_changed`](Self::until_changed) completes.
    fn reports_changes(&self) -> bool {
        false
    }

    /// Waits until a server becomes ready or ends after the last observation. Never completes if the fleet does not report changes.
    fn until_changed(&self) -> impl Future<Output = ()> + Send {
        std::future::pending()
    }

    /// The observation of a server that accepts requests and does not respond.
    fn unresponsive(&self) -> Seen {
        Seen::Exited(NO_RESPONSE.into())
    }

    /// Starts these servers. A started server replaces an ended or lost one. Does not wait until the servers are ready.
    ///
    /// # Errors
    /// If a server cannot be started, now or later.
    fn ensure(&self, servers: &[ServerId]) -> impl Future<Output = Result<(), Error>> + Send;

    /// Stops all servers, and waits for their end.
    fn remove(&self) -> impl Future<Output = ()> + Send;
}
