//! Chunk servers as processes on this machine.

use crate::error::Error;
use crate::leftovers::Scratch;
use api::geometry::human_bytes;
use api::job::Storage;
use api::phase::Seen;
use api::plan::Plan;
use operator::fleet::process::{Options, ProcessFleet};
use operator::server_client::ServerClient;
use operator::servers::Servers;
use operator::turn::Turn;
use std::io::Read as _;
use std::path::Path;

/// The processes, a client for them, and their scratch folder.
#[derive(Debug)]
pub(crate) struct Processes {
    pub(crate) fleet: ProcessFleet,
    pub(super) servers: Servers,
    /// The read key of the job. URLs contain this key.
    read_key: String,
    /// The folder of scratch files, removed on drop.
    _scratch: Option<Scratch>,
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
        let scratch = (plan.storage == Storage::Disk).then(|| Scratch::new(&parent)).transpose().map_err(failed)?;
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
        Ok(Self { fleet, servers, read_key, _scratch: scratch })
    }

    /// The URL of a server that is up: `current`, if its server is up, or the URL of the first server. Any server serves all arrays.
    pub(crate) fn url(&self, turn: &Turn, current: &str) -> Option<String> {
        let urls = turn.observed.servers.iter().filter_map(|seen| match seen {
            Seen::Up { address, .. } => Some(format!("http://{address}/?{}={}", api::wire::TOKEN, self.read_key)),
            Seen::Absent | Seen::Exited(_) | Seen::Lost(_) | Seen::Starting => None,
        });
        current_or_first(urls, current)
    }
}

/// `current` if it is one of the URLs, else the first. Servers start in any order, so the first may come up after others.
fn current_or_first(urls: impl Iterator<Item = String>, current: &str) -> Option<String> {
    let mut first = None;
    for url in urls {
        if url == current {
            return Some(url);
        }
        first.get_or_insert(url);
    }
    first
}

/// Checks that the disk of the scratch folder has space for the plan.
fn check_disk(plan: &Plan, folder: &Path) -> Result<(), Error> {
    let needed: u64 = plan.memory.iter().map(api::plan::Memory::disk).sum();
    let Ok(disk) = nix::sys::statvfs::statvfs(folder) else { return Ok(()) };
    // The integer types differ between systems.
    let [blocks, size]: [u64; 2] = [disk.blocks_available() as _, disk.fragment_size() as _];
    let free = blocks * size;
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

/// 128 random bits of the system, as 32 hexadecimal digits.
fn new_key() -> std::io::Result<String> {
    let mut bytes = [0; 16];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_stays_while_its_server_is_up() {
        let of = |up: &[&str], current: &str| current_or_first(up.iter().map(|&url| url.to_owned()), current);
        assert_eq!(of(&["b"], "").as_deref(), Some("b"));
        assert_eq!(of(&["a", "b"], "b").as_deref(), Some("b"), "the first server came up later");
        assert_eq!(of(&["a", "c"], "b").as_deref(), Some("a"), "its server is lost");
        assert_eq!(of(&[], "b"), None);
    }
}
