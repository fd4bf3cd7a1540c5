//! Accepts connections and serves them until told to stop.

mod drain;

use axum::Router;
use drain::Drain;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// A client has so long to send a request's head, so that idle half-requests do not pile up.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// A client has so long to say who it is.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// A client has so long to take some of what it asked for: its answer may hold a job's memory.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(120);
/// Connections served at a time; more wait.
const CONNECTIONS: usize = 4096;

/// Serves `router` on `listener` until `shutdown` is done.
pub async fn serve(listener: TcpListener, router: Router, shutdown: impl Future<Output = ()>) {
    serve_streams(listener, router, shutdown, |stream| std::future::ready(Some(stream))).await;
}

/// Serves `router` on `listener` by TLS, to whom `config` takes, until `shutdown` is done.
pub async fn serve_secured(listener: TcpListener, config: Arc<rustls::ServerConfig>, router: Router, shutdown: impl Future<Output = ()>) {
    let acceptor = TlsAcceptor::from(config);
    let secure = move |stream| {
        let handshake = acceptor.accept(stream);
        async move {
            match tokio::time::timeout(HANDSHAKE_TIMEOUT, handshake).await {
                Ok(Ok(stream)) => Some(stream),
                // Port scanners and strangers; who belongs here notices by itself.
                Ok(Err(error)) => {
                    tracing::debug!(%error, "a connection without TLS, or without a certificate of this job");
                    None
                }
                Err(_) => None,
            }
        }
    };
    serve_streams(listener, router, shutdown, secure).await;
}

/// Serves what `secure` makes of each connection, in that connection's own task: nobody waits for another's handshake.
async fn serve_streams<S, F>(
    listener: TcpListener,
    router: Router,
    shutdown: impl Future<Output = ()>,
    secure: impl Fn(TcpStream) -> F + Clone + Send + 'static,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Future<Output = Option<S>> + Send + 'static,
{
    let service = TowerToHyperService::new(router);
    let permits = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let (stream, permit) = tokio::select! {
            () = &mut shutdown => return,
            Some(_) = connections.join_next() => continue,
            accepted = accept(&listener, &permits) => match accepted {
                Some(accepted) => accepted,
                None => continue,
            },
        };
        let service = service.clone();
        let secured = secure(stream);
        connections.spawn(async move {
            let _permit = permit;
            let Some(stream) = secured.await else { return };
            let mut builder = http1::Builder::new();
            builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
            // A connection that breaks is its client's to notice.
            let _ = builder.serve_connection(TokioIo::new(Drain::new(stream, DRAIN_TIMEOUT)), service).await;
        });
    }
}

async fn accept(listener: &TcpListener, permits: &Arc<Semaphore>) -> Option<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let permit = Arc::clone(permits).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => {
            // Small answers should not wait for more.
            let _ = stream.set_nodelay(true);
            Some((stream, permit))
        }
        Err(error) => {
            tracing::warn!(%error, "cannot accept a connection");
            // Out of file descriptors, most likely: let some connections end.
            tokio::time::sleep(Duration::from_millis(50)).await;
            None
        }
    }
}
