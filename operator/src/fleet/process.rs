//! Chunk servers as processes on loopback. A server reads the keys of the run from its standard input. When this process ends, the input is
//! closed, and the server ends too.

mod end;
mod server;

use super::{Error, Fleet, NO_RESPONSE, ServerState};
use api::plan::ServerId;
use api::wire::Startup;
use end::{End, Ends};
use server::{Life, Server};
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::watch;
use tokio::time::Instant;

/// A server on loopback listens within milliseconds. The timeout allows for an overloaded machine. The fleet also retries for this time
/// while the system has too few processes or files for another server.
const START_TIMEOUT: Duration = Duration::from_secs(20);

/// Time for killed processes to end. A killed process runs no more instructions of its program after a few milliseconds.
const END_TIMEOUT: Duration = Duration::from_millis(200);

/// Options of the processes.
#[derive(Clone, Debug)]
pub struct Options {
    /// Program and arguments of a chunk server.
    pub command: Vec<PathBuf>,
    /// The read key of the run.
    pub key: String,
    /// The command key of the run.
    pub command_key: String,
    /// Compute threads of each server.
    pub threads: usize,
    /// Folder for scratch files.
    pub scratch: Option<PathBuf>,
    /// Planned peak of the largest server, in bytes; for messages.
    pub planned_bytes: u64,
    /// How many processes of this process's control group the kernel has killed for lack of memory; `None` if the system does not count.
    pub oom_kills: fn() -> Option<u64>,
}

/// A fleet of processes.
#[derive(Debug)]
pub struct ProcessFleet {
    options: Options,
    ends: Arc<Ends>,
    start_timeout: Duration,
    slots: Mutex<Vec<Option<Slot>>>,
    restarts: AtomicU32,
    /// Since when the system refuses another process.
    refused_since: Mutex<Option<Instant>>,
    /// The clock of the servers: a monotonic moment, and its Unix time in milliseconds.
    clock: (Instant, u64),
    /// Number of servers that became ready or ended.
    changes: watch::Sender<u64>,
    /// The number of changes at the last observation.
    observed: AtomicU64,
}

/// The current process of one server.
#[derive(Debug)]
struct Slot {
    server: Server,
    /// Number of earlier processes that the kernel killed for lack of memory.
    oom_kills: u32,
}

impl Slot {
    /// Number of processes of this server that the kernel killed for lack of memory.
    fn oom_kills(&self) -> u32 {
        self.oom_kills + u32::from(matches!(self.server.life(), Life::Ended(End { out_of_memory: true, .. })))
    }
}

impl ProcessFleet {
    /// A fleet without servers.
    pub fn new(options: Options) -> Self {
        let ends = Arc::new(Ends::new(&options));
        Self {
            options,
            ends,
            start_timeout: START_TIMEOUT,
            slots: Mutex::new(Vec::new()),
            restarts: AtomicU32::new(0),
            refused_since: Mutex::new(None),
            clock: (Instant::now(), SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)),
            changes: watch::Sender::new(0),
            observed: AtomicU64::new(0),
        }
    }

    fn slots(&self) -> MutexGuard<'_, Vec<Option<Slot>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a process for server `id`. The process is not ready when this function returns.
    fn start(&self, id: ServerId) -> std::io::Result<()> {
        let mut slots = self.slots();
        if slots.len() <= id.0 {
            slots.resize_with(id.0 + 1, || None);
        }
        let before = slots[id.0].as_ref();
        let startup = Startup {
            key: self.options.key.clone(),
            command_key: self.options.command_key.clone(),
            threads: self.options.threads,
            scratch: self.options.scratch.as_ref().map(|folder| folder.to_string_lossy().into_owned()),
            after: before.map(|slot| match slot.server.life() {
                Life::Ended(end) => end.text,
                // The loop replaces a running server only if the server does not respond.
                Life::Starting | Life::Up(_) => NO_RESPONSE.into(),
            }),
            unix_ms: Some(self.clock.1 + self.clock.0.elapsed().as_millis() as u64),
        };
        let server = Server::start(&self.options.command, &startup, self.start_timeout, &self.ends, &self.changes)?;
        let oom_kills = before.map_or(0, Slot::oom_kills);
        if slots[id.0].replace(Slot { server, oom_kills }).is_some() {
            self.restarts.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Whether the fleet tries again after a refusal of the system.
    fn may_retry(&self, refusal: &std::io::Error) -> bool {
        let mut since = self.refused_since.lock().unwrap_or_else(PoisonError::into_inner);
        is_temporary(refusal) && since.get_or_insert_with(Instant::now).elapsed() < self.start_timeout
    }
}

/// Whether the system may start the process later: too many processes or open files, or too little memory.
fn is_temporary(refusal: &std::io::Error) -> bool {
    use nix::errno::Errno;
    let errno = refusal.raw_os_error().map(Errno::from_raw);
    refusal.kind() == ErrorKind::Interrupted || matches!(errno, Some(Errno::EAGAIN | Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM))
}

impl Fleet for ProcessFleet {
    async fn observe(&self, count: usize) -> Vec<ServerState> {
        // Read before the states: a change after this line ends the next wait.
        self.observed.store(*self.changes.borrow(), Ordering::Relaxed);
        let mut slots = self.slots();
        slots.resize_with(count, || None);
        slots.iter().map(|slot| slot.as_ref().map_or(ServerState::Absent, |slot| slot.server.state())).collect()
    }

    fn restarts(&self) -> u32 {
        self.restarts.load(Ordering::Relaxed)
    }

    fn oom_kills(&self) -> u32 {
        self.slots().iter().flatten().map(Slot::oom_kills).max().unwrap_or(0)
    }

    fn reports_changes(&self) -> bool {
        true
    }

    async fn until_changed(&self) {
        let seen = self.observed.load(Ordering::Relaxed);
        // The sender lives as long as `self`.
        let _ = self.changes.subscribe().wait_for(|&changes| changes != seen).await;
    }

    async fn ensure(&self, ids: &[ServerId]) -> Result<(), Error> {
        for &id in ids {
            match self.start(id) {
                Ok(()) => *self.refused_since.lock().unwrap_or_else(PoisonError::into_inner) = None,
                // The state of the server stays, so the next turn tries again.
                Err(refusal) if self.may_retry(&refusal) => tracing::debug!(server = id.0, %refusal, "the start is retried"),
                Err(cause) => {
                    let program = self.options.command.first().cloned().unwrap_or_default();
                    return Err(Error::Start { id, program, cause });
                }
            }
        }
        Ok(())
    }

    async fn remove(&self) {
        let slots = std::mem::take(&mut *self.slots());
        // All processes get the signal before the first wait.
        let ends: Vec<_> = slots.into_iter().flatten().map(|slot| slot.server.stop()).collect();
        // The kernel first frees the memory and the scratch files of a killed process, which takes seconds for tens of GiB. The end of the
        // run does not depend on them.
        let _ = tokio::time::timeout(END_TIMEOUT, futures_util::future::join_all(ends)).await;
    }
}

#[cfg(test)]
mod tests;
