//! Chunk servers as processes on loopback. A server reads the key of the run from its standard input. When this process ends, the input is
//! closed, and the server ends too.

use super::{Error, Fleet, NO_RESPONSE, ServerState};
use api::plan::ServerId;
use api::wire::{Ready, Startup};
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::Mutex;

/// A server on loopback listens within milliseconds. The timeout allows for an overloaded machine.
const START_TIMEOUT: Duration = Duration::from_secs(20);

/// Options of the processes.
#[derive(Clone, Debug)]
pub struct Options {
    /// Program and arguments of a chunk server.
    pub command: Vec<PathBuf>,
    /// The key of the run.
    pub key: String,
    /// Compute threads of each server.
    pub threads: usize,
    /// Folder for scratch files.
    pub scratch: Option<PathBuf>,
}

/// A fleet of processes.
#[derive(Debug)]
pub struct ProcessFleet {
    options: Options,
    servers: Mutex<Vec<Option<Server>>>,
    restarts: AtomicU32,
}

#[derive(Debug)]
struct Server {
    child: Child,
    /// Kept open: the server ends when its input is closed.
    _stdin: Option<ChildStdin>,
    address: Option<String>,
    ended: Option<String>,
}

impl ProcessFleet {
    /// A fleet without servers.
    pub fn new(options: Options) -> Self {
        Self { options, servers: Mutex::new(Vec::new()), restarts: AtomicU32::new(0) }
    }

    /// Process ids of the servers that run, in order; for tests that kill them.
    pub async fn process_ids(&self) -> Vec<Option<u32>> {
        self.servers.lock().await.iter().map(|server| server.as_ref().and_then(|server| server.child.id())).collect()
    }

    /// The end of the last process of server `id`; `None` before the first start.
    async fn last_end(&self, id: ServerId) -> Option<String> {
        let servers = self.servers.lock().await;
        let before = servers.get(id.0)?.as_ref()?;
        Some(before.ended.clone().unwrap_or_else(|| NO_RESPONSE.into()))
    }

    async fn start(&self, id: ServerId) -> Result<Server, Error> {
        let failed = |source| Error::Start { id, source };
        let (program, arguments) = self.options.command.split_first().ok_or_else(|| failed(std::io::Error::other("no command")))?;
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            // A terminal sends Ctrl-C to its whole process group; this process alone decides when servers end.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        let startup = Startup {
            key: self.options.key.clone(),
            threads: self.options.threads,
            scratch: self.options.scratch.as_ref().map(|folder| folder.to_string_lossy().into_owned()),
            after: self.last_end(id).await,
        };
        let mut line = serde_json::to_string(&startup).map_err(|error| failed(error.into()))?;
        line.push('\n');
        let mut stdin = child.stdin.take();
        if let Some(stdin) = &mut stdin {
            stdin.write_all(line.as_bytes()).await.map_err(failed)?;
        }
        let mut ready = String::new();
        if let Some(stdout) = child.stdout.take() {
            let mut stdout = BufReader::new(stdout);
            // Without an address, the parse below fails, and the process is killed.
            let _ = tokio::time::timeout(START_TIMEOUT, stdout.read_line(&mut ready)).await;
        }
        match serde_json::from_str::<Ready>(&ready) {
            Ok(ready) => Ok(Server { child, _stdin: stdin, address: Some(ready.address), ended: None }),
            Err(_) => {
                let _ = child.start_kill();
                Err(Error::NoResponse { id })
            }
        }
    }
}

impl Fleet for ProcessFleet {
    async fn observe(&self, count: usize) -> Vec<ServerState> {
        let mut servers = self.servers.lock().await;
        servers.resize_with(count, || None);
        servers.iter_mut().map(|server| server.as_mut().map_or(ServerState::Absent, Server::state)).collect()
    }

    fn restarts(&self) -> u32 {
        self.restarts.load(Ordering::Relaxed)
    }

    async fn ensure(&self, ids: &[ServerId]) -> Result<(), Error> {
        let started = futures_util::future::join_all(ids.iter().map(|&id| self.start(id))).await;
        let mut servers = self.servers.lock().await;
        for (&id, server) in ids.iter().zip(started) {
            if servers.len() <= id.0 {
                servers.resize_with(id.0 + 1, || None);
            }
            let again = servers[id.0].is_some();
            servers[id.0] = Some(server?);
            if again {
                self.restarts.fetch_add(1, Ordering::Relaxed);
            }
        }
        Ok(())
    }

    async fn remove(&self) {
        let mut servers = std::mem::take(&mut *self.servers.lock().await);
        for server in servers.iter_mut().flatten() {
            // The only error is that the process has ended.
            let _ = server.child.start_kill();
        }
        for server in servers.iter_mut().flatten() {
            let _ = server.child.wait().await;
        }
    }
}

impl Server {
    fn state(&mut self) -> ServerState {
        if self.ended.is_none() {
            match self.child.try_wait() {
                Ok(None) => {}
                Ok(Some(status)) => self.ended = Some(describe(status)),
                Err(error) => self.ended = Some(error.to_string()),
            }
        }
        match (&self.ended, &self.address) {
            (Some(why), _) => ServerState::Exited(why.clone()),
            (None, Some(address)) => ServerState::Up(address.clone()),
            (None, None) => ServerState::Starting,
        }
    }
}

/// The end of a process, for error messages.
fn describe(status: ExitStatus) -> String {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return match signal {
            9 => "killed by signal 9, perhaps for lack of memory".into(),
            other => format!("killed by signal {other}"),
        };
    }
    status.code().map_or_else(|| "ended".into(), |code| format!("exit code {code}"))
}
