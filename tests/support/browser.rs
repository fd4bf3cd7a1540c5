//! The job's page in a real browser.

use crate::repository;
use std::process::{Command, Stdio};

/// Has `tests/browser` look at the page of a job that is done: all of it is there, and `pixel` (y, x) beats `cycles` times.
///
/// # Panics
/// When it does not, with what the browser's tests said.
pub fn must_show(url: &str, pixel: [usize; 2], cycles: usize) {
    let [y, x] = pixel;
    let mut command = Command::new(repository().join("tests/browser/real"));
    let output = command.args([url, &format!("{y},{x}"), &cycles.to_string()]).stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("\n# fail 0\n"), "{said}{}", String::from_utf8_lossy(&output.stderr));
}
