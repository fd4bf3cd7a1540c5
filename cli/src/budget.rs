//! What this machine, or the container that we are in, lets us use.

use crate::error::Error;
use api::plan::{Allowance, Budget};

/// The share of available memory that a job may plan with: the rest is the system's and the file cache's.
const SHARE: f64 = 0.9;

/// Memory and processors that may be used here.
pub fn here() -> Budget {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let mut memory = available_bytes().unwrap_or(4 << 30);
    if let Some(limit) = journal::system::memory_left_bytes() {
        memory = memory.min(limit);
    }
    Budget { memory: Allowance::Shared((memory as f64 * SHARE) as u64), cores }
}

/// Bytes that a `--memory` option names.
///
/// # Errors
/// When it is no quantity.
pub fn parse(text: &str) -> Result<u64, Error> {
    let wrong = || Error::Option { option: "--memory", text: text.to_owned(), rule: "write a quantity of memory, as in 8Gi" };
    operator::validate::parse_bytes(text).ok_or_else(wrong)
}

fn available_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    Some(line.trim().trim_end_matches("kB").trim().parse::<u64>().ok()? * 1024)
}
