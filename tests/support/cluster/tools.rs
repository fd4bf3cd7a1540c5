//! Functions that run a program to its end.

use crate::place::CommandOutput;
use std::ffi::OsStr;
use std::io::Write as _;
use std::process::{Command, Stdio};

/// Runs a program from PATH with this standard input.
///
/// # Panics
/// When the program does not exist.
pub fn tool<S: AsRef<OsStr>>(program: &str, arguments: impl IntoIterator<Item = S>, input: &str) -> CommandOutput {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{program}: {error}; run these tests with tests/with-cluster"));
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    // The program may fill the output pipe before it has read all input.
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().unwrap();
    // A program that ends before it has read all input reports the reason.
    let _ = writer.join();
    CommandOutput { code: output.status.code(), stdout: output.stdout, stderr: String::from_utf8_lossy(&output.stderr).into_owned() }
}

/// Runs kubectl; returns standard output.
///
/// # Panics
/// When kubectl fails.
pub fn kubectl<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> String {
    must("kubectl", arguments)
}

/// Runs helm; returns standard output.
///
/// # Panics
/// When helm fails.
pub fn helm<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> String {
    must("helm", arguments)
}

fn must<S: AsRef<OsStr>>(program: &str, arguments: impl IntoIterator<Item = S>) -> String {
    let arguments: Vec<S> = arguments.into_iter().collect();
    let ended = tool(program, &arguments, "");
    let words: Vec<_> = arguments.iter().map(|argument| argument.as_ref().to_string_lossy()).collect();
    assert_eq!(ended.code, Some(0), "{program} {}: {}", words.join(" "), ended.stderr);
    ended.text()
}
