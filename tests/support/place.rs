//! A folder of its own for one test, and the command run in it; nothing outlives it.

use crate::job::Job;
use crate::processes::Process;
use crate::zarr::{self, Arrays};
use crate::{PATIENCE, until, within};
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

/// Carries a test's mark to every process that it starts, however deep.
const MARK: &str = "ARRAYJOB_TEST_PLACE";

/// A folder with a manifest, results, and room for what the command puts aside.
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
        // Scratch files and entries of served jobs: found here if they are left behind.
        for aside in ["scratch", "served"] {
            std::fs::create_dir(folder.path().join(aside)).unwrap();
        }
        Self { folder, variables: Vec::new() }
    }
}

impl Place {
    /// A folder whose commands find these in their environment.
    pub fn with(variables: impl IntoIterator<Item = (&'static str, String)>) -> Self {
        let mut place = Self::default();
        place.variables.extend(variables);
        place
    }

    /// The path of a file here.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn mark(&self) -> String {
        format!("{MARK}={}", self.folder.path().display())
    }

    /// Writes a manifest here; the job is called as the file is.
    pub fn manifest(&self, name: &str, job: &Job) -> PathBuf {
        self.write(&format!("{name}.json"), job.manifest(name).as_bytes())
    }

    /// Writes a file here.
    pub fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// Starts the command.
    pub fn start<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Running {
        let (name, value) = (MARK, self.folder.path());
        let mut command = Command::new(command());
        // An authority that a test has written here is trusted.
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
        let told = Arc::new(Mutex::new(Vec::new()));
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let telling = Arc::clone(&told);
        let stderr = std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                telling.lock().unwrap().push(line);
            }
        });
        Running { child, told, stdout: Some(stdout), stderr: Some(stderr) }
    }

    /// Runs another program to its end, which finds the command on its PATH and the jobs that are served from here.
    pub fn run(&self, mut program: Command) -> Ended {
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
        Ended { code: output.status.code(), stdout: output.stdout, stderr: String::from_utf8_lossy(&output.stderr).into_owned() }
    }

    /// Runs the command to its end.
    pub fn call<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Ended {
        self.start(arguments).end()
    }

    /// Starts `arrayjob run` of a job into the folder `name`.
    pub fn start_job(&self, name: &str, job: &Job, servers: usize, more: &[&str]) -> Running {
        let manifest = self.manifest(name, job);
        let servers = servers.to_string();
        let mut arguments = vec!["run", manifest.to_str().unwrap(), "--servers", &servers, "--out", name, "--progress", "json"];
        arguments.extend(more);
        self.start(arguments)
    }

    /// Runs a job that must succeed; gives its summary and every array.
    pub fn results(&self, name: &str, job: &Job, servers: usize) -> (Value, Arrays) {
        self.results_of(name, self.start_job(name, job, servers, &[]))
    }

    /// The summary and arrays of a started job that must succeed.
    pub fn results_of(&self, name: &str, running: Running) -> (Value, Arrays) {
        running.end().must_succeed();
        let summary = std::fs::read(self.path(name).join("summary.json")).unwrap();
        (serde_json::from_slice(&summary).unwrap(), zarr::read(&self.path(name).join("arrays.zarr")))
    }

    /// Panics when anything is left: a process, or a file other than those named.
    ///
    /// # Panics
    /// Then.
    pub fn must_be_tidy(&self, but_for: &[&str]) {
        let left = || Process::marked(&self.mark());
        assert!(within(std::time::Duration::from_secs(2), || left().is_empty()), "processes are left: {:?}", left());
        let names = |folder: &Path| -> Vec<String> {
            std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
        };
        let mut found = names(self.folder.path());
        found.retain(|name| name != "scratch" && name != "served" && !but_for.contains(&name.as_str()));
        found.extend(names(&self.path("scratch")));
        let served = self.path("served").join("arrayjob");
        found.extend(if served.exists() { names(&served) } else { Vec::new() });
        assert!(found.is_empty(), "files are left: {found:?}");
    }
}

/// The built command, two folders above this test: `target/PROFILE/deps/TEST`.
pub(crate) fn command() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let command = test.parent().and_then(Path::parent).unwrap().join("arrayjob");
    assert!(command.is_file(), "{} is missing; build it first: cargo build -p cli", command.display());
    command
}

/// The command at work. Killed when dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    told: Arc<Mutex<Vec<String>>>,
    stdout: Option<JoinHandle<Vec<u8>>>,
    stderr: Option<JoinHandle<()>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended already, most of the time; its servers end with it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    /// Its servers, in order.
    pub fn servers(&self) -> Vec<Process> {
        Process::children_of(self.child.id())
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).unwrap();
    }

    /// Its exit code and so on, if it has ended by itself.
    pub fn ended(&mut self) -> Option<std::process::ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// What it has said on standard error so far.
    pub fn told(&self) -> Vec<String> {
        self.told.lock().unwrap().clone()
    }

    /// Waits for a line of JSON on standard error that `is` picks something from.
    ///
    /// # Panics
    /// When it ends without, or takes too long.
    pub fn until_told<T>(&mut self, what: &str, is: impl Fn(&Value) -> Option<T>) -> T {
        let mut found = None;
        let (told, child) = (&self.told, &mut self.child);
        until(what, || {
            let ended = child.try_wait().unwrap();
            let told = told.lock().unwrap();
            found = told.iter().filter_map(|line| serde_json::from_str(line).ok()).find_map(|line| is(&line));
            assert!(found.is_some() || ended.is_none(), "it ended ({ended:?}) before {what}: {told:?}");
            found.is_some()
        });
        found.unwrap()
    }

    /// Waits until `done` units of a phase are done.
    pub fn until_done(&mut self, phase: &str, done: u64) {
        self.until_told(&format!("{done} units of {phase} are done"), |line| {
            let told = &line["phase"];
            (told["name"] == phase && told["done"].as_u64()? >= done).then_some(())
        });
    }

    /// Waits until results are served; gives the URL with its token.
    pub fn until_served(&mut self) -> String {
        self.until_told("results are served", |line| line["url"].as_str().map(str::to_owned))
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it takes too long.
    pub fn end(mut self) -> Ended {
        let mut code = None;
        let ended = within(PATIENCE, || {
            code = self.child.try_wait().unwrap();
            code.is_some()
        });
        assert!(ended, "it did not end within {PATIENCE:?}: {:?}", self.told.lock().unwrap());
        let stdout = self.stdout.take().unwrap().join().unwrap();
        self.stderr.take().unwrap().join().unwrap();
        let stderr = self.told.lock().unwrap().join("\n");
        Ended { code: code.and_then(|code| code.code()), stdout, stderr }
    }
}

/// How the command ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// The exit code; none after a signal.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: String,
}

impl Ended {
    /// Standard error without progress: what a person is told at the end.
    pub fn sentence(&self) -> String {
        self.stderr.lines().filter(|line| !line.starts_with('{')).collect::<Vec<_>>().join("\n")
    }

    /// Standard output as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Panics unless it succeeded.
    ///
    /// # Panics
    /// Then.
    pub fn must_succeed(&self) {
        assert_eq!(self.code, Some(0), "{}", self.stderr);
    }
}
