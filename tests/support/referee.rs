//! The reference implementation in NumPy: the programs of `tests/clients`. One Python process serves all tests, because the imports
//! take seconds.

use crate::repository;
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};

/// The Python process. It ends when its standard input closes, at the latest with the tests.
struct Referee {
    child: Child,
    responses: BufReader<ChildStdout>,
}

/// Runs a program of `tests/clients` with these arguments.
///
/// # Errors
/// The output, when the exit code is not 0.
///
/// # Panics
/// When Python is missing, or the installation of packages fails.
pub fn python(program: &str, arguments: &[&str]) -> Result<String, String> {
    static REFEREE: OnceLock<Mutex<Referee>> = OnceLock::new();
    let referee = REFEREE.get_or_init(|| Mutex::new(start()));
    let mut referee = referee.lock().unwrap_or_else(PoisonError::into_inner);
    let request = json!({"program": program, "arguments": arguments});
    writeln!(referee.child.stdin.as_mut().unwrap(), "{request}").unwrap();
    let mut line = String::new();
    referee.responses.read_line(&mut line).unwrap();
    let response: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{program} printed no JSON: {line}"));
    let printed = response["printed"].as_str().unwrap_or_default().to_owned();
    if response["code"] == 0 { Ok(printed) } else { Err(printed) }
}

/// Runs a program of `tests/clients` in a separate process: for slow programs, and for programs with environment variables.
///
/// # Errors
/// The output, when the exit code is not 0.
///
/// # Panics
/// When Python is missing, or the installation of packages fails.
pub fn python_process(program: &str, arguments: &[&str], variables: &[(&str, String)]) -> Result<String, String> {
    let mut command = Command::new(interpreter());
    command.arg(clients().join(format!("{program}.py"))).args(arguments);
    command.env("PYTHONUNBUFFERED", "1").envs(variables.iter().map(|(name, value)| (name, value)));
    let output = command.stdin(Stdio::null()).output().unwrap();
    let [stdout, stderr] = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    if output.status.success() { Ok(stdout) } else { Err(stdout + &stderr) }
}

/// The folder of the programs.
fn clients() -> PathBuf {
    repository().join("tests/clients")
}

/// Python with the packages of `requirements.txt`.
///
/// # Panics
/// When the installation fails.
pub fn interpreter() -> PathBuf {
    static ENVIRONMENT: OnceLock<PathBuf> = OnceLock::new();
    ENVIRONMENT.get_or_init(|| environment(&clients())).join("bin/python")
}

fn start() -> Referee {
    let mut child =
        Command::new(interpreter()).arg(clients().join("one_process.py")).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let responses = BufReader::new(child.stdout.take().unwrap());
    Referee { child, responses }
}

/// Creates a virtual environment with the packages of `requirements.txt`, unless an up-to-date one exists.
fn environment(clients: &Path) -> PathBuf {
    let folder = repository().join(".cache/venv-clients");
    let requirements = clients.join("requirements.txt");
    let wanted = std::fs::read(&requirements).unwrap();
    let installed = folder.join("requirements.txt");
    if std::fs::read(&installed).is_ok_and(|found| found == wanted) {
        return folder;
    }
    let run = |command: &mut Command| {
        let status = command.status().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        assert!(status.success(), "{command:?}: {status}");
    };
    run(Command::new("python3").args(["-m", "venv"]).arg(&folder));
    // Not bin/pip: its first line contains the original path, so that in a copied folder pip would install into the original.
    run(Command::new(folder.join("bin/python")).args(["-m", "pip", "install", "--quiet", "--requirement"]).arg(&requirements));
    // Last, so that the next run repeats an interrupted installation.
    std::fs::write(&installed, wanted).unwrap();
    folder
}
