//! A server of a cluster: on its own machine, started by nobody it knows. It is told what it is by its environment and what to
//! do through its peers' port, and ends at a signal.

mod settings;
#[cfg(test)]
mod tests;

pub use settings::{Ports, Settings, SettingsError};

use crate::compute::Compute;
use crate::process::boot_id;
use crate::server::{self, Key};
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

/// Threads that answer HTTP. Two, since they encrypt too, and readers' large slices must not hold up the probes.
const HTTP_THREADS: usize = 2;

/// Why the server cannot serve.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "each message says it")]
pub enum Error {
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error("the servers' certificates in ARRAYJOB_TLS_DIR cannot be used")]
    Identity(#[from] tls::Error),
    #[error("the readers' token cannot be read from {}", path.display())]
    Token {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("the readers' token in {} is empty", .0.display())]
    NoToken(PathBuf),
    #[error("no scratch file can be made in {}", path.display())]
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
    #[error("cannot speak to peers")]
    Client(#[from] ClientError),
}

/// Where a server listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// Peers and the operator: mutual TLS.
    pub peers: SocketAddr,
    /// Readers: HTTP with the token.
    pub readers: SocketAddr,
    /// Probes and metrics: HTTP.
    pub metrics: SocketAddr,
}

/// A server whose ports are bound, and not served yet.
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
    /// Reads the certificates and the token, and binds all ports, for every address of the machine. Within a runtime.
    ///
    /// # Errors
    /// When any of it cannot be had.
    pub fn bind(settings: &Settings) -> Result<Self, Error> {
        transport::crypto::install_crypto();
        let identity = Identity::from_folder(&settings.tls)?;
        let tls = Arc::new(tls::server_config(&identity)?);
        let client = Client::secured(&identity)?;
        let token = token(settings.tls.join("token"))?;
        if let Some(path) = &settings.scratch {
            // Now, rather than when a job is there.
            tempfile::tempfile_in(path).map_err(|source| Error::Scratch { path: path.clone(), source })?;
        }
        let compute = Compute::new(settings.threads)?;
        let environment = Environment {
            scratch: settings.scratch.clone(),
            local_files: false,
            secret: settings.source.clone(),
            restart_reason: settings.after.clone(),
        };
        let worker = Arc::new(Worker::new(boot_id(), compute, client, environment));
        let listen = |what, port| transport::bind::listen(port).map_err(|source| Error::Listen { what, port, source });
        let (peers, peers_at) = listen("peers", settings.ports.peers)?;
        let (readers, readers_at) = listen("readers", settings.ports.readers)?;
        let (metrics, metrics_at) = listen("metrics", settings.ports.metrics)?;
        let addresses = Addresses { peers: peers_at, readers: readers_at, metrics: metrics_at };
        Ok(Self { worker, token, tls, peers, readers, metrics, addresses })
    }

    /// Where it listens; ports that were asked for as 0 are known now.
    pub const fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// This start of the server.
    pub fn boot(&self) -> &BootId {
        &self.worker.boot
    }

    /// Serves until `shutdown` is done; connections then end wherever they are.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) {
        let Self { worker, token, tls, peers, readers, metrics, .. } = self;
        let forever = std::future::pending::<()>;
        // Tasks of their own, so that no port waits for another; dropped, and so ended, with this.
        let mut ports = tokio::task::JoinSet::new();
        ports.spawn(transport::listen::serve_secured(peers, tls, server::peers(Arc::clone(&worker)), forever()));
        ports.spawn(transport::listen::serve(readers, server::readers(Arc::clone(&worker), token), forever()));
        ports.spawn(transport::listen::serve(metrics, server::monitor(worker), forever()));
        shutdown.await;
    }
}

/// Runs as `settings` say until SIGTERM or SIGINT.
///
/// # Errors
/// When it cannot start.
pub fn run(settings: &Settings) -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(HTTP_THREADS).enable_all().build().map_err(Error::Runtime)?;
    let served = runtime.block_on(serve(settings));
    // What still computes is of no use to anyone.
    runtime.shutdown_background();
    served
}

async fn serve(settings: &Settings) -> Result<(), Error> {
    // As the first process of a container, it would not even notice a signal that it has not asked for.
    let mut terminate = signal(SignalKind::terminate()).map_err(Error::Runtime)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::Runtime)?;
    let server = Server::bind(settings)?;
    let at = server.addresses();
    let (peers, readers, metrics) = (at.peers.port(), at.readers.port(), at.metrics.port());
    tracing::info!(peers, readers, metrics, threads = settings.threads, boot = server.boot().0, "listening");
    let told = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    server.serve(told).await;
    Ok(())
}

/// The readers' token.
fn token(path: PathBuf) -> Result<Key, Error> {
    match std::fs::read_to_string(&path) {
        // Everybody would have an empty one.
        Ok(text) if text.trim().is_empty() => Err(Error::NoToken(path)),
        Ok(text) => Ok(Key::new(text.trim().to_owned())),
        Err(source) => Err(Error::Token { path, source }),
    }
}
