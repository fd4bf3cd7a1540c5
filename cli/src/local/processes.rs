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
        });
        let servers = Servers::new(ServerClient::new(command_key).map_err(|error| Error::Start(error.into()))?);
        Ok(Self { fleet, servers, read_key, _scratch: scratch })
    }

    /// The URL of the first server that is up. Any server serves all arrays.
    pub(crate) fn url(&self, turn: &Turn) -> Option<String> {
        turn.observed.servers.iter().find_map(|seen| match seen {
            Seen::Up { address, .. } => Some(format!("http://{address}/?{}={}", api::wire::TOKEN, self.read_key)),
            _ => None,
        })
    }
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
