//! Memory and processors that a job may use on this machine, or in this container.

use crate::error::Error;
use api::plan::{Allowance, Budget};

/// Part of the available memory that a job may plan with. The rest is for the system and the file cache.
const SHARE: f64 = 0.9;

/// Assumed available memory, in bytes, if the system does not report a number.
const DEFAULT_BYTES: u64 = 4 << 30;

/// The budget of all servers together: processors, and [`SHARE`] of the available memory within the limit of the control
/// group.
pub(crate) fn here() -> Budget {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let mut memory = available_bytes().unwrap_or(DEFAULT_BYTES);
    if let Some(limit) = journal::system::memory_left_bytes() {
        memory = memory.min(limit);
    }
    Budget { memory: Allowance::Shared((memory as f64 * SHARE) as u64), cores }
}

/// Parses the value of `--memory` into bytes.
///
/// # Errors
/// The text is not a Kubernetes quantity such as `8Gi`.
pub(crate) fn parse(text: &str) -> Result<u64, Error> {
    let wrong = || Error::Option { option: "--memory", text: text.to_owned(), rule: "write a quantity of memory, as in 8Gi" };
    operator::validate::parse_bytes(text).ok_or_else(wrong)
}

/// `MemAvailable` of `/proc/meminfo` (proc_meminfo(5)), in bytes.
fn available_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    Some(line.trim().trim_end_matches("kB").trim().parse::<u64>().ok()? * 1024)
}
