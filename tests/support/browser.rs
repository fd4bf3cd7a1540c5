//! The job's page in a real browser.

use crate::repository;
use std::process::{Command, Stdio};

/// Runs `tests/browser/real` on the page of a finished job. The page must be complete, and `pixel` (y, x) must have its peak at
/// `cycles` periods per movie.
///
/// # Panics
/// When a check of the page fails, with the output of the browser tests.
pub fn must_show(url: &str, pixel: [usize; 2], cycles: usize) {
    let [y, x] = pixel;
    let mut command = Command::new(repository().join("tests/browser/real"));
    let output = command.args([url, &format!("{y},{x}"), &cycles.to_string()]).stdin(Stdio::null()).output().unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && stdout.contains("\n# fail 0\n"), "{stdout}{}", String::from_utf8_lossy(&output.stderr));
}
