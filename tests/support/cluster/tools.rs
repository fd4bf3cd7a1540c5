//! Programs run to their end.

use crate::place::Ended;
use std::ffi::OsStr;
use std::io::Write as _;
use std::process::{Command, Stdio};

/// Runs a program of PATH with this standard input.
///
/// # Panics
/// When there is no such program.
pub fn tool<S: AsRef<OsStr>>(program: &str, arguments: impl IntoIterator<Item = S>, input: &str) -> Ended {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{program}: {error}; run these tests with tests/with-cluster"));
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    // It may say more than a pipe holds before it has read all.
    let feeding = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().unwrap();
    // Whoever ends without having read all has said why.
    let _ = feeding.join();
    Ended { code: output.status.code(), stdout: output.stdout, stderr: String::from_utf8_lossy(&output.stderr).into_owned() }
}

/// What kubectl prints.
///
/// # Panics
/// When it fails.
pub fn kubectl<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> String {
    must("kubectl", arguments)
}

/// What helm prints.
///
/// # Panics
/// When it fails.
pub fn helm<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> String {
    must("helm", arguments)
}

fn must<S: AsRef<OsStr>>(program: &str, arguments: impl IntoIterator<Item = S>) -> String {
    let arguments: Vec<S> = arguments.into_iter().collect();
    let ended = tool(program, &arguments, "");
    let said: Vec<_> = arguments.iter().map(|argument| argument.as_ref().to_string_lossy()).collect();
    assert_eq!(ended.code, Some(0), "{program} {}: {}", said.join(" "), ended.stderr);
    ended.text()
}
