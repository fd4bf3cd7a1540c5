//! A Kubernetes cluster for tests: kubectl, helm and docker as processes, a namespace for each test, and the operator that
//! `tests/cluster/run` installed.

mod applied;
mod forward;
mod network;
pub mod node;
pub mod operator;
mod plugin;
mod reference;
mod stage;
mod store;
mod tools;

pub use applied::{Applied, Condition, Deletion, Pod, Work};
pub use forward::{Forward, Reader};
pub use network::{MetadataService, PodNetwork};
pub use plugin::Plugin;
pub use reference::{Slices, numpy_results};
pub use stage::{Source, Stage};
pub use store::{STORE, store_image};
pub use tools::{helm, kubectl, tool};

use std::time::{Duration, Instant};

/// The time between two polls.
const POLL_INTERVAL: Duration = Duration::from_millis(100);
/// The time between two polls for a short-lived state.
const FAST_POLL_INTERVAL: Duration = Duration::from_millis(30);

/// Polls ten times a second until `poll` returns a value. The error of `poll` describes the current state.
///
/// # Panics
/// After `limit`, with the last state.
pub fn until<T>(what: &str, limit: Duration, poll: impl FnMut() -> Result<T, String>) -> T {
    every(POLL_INTERVAL, what, limit, poll)
}

/// As [`until`], for a state that may last less than a tenth of a second.
pub(crate) fn until_fast<T>(what: &str, limit: Duration, poll: impl FnMut() -> Result<T, String>) -> T {
    every(FAST_POLL_INTERVAL, what, limit, poll)
}

fn every<T>(interval: Duration, what: &str, limit: Duration, mut poll: impl FnMut() -> Result<T, String>) -> T {
    let start = Instant::now();
    loop {
        match poll() {
            Ok(found) => return found,
            Err(state) => assert!(start.elapsed() < limit, "timeout after {limit:?}: {what}; last state: {state}"),
        }
        std::thread::park_timeout(interval);
    }
}

/// Shorthand for [`Duration::from_secs`].
pub const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}
