//! What tests stand on: a source of frames that misbehaves on request, manifests, the built command and its processes,
//! a reader of what it wrote, and the referee in NumPy.
//!
//! Whatever a test starts belongs to a value that ends it when dropped, so a failed test leaves nothing behind either.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot be set up should say so and stop")]

pub mod azure;
pub mod browser;
pub mod cluster;
pub mod gcs;
pub mod http;
pub mod job;
mod listening;
pub mod movie;
pub mod place;
pub mod processes;
pub mod referee;
pub mod s3;
pub mod source;
pub mod tls;
pub mod webdav;
pub mod zarr;

use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Longer than anything waited for here takes on a slow machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until `holds`, at most [`PATIENCE`].
///
/// # Panics
/// When it does not come to hold.
pub fn until(what: &str, holds: impl FnMut() -> bool) {
    assert!(within(PATIENCE, holds), "waited {PATIENCE:?} in vain until {what}");
}

/// Whether `holds` comes true within `longest`.
pub fn within(longest: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let begun = Instant::now();
    loop {
        if holds() {
            return true;
        }
        if begun.elapsed() > longest {
            return false;
        }
        // The kernel tells nobody of most conditions waited for here; a look costs microseconds.
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

/// The root of the repository.
pub fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}
