//! A temporary folder for one test, and the command in this folder. Dropping the value removes both.

use crate::job::Job;
use crate::processes::Process;
use crate::zarr::{self, Arrays};
use crate::{TIMEOUT, until, within};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use tempfile::TempDir;

/// An environment variable that marks the processes of a test and all their descendants.
const MARK: &str = "ARRAYJOB_TEST_PLACE";

/// A folder for manifests, results, scratch files and entries of served jobs.
#[derive(Debug)]
pub struct Place {
    folder: TempDir,
    variables: Vec<(&'static str, String)>,
}

impl Drop for Place {
    fn drop(&mut self) {
        Process::marked(&self.mark()).into_iter().for_each(Process::kill);
    }
}

impl Default for Place {
    fn default() -> Self {
        let folder = tempfile::Builder::new().prefix("arrayjob-test-").tempdir().unwrap();
        // `must_leave_nothing_but` looks here for scratch files and entries of served jobs.
        for name in ["scratch", "served"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        Self { folder, variables: Vec::new() }
    }
}

impl Place {
    /// A folder whose commands have these environment variables.
    pub fn with(variables: impl IntoIterator<Item = (&'static str, String)>) -> Self {
        let mut place = Self::default();
        place.variables.extend(variables);
        place
    }

    /// The path of a file in this folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Every process that a command of this folder started, and that has not ended.
    pub fn processes(&self) -> Vec<Process> {
        Process::marked(&self.mark())
    }

    fn mark(&self) -> String {
        format!("{MARK}={}", self.folder.path().display())
    }

    /// Writes the manifest NAME.json. The job has the same name.
    pub fn manifest(&self, name: &str, job: &Job) -> PathBuf {
        self.write(&format!("{name}.json"), job.manifest(name).as_bytes())
    }

    /// Writes a file into this folder.
    pub fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// Starts the command.
    pub fn start<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Running {
        let (name, value) = (MARK, self.folder.path());
        let mut command = Command::new(command());
        // The command trusts a certificate authority that the test wrote into this folder.
        let authority = self.path("authority.pem");
        if authority.exists() {
            command.env("SSL_CERT_FILE", authority);
        }
        let mut child = command
            .args(arguments)
            .current_dir(self.folder.path())
            .env(name, value)
            .env("TMPDIR", self.path("scratch"))
            .env("XDG_RUNTIME_DIR", self.path("served"))
            .env_remove("RUST_LOG")
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = child.stdout.take().unwrap();
        let stdout = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            stdout.read_to_end(&mut bytes).unwrap();
            bytes
        });
        let stderr_lines = Arc::new(Mutex::new(Vec::new()));
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let writer = Arc::clone(&stderr_lines);
        let stderr = std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                writer.lock().unwrap().push(line);
            }
        });
        Running { child, stderr_lines, stdout: Some(stdout), stderr: Some(stderr) }
    }

    /// Runs another program to its end. The program finds the command on PATH, and the jobs that this folder's commands serve.
    pub fn run(&self, mut program: Command) -> CommandOutput {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = command().parent().map(Path::to_owned).into_iter().chain(std::env::split_paths(&path));
        let output = program
            .current_dir(self.folder.path())
            .env(MARK, self.folder.path())
            .env("PATH", std::env::join_paths(folders).unwrap())
            .env("XDG_RUNTIME_DIR", self.path("served"))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        CommandOutput { code: output.status.code(), stdout: output.stdout, stderr: String::from_utf8_lossy(&output.stderr).into_owned() }
    }

    /// Runs the command to its end after a command of the shell that sets a limit, such as `ulimit -n 16`.
    pub fn run_limited(&self, limit: &str, arguments: &str) -> CommandOutput {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("{limit} && exec arrayjob {arguments}")]).env("TMPDIR", self.path("scratch"));
        self.run(shell)
    }

    /// Runs the command to its end.
    pub fn call<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> CommandOutput {
        self.start(arguments).end()
    }

    /// Starts `arrayjob run` of a job with the output folder `name`.
    pub fn start_job(&self, name: &str, job: &Job, servers: usize, more: &[&str]) -> Running {
        let manifest = self.manifest(name, job);
        let servers = servers.to_string();
        let mut arguments = vec!["run", manifest.to_str().unwrap(), "--servers", &servers, "--out", name, "--progress", "json"];
        arguments.extend(more);
        self.start(arguments)
    }

    /// Runs a job that must succeed; returns the summary and all arrays.
    pub fn results(&self, name: &str, job: &Job, servers: usize) -> (Value, Arrays) {
        self.results_of(name, self.start_job(name, job, servers, &[]))
    }

    /// Waits for a started job that must succeed; returns the summary and all arrays.
    pub fn results_of(&self, name: &str, running: Running) -> (Value, Arrays) {
        running.end().must_succeed();
        let summary = std::fs::read(self.path(name).join("summary.json")).unwrap();
        (serde_json::from_slice(&summary).unwrap(), zarr::read(&self.path(name).join("arrays.zarr")))
    }

    /// Checks that no process and no file is left, except the named files.
    ///
    /// # Panics
    /// When a process or another file is left.
    pub fn must_leave_nothing_but(&self, except: &[&str]) {
        let left = || self.processes();
        assert!(within(std::time::Duration::from_secs(2), || left().is_empty()), "processes are left: {:?}", left());
        let names = |folder: &Path| -> Vec<String> {
            std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
        };
        let mut found = names(self.folder.path());
        found.retain(|name| name != "scratch" && name != "served" && !except.contains(&name.as_str()));
        found.extend(names(&self.path("scratch")));
        let served = self.path("served").join("arrayjob");
        found.extend(if served.exists() { names(&served) } else { Vec::new() });
        assert!(found.is_empty(), "files are left: {found:?}");
    }
}

/// The built command: `target/PROFILE/arrayjob` for a test in `target/PROFILE/deps/TEST`.
pub(crate) fn command() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let command = test.parent().and_then(Path::parent).unwrap().join("arrayjob");
    assert!(command.is_file(), "{} is missing; run cargo build -p cli", command.display());
    command
}

/// A running command. Dropping the value kills the process.
#[derive(Debug)]
pub struct Running {
    child: Child,
    stderr_lines: Arc<Mutex<Vec<String>>>,
    stdout: Option<JoinHandle<Vec<u8>>>,
    stderr: Option<JoinHandle<()>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        // The process has usually ended already. Its servers end with it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    /// The server processes, in order of their start.
    pub fn servers(&self) -> Vec<Process> {
        Process::children_of(self.child.id())
    }

    /// Sends a signal to the process.
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).unwrap();
    }

    /// The exit status, if the process has ended.
    pub fn ended(&mut self) -> Option<std::process::ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// The lines on standard error so far.
    pub fn stderr_lines(&self) -> Vec<String> {
        self.stderr_lines.lock().unwrap().clone()
    }

    /// Waits for a line of JSON on standard error for which `is` returns a value.
    ///
    /// # Panics
    /// When the process ends without such a line, or after the timeout.
    pub fn until_reported<T>(&mut self, what: &str, is: impl Fn(&Value) -> Option<T>) -> T {
        let mut found = None;
        let (lines, child) = (&self.stderr_lines, &mut self.child);
        until(what, || {
            let ended = child.try_wait().unwrap();
            let lines = lines.lock().unwrap();
            found = lines.iter().filter_map(|line| serde_json::from_str(line).ok()).find_map(|line| is(&line));
            assert!(found.is_some() || ended.is_none(), "the process ended ({ended:?}) before: {what}: {lines:?}");
            found.is_some()
        });
        found.unwrap()
    }

    /// Waits until `done` units of a phase are complete.
    pub fn until_done(&mut self, phase: &str, done: u64) {
        self.until_reported(&format!("{done} units of {phase} are done"), |line| {
            let progress = &line["phase"];
            (progress["name"] == phase && progress["done"].as_u64()? >= done).then_some(())
        });
    }

    /// Waits until results are served; returns the URL with the token.
    pub fn until_served(&mut self) -> String {
        self.until_reported("results are served", |line| line["url"].as_str().map(str::to_owned))
    }

    /// Waits for the end of the process.
    ///
    /// # Panics
    /// After the timeout.
    pub fn end(mut self) -> CommandOutput {
        let mut code = None;
        let ended = within(TIMEOUT, || {
            code = self.child.try_wait().unwrap();
            code.is_some()
        });
        assert!(ended, "the process did not end within {TIMEOUT:?}: {:?}", self.stderr_lines.lock().unwrap());
        let stdout = self.stdout.take().unwrap().join().unwrap();
        self.stderr.take().unwrap().join().unwrap();
        let stderr = self.stderr_lines.lock().unwrap().join("\n");
        CommandOutput { code: code.and_then(|code| code.code()), stdout, stderr }
    }
}

/// The result of a command.
#[derive(Clone, Debug)]
pub struct CommandOutput {
    /// The exit code; `None` after a signal.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: String,
}

impl CommandOutput {
    /// Standard error without lines of progress: the final message.
    pub fn sentence(&self) -> String {
        self.stderr.lines().filter(|line| !line.starts_with('{')).collect::<Vec<_>>().join("\n")
    }

    /// Standard output as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Checks that the exit code is 0.
    ///
    /// # Panics
    /// When it is not.
    pub fn must_succeed(&self) {
        assert_eq!(self.code, Some(0), "{}", self.stderr);
    }
}
