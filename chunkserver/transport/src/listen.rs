//! Accepts connections and serves them until shutdown.

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

/// Time for a client to send the head of a request. Incomplete requests would otherwise hold connections.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Time for a client to complete the TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest time without progress of a response. A response may hold memory of the job.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);
/// Concurrent connections. Further connections wait.
const CONNECTIONS: usize = 4096;

/// Serves `router` on `listener` until `shutdown` completes.
pub async fn serve(listener: TcpListener, router: Router, shutdown: impl Future<Output = ()>) {
    serve_streams(listener, router, shutdown, |stream| std::future::ready(Some(stream))).await;
}

/// Serves `router` on `listener` over TLS, to the clients that `config` accepts, until `shutdown` completes.
pub async fn serve_secured(listener: TcpListener, config: Arc<rustls::ServerConfig>, router: Router, shutdown: impl Future<Output = ()>) {
    let acceptor = TlsAcceptor::from(config);
    let secure = move |stream| {
        let handshake = acceptor.accept(stream);
        async move {
            match tokio::time::timeout(HANDSHAKE_TIMEOUT, handshake).await {
                Ok(Ok(stream)) => Some(stream),
                // A port scanner, or a client of another job. A server of this job retries and logs the error itself.
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

/// Serves each connection in a task of its own, after `secure` has done the handshake. No connection waits for the handshake of another.
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
            // The client notices a broken connection; the server has nothing to do.
            let _ = builder.serve_connection(TokioIo::new(Drain::new(stream, DRAIN_TIMEOUT)), service).await;
        });
    }
}

async fn accept(listener: &TcpListener, permits: &Arc<Semaphore>) -> Option<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let permit = Arc::clone(permits).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => {
            // Small responses are sent at once (TCP_NODELAY).
            let _ = stream.set_nodelay(true);
            Some((stream, permit))
        }
        Err(error) => {
            tracing::warn!(%error, "cannot accept a connection");
            // Most likely the process has no file descriptor left. Open connections may end meanwhile.
            tokio::time::sleep(Duration::from_millis(50)).await;
            None
        }
    }
}
