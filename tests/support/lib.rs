//! Helpers of the tests: a source of frames with faults on request, manifests, the built command and its processes,
//! a reader of Zarr outputs, and the reference implementation in NumPy.
//!
//! A value owns each process and folder of a test. Dropping the value removes them, also after a failed test.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a failed setup fails the test")]

pub mod azure;
pub mod browser;
pub mod cluster;
pub mod disk;
pub mod fault_rows;
pub mod gcs;
pub mod http;
pub mod job;
mod listening;
pub mod movie;
pub mod place;
pub mod processes;
pub mod random;
pub mod referee;
pub mod s3;
pub mod source;
pub mod tls;
pub mod webdav;
pub mod zarr;

use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Longer than every awaited condition takes on a slow machine.
pub const TIMEOUT: Duration = Duration::from_secs(60);

/// Waits until `condition` holds, at most [`TIMEOUT`].
///
/// # Panics
/// After the timeout.
pub fn until(what: &str, condition: impl FnMut() -> bool) {
    assert!(within(TIMEOUT, condition), "timeout after {TIMEOUT:?}: {what}");
}

/// Whether `condition` holds within `timeout`.
pub fn within(timeout: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    loop {
        if condition() {
            return true;
        }
        if start.elapsed() > timeout {
            return false;
        }
        // The kernel has no notification for most of these conditions. A poll costs microseconds.
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

/// The root of the repository.
pub fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}
