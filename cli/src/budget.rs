//! Memory and processors that a job may use on this machine, or in this container.

use crate::error::Error;
use api::job::Job;
use api::phase::reason;
use api::plan::{Allowance, Budget, Plan};
use journal::control_groups::memory_left_bytes;
use journal::system::available_bytes;

/// Part of the available memory that a job may plan with. The rest is for the system and the file cache.
const SHARE: f64 = 0.9;

/// Assumed available memory, in bytes, if the system does not report a number.
const DEFAULT_BYTES: u64 = 4 << 30;

/// The budget of all servers together: processors, and [`SHARE`] of the available memory within the limit of the control
/// group.
pub(crate) fn here() -> Budget {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let mut memory = available_bytes().unwrap_or(DEFAULT_BYTES);
    if let Some(limit) = memory_left_bytes() {
        memory = memory.min(limit);
    }
    Budget { memory: Allowance::Shared((memory as f64 * SHARE) as u64), cores }
}

/// Open files of a program beside its connections: standard streams, the runtime, listeners, logs, a few files.
const OWN_FILES: u64 = 32;
/// Open files for each server in the command: two pipes, and connections for progress and for readers.
const FILES_OF_SERVER: u64 = 8;
/// Connections of a server to each peer, in both directions, and of readers.
const FILES_OF_PEER: u64 = 4;

/// Checks that every process of the job may open the files and connections that the plan needs. Without the check, connections would fail and
/// be retried.
///
/// # Errors
/// The limit is too low.
pub(crate) fn check_open_files(job: &Job, plan: &Plan, limit: Option<u64>) -> Result<(), Error> {
    let servers = plan.partition.servers as u64;
    let command = OWN_FILES + FILES_OF_SERVER * servers;
    let server = OWN_FILES + job.concurrency as u64 + FILES_OF_PEER * servers;
    let needed = command.max(server);
    match limit.filter(|&limit| limit < needed) {
        None => Ok(()),
        Some(limit) => Err(Error::Refused(format!(
            "{}: the job needs {needed} open files in one process, and the limit is {limit}; raise the limit (ulimit -Hn), or use fewer \
             servers or a smaller load.concurrency",
            reason::TOO_MANY_OPEN_FILES
        ))),
    }
}

/// Parses the value of `--memory` into bytes.
///
/// # Errors
/// The text is not a Kubernetes quantity such as `8Gi`.
pub(crate) fn parse(text: &str) -> Result<u64, Error> {
    let wrong = || Error::Option { option: "--memory", text: text.to_owned(), rule: "write a quantity of memory, as in 8Gi" };
    operator::validate::parse_bytes(text).ok_or_else(wrong)
}
