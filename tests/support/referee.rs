//! NumPy's opinion: `tests/clients` run in one Python process for all tests, since its imports take seconds.

use crate::repository;
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};

/// The Python process. It ends when its standard input does, at the latest with the tests.
struct Referee {
    child: Child,
    answers: BufReader<ChildStdout>,
}

/// Runs a program of `tests/clients` with these arguments.
///
/// # Errors
/// With what it printed, when its exit code is not 0.
///
/// # Panics
/// When there is no Python, or its packages cannot be had.
pub fn python(program: &str, arguments: &[&str]) -> Result<String, String> {
    static REFEREE: OnceLock<Mutex<Referee>> = OnceLock::new();
    let referee = REFEREE.get_or_init(|| Mutex::new(start()));
    let mut referee = referee.lock().unwrap_or_else(PoisonError::into_inner);
    let question = json!({"program": program, "arguments": arguments});
    writeln!(referee.child.stdin.as_mut().unwrap(), "{question}").unwrap();
    let mut line = String::new();
    referee.answers.read_line(&mut line).unwrap();
    let answer: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{program} said no JSON: {line}"));
    let printed = answer["printed"].as_str().unwrap_or_default().to_owned();
    if answer["code"] == 0 { Ok(printed) } else { Err(printed) }
}

/// Runs a program of `tests/clients` in a process of its own, for those that take their time or need an environment of theirs.
///
/// # Errors
/// With what it printed, when its exit code is not 0.
///
/// # Panics
/// When there is no Python, or its packages cannot be had.
pub fn python_alone(program: &str, arguments: &[&str], variables: &[(&str, String)]) -> Result<String, String> {
    let mut command = Command::new(interpreter());
    command.arg(clients().join(format!("{program}.py"))).args(arguments);
    command.env("PYTHONUNBUFFERED", "1").envs(variables.iter().map(|(name, value)| (name, value)));
    let output = command.stdin(Stdio::null()).output().unwrap();
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    if output.status.success() { Ok(said[0].clone()) } else { Err(said.concat()) }
}

/// The programs' folder.
fn clients() -> PathBuf {
    repository().join("tests/clients")
}

/// Python with the packages of `requirements.txt`.
///
/// # Panics
/// When they cannot be had.
pub fn interpreter() -> PathBuf {
    static MADE: OnceLock<PathBuf> = OnceLock::new();
    MADE.get_or_init(|| environment(&clients())).join("bin/python")
}

fn start() -> Referee {
    let mut child =
        Command::new(interpreter()).arg(clients().join("one_process.py")).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let answers = BufReader::new(child.stdout.take().unwrap());
    Referee { child, answers }
}

/// A virtual environment with the packages of `requirements.txt`, made once and again when they change.
fn environment(clients: &Path) -> PathBuf {
    let folder = repository().join(".cache/venv-clients");
    let requirements = clients.join("requirements.txt");
    let wanted = std::fs::read(&requirements).unwrap();
    let note = folder.join("requirements.txt");
    if std::fs::read(&note).is_ok_and(|made| made == wanted) {
        return folder;
    }
    let run = |command: &mut Command| {
        let status = command.status().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        assert!(status.success(), "{command:?}: {status}");
    };
    run(Command::new("python3").args(["-m", "venv"]).arg(&folder));
    // Not bin/pip, which goes by the path that it was made at: in a copied folder it would install into the other one.
    run(Command::new(folder.join("bin/python")).args(["-m", "pip", "install", "--quiet", "--requirement"]).arg(&requirements));
    // Last, so that an interrupted installation is made again.
    std::fs::write(&note, wanted).unwrap();
    folder
}
