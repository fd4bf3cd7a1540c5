//! One process of a server: a task waits for its first line and for its end, so that neither blocks the loop.

use super::end::{End, Ends};
use crate::fleet::ServerState;
use api::wire::{Ready, Startup};
use std::future::Future;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

/// Time between the end of the output of a process and the end of the process.
const EXIT_TIMEOUT: Duration = Duration::from_secs(1);

/// The state of a process.
#[derive(Clone, Debug)]
pub(super) enum Life {
    /// The process has not reported its address yet.
    Starting,
    /// The process listens at this address.
    Up(String),
    /// The process has ended.
    Ended(End),
}

/// A process and its task. Dropping the value kills the process.
#[derive(Debug)]
pub(super) struct Server {
    life: watch::Receiver<Life>,
    /// The task kills the process when the sender is dropped.
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Server {
    /// Starts a process. Returns before the process is ready. `changes` counts the process when it becomes ready, and when it ends.
    pub(super) fn start(
        command: &[PathBuf],
        startup: &Startup,
        timeout: Duration,
        ends: &Arc<Ends>,
        changes: &watch::Sender<u64>,
    ) -> std::io::Result<Self> {
        let (program, arguments) = command.split_first().ok_or_else(|| std::io::Error::other("no command"))?;
        let mut line = serde_json::to_string(startup)?;
        line.push('\n');
        let child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            // A terminal sends Ctrl-C to its whole process group; this process alone decides when servers end.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let (set_life, life) = watch::channel(Life::Starting);
        let (stop, stopped) = oneshot::channel();
        let report = Report { life: set_life, changes: changes.clone() };
        let process = Process { child, line, timeout, ends: Arc::clone(ends) };
        let task = tokio::spawn(async move {
            let end = process.run(&report, stopped).await;
            report.send(Life::Ended(end));
        });
        Ok(Self { life, stop, task })
    }

    /// The state of the process.
    pub(super) fn life(&self) -> Life {
        self.life.borrow().clone()
    }

    /// The state of the process, for the loop.
    pub(super) fn state(&self) -> ServerState {
        match self.life() {
            Life::Starting => ServerState::Starting,
            Life::Up(address) => ServerState::Up(address),
            Life::Ended(end) => ServerState::Exited(end.text),
        }
    }

    /// Kills the process. The future waits for its end.
    pub(super) fn stop(self) -> impl Future<Output = ()> {
        let Self { stop, task, .. } = self;
        drop(stop);
        async move {
            // An error means that the runtime has ended, and with it the process.
            let _ = task.await;
        }
    }
}

/// Where the task reports the state.
struct Report {
    life: watch::Sender<Life>,
    changes: watch::Sender<u64>,
}

impl Report {
    fn send(&self, life: Life) {
        self.life.send_replace(life);
        self.changes.send_modify(|changes| *changes += 1);
    }
}

/// A process, and the input of its task.
struct Process {
    child: Child,
    /// The first line of its input.
    line: String,
    /// Longest time until its first line of output.
    timeout: Duration,
    ends: Arc<Ends>,
}

impl Process {
    /// Waits for the end of the process. Kills the process when `stopped` completes, or when it reports no address in time.
    async fn run(mut self, report: &Report, mut stopped: oneshot::Receiver<()>) -> End {
        // Kept open: the server ends when its input is closed.
        let stdin = self.child.stdin.take();
        let stdout = self.child.stdout.take();
        let started = tokio::time::timeout(self.timeout, exchange(stdin, stdout, &self.line));
        let started = tokio::select! {
            // The end of the process is more exact than the end of its output.
            biased;
            status = self.child.wait() => return self.ends.describe(status),
            _ = &mut stopped => return self.kill("it was stopped").await,
            started = started => started,
        };
        let _stdin = match started {
            Ok((stdin, Some(address))) => {
                report.send(Life::Up(address));
                stdin
            }
            Ok((_, None)) => {
                return match tokio::time::timeout(EXIT_TIMEOUT, self.child.wait()).await {
                    Ok(status) => self.ends.describe(status),
                    Err(_) => self.kill("it did not report its address").await,
                };
            }
            Err(_) => {
                let seconds = self.timeout.as_secs();
                return self.kill(&format!("it did not report its address within {seconds} s")).await;
            }
        };
        tokio::select! {
            status = self.child.wait() => self.ends.describe(status),
            _ = &mut stopped => self.kill("it was stopped").await,
        }
    }

    async fn kill(&mut self, why: &str) -> End {
        // The only error is that the process has ended.
        let _ = self.child.start_kill();
        let _ = self.child.wait().await;
        End { text: why.to_owned(), out_of_memory: false }
    }
}

/// Writes the line to the process, and reads its response. Returns the open input, and the address; `None` for any other response.
async fn exchange(stdin: Option<ChildStdin>, stdout: Option<ChildStdout>, line: &str) -> (Option<ChildStdin>, Option<String>) {
    let (Some(mut stdin), Some(stdout)) = (stdin, stdout) else { return (None, None) };
    // An error means that the process has ended: its output ends too.
    let _ = stdin.write_all(line.as_bytes()).await;
    let mut ready = String::new();
    let _ = BufReader::new(stdout).read_line(&mut ready).await;
    let ready: Option<Ready> = serde_json::from_str(&ready).ok();
    (Some(stdin), ready.map(|ready| ready.address))
}
