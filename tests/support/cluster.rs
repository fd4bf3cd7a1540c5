//! A Kubernetes cluster as tests use it: kubectl, helm and docker as processes, a namespace for each test, and the operator
//! that `tests/cluster/run` has installed.

mod applied;
mod forward;
pub mod node;
pub mod operator;
mod plugin;
mod reference;
mod stage;
mod store;
mod tools;

pub use applied::{Applied, Condition, HowLost, Pod, Work};
pub use forward::{Forward, Reader};
pub use plugin::Plugin;
pub use reference::{Slices, refereed};
pub use stage::{Source, Stage};
pub use store::{STORE, store_image};
pub use tools::{helm, kubectl, tool};

use std::time::{Duration, Instant};

/// Between two looks.
const PACE: Duration = Duration::from_millis(100);
/// Between two looks at something that is soon over.
const HASTE: Duration = Duration::from_millis(30);

/// Looks ten times a second until `look` finds something; until then it says what it sees instead.
///
/// # Panics
/// After `limit`, with what was seen last.
pub fn until<T>(what: &str, limit: Duration, look: impl FnMut() -> Result<T, String>) -> T {
    every(PACE, what, limit, look)
}

/// As [`until`], for what may be over within a tenth of a second.
pub(crate) fn hastily<T>(what: &str, limit: Duration, look: impl FnMut() -> Result<T, String>) -> T {
    every(HASTE, what, limit, look)
}

fn every<T>(pace: Duration, what: &str, limit: Duration, mut look: impl FnMut() -> Result<T, String>) -> T {
    let begun = Instant::now();
    loop {
        match look() {
            Ok(found) => return found,
            Err(seen) => assert!(begun.elapsed() < limit, "waited {limit:?} in vain until {what}; last seen: {seen}"),
        }
        std::thread::park_timeout(pace);
    }
}

/// A duration that reads as a sentence's end.
pub const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}
