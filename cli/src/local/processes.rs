//! Chunk servers as processes on this machine.

use crate::error::Error;
use crate::leftovers::Scratch;
use crate::registry;
use api::geometry::human_bytes;
use api::phase::Seen;
use api::plan::Plan;
use operator::fleet::Fleet as _;
use operator::fleet::process::{Options, ProcessFleet};
use operator::server_client::ServerClient;
use operator::servers::Servers;
use operator::turn::Turn;
use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

/// Period in which free space grows while the kernel frees scratch files.
const GROWTH_PERIOD: Duration = Duration::from_millis(500);

/// The processes, a client for them, and their scratch folder.
#[derive(Debug)]
pub(crate) struct Processes {
    pub(crate) fleet: ProcessFleet,
    pub(super) servers: Servers,
    /// The read key of the job. URLs contain this key.
    read_key: String,
    /// The folder of scratch files, removed on drop.
    scratch: Option<Scratch>,
}

impl Processes {
    /// A fleet for the plan. The first turn of the loop starts the processes.
    ///
    /// # Errors
    /// The scratch disk is too small, or the system refuses a folder, random bytes or the HTTP client.
    pub(crate) fn new(plan: &Plan) -> Result<Self, Error> {
        let failed = |error: std::io::Error| Error::Start(error.into());
        transport::crypto::install_crypto();
        let program = std::env::current_exe().map_err(failed)?;
        let parent = std::path::absolute(std::env::temp_dir()).map_err(failed)?;
        Scratch::sweep(&parent);
        registry::remove_leftovers();
        let scratch = plan.storage.has_tiles_on_disk().then(|| Scratch::new(&parent)).transpose().map_err(failed)?;
        if let Some(folder) = &scratch {
            check_disk(plan, folder.path())?;
        }
        let (read_key, command_key) = (new_key().map_err(failed)?, new_key().map_err(failed)?);
        let fleet = ProcessFleet::new(Options {
            command: vec![program, "chunk-server".into()],
            key: read_key.clone(),
            command_key: command_key.clone(),
            threads: plan.threads,
            scratch: scratch.as_ref().map(|folder| folder.path().to_owned()),
            planned_bytes: plan.peak_bytes(),
            oom_kills: journal::control_groups::oom_kills,
        });
        let servers = Servers::new(ServerClient::new(command_key).map_err(|error| Error::Start(error.into()))?);
        Ok(Self { fleet, servers, read_key, scratch })
    }

    /// Ends all servers.
    pub(crate) async fn end(&mut self) {
        // Before the ends, which free scratch files: meanwhile a file system may block changes of folders for seconds.
        self.scratch = None;
        self.fleet.remove().await;
    }

    /// The URL of the job: `current` while its server is up, or the URL of the first server. Any server serves all arrays.
    pub(crate) fn url(&self, turn: &Turn, current: &str) -> Option<String> {
        let states = turn.observed.servers.iter().map(|seen| match seen {
            Seen::Up { address, .. } => State::Up(format!("http://{address}/?{}={}", api::wire::TOKEN, self.read_key)),
            Seen::Absent | Seen::Starting => State::Starting,
            Seen::Exited(_) | Seen::Lost(_) => State::Ended,
        });
        job_url(states, current)
    }
}

/// What the URL of the job depends on, per server.
enum State {
    /// With its URL.
    Up(String),
    Starting,
    Ended,
}

/// `current` if its server is up, else the URL of the first server.
///
/// Servers start in any order. The first URL waits for the servers before the first one that is up, unless they ended:
/// otherwise each run would use another server.
fn job_url(states: impl Iterator<Item = State>, current: &str) -> Option<String> {
    let (mut first, mut waits) = (None, false);
    for state in states {
        match state {
            State::Up(url) if url == current => return Some(url),
            State::Up(url) if first.is_none() && !(waits && current.is_empty()) => first = Some(url),
            State::Starting => waits = true,
            State::Up(_) | State::Ended => {}
        }
    }
    first
}

/// Checks that the disk of the scratch folder has space for the plan.
fn check_disk(plan: &Plan, folder: &Path) -> Result<(), Error> {
    let needed: u64 = plan.memory.iter().map(api::plan::Memory::disk).sum();
    let Some(mut free) = free_bytes(folder) else { return Ok(()) };
    while free <= needed {
        std::thread::sleep(GROWTH_PERIOD);
        // The kernel may still free the scratch files of a command that has just ended.
        match free_bytes(folder) {
            Some(more) if more > free => free = more,
            _ => break,
        }
    }
    if free > needed {
        return Ok(());
    }
    Err(Error::Refused(format!(
        "DiskFull: needs {} of scratch disk, {} has {}; set TMPDIR to a folder on a larger disk, or keep fewer arrays",
        human_bytes(needed),
        folder.display(),
        human_bytes(free)
    )))
}

/// Free space of the file system that holds `folder`, in bytes; `None` where the system does not report it.
fn free_bytes(folder: &Path) -> Option<u64> {
    let disk = nix::sys::statvfs::statvfs(folder).ok()?;
    // The integer types differ between systems.
    let [blocks, size]: [u64; 2] = [disk.blocks_available() as _, disk.fragment_size() as _];
    Some(blocks * size)
}

/// 128 random bits of the system, as 32 hexadecimal digits.
fn new_key() -> std::io::Result<String> {
    let mut bytes = [0; 16];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    use State::{Ended, Starting};

    fn up(url: &str) -> State {
        State::Up(url.to_owned())
    }

    fn of<const N: usize>(states: [State; N], current: &str) -> Option<String> {
        job_url(states.into_iter(), current)
    }

    #[test]
    fn the_url_stays_while_its_server_is_up() {
        assert_eq!(of([up("a"), up("b")], "b").as_deref(), Some("b"), "the first server came up later");
        assert_eq!(of([up("a"), Ended, up("c")], "b").as_deref(), Some("a"), "its server is lost");
        assert_eq!(of([Starting, up("b")], "a").as_deref(), Some("b"), "its server starts again");
        assert_eq!(of([Ended, Starting], "b"), None);
    }

    #[test]
    fn the_first_url_is_the_url_of_the_first_server_that_starts() {
        assert_eq!(of([Starting, up("b")], ""), None);
        assert_eq!(of([up("a"), Starting], "").as_deref(), Some("a"));
        assert_eq!(of([Ended, up("b")], "").as_deref(), Some("b"));
    }
}
