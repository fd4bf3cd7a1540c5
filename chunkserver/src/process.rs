//! A server as a process of its own on loopback: told its key through standard input, whose end is its own end too.

use crate::compute::Compute;
use crate::server::{self, Key};
use crate::worker::{Environment, Worker};
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

/// Threads that answer HTTP. Pixels are computed elsewhere.
const HTTP_THREADS: usize = 1;

/// Why the process cannot serve.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "each message says it")]
pub enum Error {
    #[error("the startup on standard input cannot be read; a chunk server is started by arrayjob itself")]
    Startup(#[source] serde_json::Error),
    #[error("standard input or output is gone")]
    Pipe(#[source] std::io::Error),
    #[error("cannot start threads")]
    Threads(#[from] rayon::ThreadPoolBuildError),
    #[error("cannot start the runtime, or listen on loopback")]
    Runtime(#[source] std::io::Error),
    #[error("cannot set up HTTP")]
    Http(#[from] reqwest::Error),
}

/// Runs until standard input ends.
///
/// # Errors
/// When it cannot start.
pub fn run() -> Result<(), Error> {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).map_err(Error::Pipe)?;
    let startup: Startup = serde_json::from_str(&line).map_err(Error::Startup)?;
    transport::crypto::install_crypto();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(HTTP_THREADS).enable_all().build().map_err(Error::Runtime)?;
    let compute = Compute::new(startup.threads)?;
    let environment =
        Environment { scratch: startup.scratch.map(PathBuf::from), local_files: true, secret: None, restart_reason: startup.after };
    let worker = Worker::new(boot_id(), compute, Client::new(startup.key.clone())?, environment);
    let served = runtime.block_on(serve(Arc::new(worker), Key::new(startup.key)));
    // What still computes is of no use to anyone.
    runtime.shutdown_background();
    served
}

async fn serve(worker: Arc<Worker>, key: Key) -> Result<(), Error> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(Error::Runtime)?;
    let address = listener.local_addr().map_err(Error::Runtime)?.to_string();
    let ready = Ready { address, boot: worker.boot.clone() };
    let mut line = serde_json::to_string(&ready).map_err(Error::Startup)?;
    line.push('\n');
    std::io::stdout().write_all(line.as_bytes()).and_then(|()| std::io::stdout().flush()).map_err(Error::Pipe)?;
    transport::listen::serve(listener, server::router(worker, key), parent_gone()).await;
    Ok(())
}

/// Done when standard input ends: the parent closed it, or is gone.
async fn parent_gone() {
    let (sender, receiver) = oneshot::channel::<()>();
    // A thread of its own: a blocking read of the runtime's pool would hold up its end.
    std::thread::spawn(move || {
        let mut byte = [0];
        while matches!(std::io::stdin().lock().read(&mut byte), Ok(1..)) {}
        drop(sender);
    });
    let _ = receiver.await;
}

/// Differs from every other start, here and elsewhere: in a container every process is number 1.
pub(crate) fn boot_id() -> BootId {
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    // The state is random by itself.
    let random = RandomState::new().hash_one(nanos);
    BootId(format!("{:x}-{nanos:x}-{random:x}", std::process::id()))
}
