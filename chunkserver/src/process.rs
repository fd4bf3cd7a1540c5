//! A server as a separate process on loopback. The process reads its settings and keys from standard input, and ends when standard input ends.

use crate::compute::Compute;
use crate::server::{self, Key, Keys};
use crate::worker::{Environment, Worker};
use crate::{clock, limits};
use api::phase::BootId;
use api::wire::{Ready, Startup};
use std::hash::{BuildHasher as _, RandomState};
use std::io::{BufRead as _, Read as _, Write as _};
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use transport::client::Client;

/// HTTP threads. Compute threads are separate.
const HTTP_THREADS: usize = 1;

/// Why the process cannot serve.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "the messages describe the variants")]
pub enum Error {
    #[error("cannot read the settings from standard input; run arrayjob, which starts the servers")]
    Startup(#[source] serde_json::Error),
    #[error("cannot read standard input or write standard output")]
    Pipe(#[source] std::io::Error),
    #[error("cannot start threads")]
    Threads(#[from] rayon::ThreadPoolBuildError),
    #[error("cannot start the runtime or listen on loopback")]
    Runtime(#[source] std::io::Error),
    #[error("cannot set up HTTP")]
    Http(#[from] reqwest::Error),
}

/// Makes the kernel end this process with its parent. The end of standard input does the same, but a stopped process does not read.
fn end_with_parent() {
    // The system may refuse; standard input ends in any case.
    #[cfg(target_os = "linux")]
    let _ = nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL);
}

/// The part of the memory limit that the kernel adds to this process when it chooses a process to kill for lack of memory, in thousandths:
/// <https://man7.org/linux/man-pages/man5/proc_pid_oom_score_adj.5.html>. The command loses a server, and not the job.
const OOM_SCORE: &str = "500";

/// Runs until standard input ends.
///
/// # Errors
/// When it cannot start.
pub fn run() -> Result<(), Error> {
    end_with_parent();
    // Each process may raise its own value. Without it, the kernel may end the command.
    let _ = std::fs::write("/proc/self/oom_score_adj", OOM_SCORE);
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).map_err(Error::Pipe)?;
    if line.is_empty() {
        // The parent ended, or the run was stopped, before the parent wrote the settings.
        return Ok(());
    }
    let startup: Startup = serde_json::from_str(&line).map_err(Error::Startup)?;
    startup.unix_ms.into_iter().for_each(clock::set_unix_ms);
    transport::crypto::install_crypto();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(HTTP_THREADS).enable_all().build().map_err(Error::Runtime)?;
    let compute = Compute::new(startup.threads)?;
    let environment = Environment {
        scratch: startup.scratch.map(PathBuf::from),
        local_files: true,
        secret: None,
        restart_reason: startup.after,
        egress: None,
    };
    let worker = Worker::new(boot_id(), compute, Client::new(startup.command_key.clone())?, environment);
    let keys = Keys::loopback(Key::new(startup.key), Key::new(startup.command_key), &worker.boot);
    let served = runtime.block_on(serve(Arc::new(worker), keys));
    // Does not wait for running computations, whose results are no longer needed.
    runtime.shutdown_background();
    served
}

async fn serve(worker: Arc<Worker>, keys: Keys) -> Result<(), Error> {
    let _signal = limits::survive_large_files();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(Error::Runtime)?;
    let address = listener.local_addr().map_err(Error::Runtime)?.to_string();
    let ready = Ready { address, boot: worker.boot.clone() };
    let mut line = serde_json::to_string(&ready).map_err(Error::Startup)?;
    line.push('\n');
    std::io::stdout().write_all(line.as_bytes()).and_then(|()| std::io::stdout().flush()).map_err(Error::Pipe)?;
    transport::listen::serve(listener, server::router(worker, keys), parent_ended()).await;
    Ok(())
}

/// Waits until standard input ends: the parent has closed it or has ended.
async fn parent_ended() {
    let (sender, receiver) = oneshot::channel::<()>();
    // A thread of its own: a blocking read on the runtime's pool would delay the shutdown.
    std::thread::spawn(move || {
        let mut byte = [0];
        while matches!(std::io::stdin().lock().read(&mut byte), Ok(1..)) {}
        drop(sender);
    });
    let _ = receiver.await;
}

/// An id that is unique among all starts on all machines. The process id alone is not unique: in containers it is 1.
pub(crate) fn boot_id() -> BootId {
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    // The hasher's state is random.
    let random = RandomState::new().hash_one(nanos);
    BootId(format!("{:x}-{nanos:x}-{random:x}", std::process::id()))
}
