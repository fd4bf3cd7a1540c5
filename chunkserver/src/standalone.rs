//! A server of a cluster, for example in a pod. The environment contains its settings, commands arrive on the port for peers, and a signal ends it.

mod settings;
#[cfg(test)]
mod tests;

pub use settings::{Ports, Settings, SettingsError};

use crate::compute::Compute;
use crate::limits;
use crate::process::boot_id;
use crate::server::{self, Key, Keys};
use crate::worker::{Environment, Worker};
use api::phase::BootId;
use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use transport::client::{Client, ClientError};
use transport::tls::{self, Identity};

/// HTTP threads. Two, because the threads also encrypt, and large slices must not delay the probes.
const HTTP_THREADS: usize = 2;

/// Why the server cannot serve.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "the messages describe the variants")]
pub enum Error {
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error("cannot use the servers' certificates in ARRAYJOB_TLS_DIR")]
    Identity(#[from] tls::Error),
    #[error("cannot read the readers' token from {}", path.display())]
    Token {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("the readers' token in {} is empty", .0.display())]
    NoToken(PathBuf),
    #[error("cannot create a scratch file in {}", path.display())]
    Scratch {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("cannot start threads")]
    Threads(#[from] rayon::ThreadPoolBuildError),
    #[error("cannot start the runtime")]
    Runtime(#[source] std::io::Error),
    #[error("cannot listen for {what} on port {port}")]
    Listen {
        what: &'static str,
        port: u16,
        #[source]
        source: std::io::Error,
    },
    #[error("cannot set up the client for peers")]
    Client(#[from] ClientError),
}

/// Addresses of a server's ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// Peers and the operator: mutual TLS.
    pub peers: SocketAddr,
    /// Readers: HTTP with the token.
    pub readers: SocketAddr,
    /// Probes and metrics: HTTP.
    pub metrics: SocketAddr,
}

/// A server with bound ports that does not serve yet.
#[derive(Debug)]
pub struct Server {
    worker: Arc<Worker>,
    token: Key,
    tls: Arc<rustls::ServerConfig>,
    peers: TcpListener,
    readers: TcpListener,
    metrics: TcpListener,
    addresses: Addresses,
}

impl Server {
    /// Reads the certificates and the token, and binds all ports on all addresses of the machine. Requires a runtime.
    ///
    /// # Errors
    /// When a file is not readable, a port is not available, or the scratch folder is not writable.
    pub fn bind(settings: &Settings) -> Result<Self, Error> {
        transport::crypto::install_crypto();
        let identity = Identity::from_folder(&settings.tls)?;
        let tls = Arc::new(tls::server_config(&identity)?);
        let client = Client::secured(&identity)?;
        let token = token(settings.tls.join("token"))?;
        if let Some(path) = &settings.scratch {
            // Checked at the start, not at the first job.
            tempfile::tempfile_in(path).map_err(|source| Error::Scratch { path: path.clone(), source })?;
        }
        let compute = Compute::new(settings.threads)?;
        let environment = Environment {
            scratch: settings.scratch.clone(),
            local_files: false,
            secret: settings.source.clone(),
            restart_reason: settings.after.clone(),
            egress: Some(Arc::new(settings.egress.clone())),
        };
        let worker = Arc::new(Worker::new(boot_id(), compute, client, environment));
        let listen = |what, port| transport::bind::listen(port).map_err(|source| Error::Listen { what, port, source });
        let (peers, peers_at) = listen("peers", settings.ports.peers)?;
        let (readers, readers_at) = listen("readers", settings.ports.readers)?;
        let (metrics, metrics_at) = listen("metrics", settings.ports.metrics)?;
        let addresses = Addresses { peers: peers_at, readers: readers_at, metrics: metrics_at };
        Ok(Self { worker, token, tls, peers, readers, metrics, addresses })
    }

    /// Addresses of the ports. Port 0 of the settings is replaced by the actual port.
    pub const fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// Identifier of this start of the server.
    pub fn boot(&self) -> &BootId {
        &self.worker.boot
    }

    /// Serves until `shutdown` completes; then closes all connections.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) {
        let Self { worker, token, tls, peers, readers, metrics, .. } = self;
        let forever = std::future::pending::<()>;
        // One task for each port, so that no port waits for another. Dropping the set ends the tasks.
        let mut ports = tokio::task::JoinSet::new();
        ports.spawn(transport::listen::serve_secured(peers, tls, server::peers(Arc::clone(&worker)), forever()));
        ports.spawn(transport::listen::serve(readers, server::readers(Arc::clone(&worker), Keys::readers(token)), forever()));
        ports.spawn(transport::listen::serve(metrics, server::monitor(worker), forever()));
        shutdown.await;
    }
}

/// Runs a server with `settings` until SIGTERM or SIGINT.
///
/// # Errors
/// When the server cannot start.
pub fn run(settings: &Settings) -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(HTTP_THREADS).enable_all().build().map_err(Error::Runtime)?;
    let served = runtime.block_on(serve(settings));
    // Does not wait for running computations, whose results are no longer needed.
    runtime.shutdown_background();
    served
}

async fn serve(settings: &Settings) -> Result<(), Error> {
    // The first process of a container receives only signals that it handles.
    let mut terminate = signal(SignalKind::terminate()).map_err(Error::Runtime)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::Runtime)?;
    let _signal = limits::survive_large_files();
    let server = Server::bind(settings)?;
    let at = server.addresses();
    let (peers, readers, metrics) = (at.peers.port(), at.readers.port(), at.metrics.port());
    tracing::info!(peers, readers, metrics, threads = settings.threads, boot = server.boot().0, "listening");
    let signalled = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    server.serve(signalled).await;
    Ok(())
}

/// The readers' token.
fn token(path: PathBuf) -> Result<Key, Error> {
    match std::fs::read_to_string(&path) {
        // Every client would have an empty token.
        Ok(text) if text.trim().is_empty() => Err(Error::NoToken(path)),
        Ok(text) => Ok(Key::new(text.trim().to_owned())),
        Err(source) => Err(Error::Token { path, source }),
    }
}
