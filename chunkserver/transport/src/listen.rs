//! Accepts connections and serves them until shutdown.

mod connections;
mod drain;
#[cfg(test)]
mod tests;

pub use connections::Connection;

use axum::Router;
use connections::{Connections, Limits};
use drain::Drain;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;
use std::task::Poll;
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
/// Time in which a client must take the next 256 KiB of a response, which may hold memory of the job. Shorter than the wait of other readers
/// for memory, so that these continue.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(20);
/// Limits of the connections of a port.
const LIMITS: Limits = Limits { total: 4096, of_peer: 2048, untrusted_of_peer: 256, untrusted: 1024 };
/// Accepted connections whose tasks have not run yet. Fewer than `untrusted_of_peer`, so that a request that has arrived is read before
/// its connection is the oldest.
const STARTING: usize = 64;
/// Pause after an error of `accept`.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// When a connection counts as authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trust {
    /// After its handshake.
    Handshake,
    /// When a handler calls [`Connection::trust`].
    Request,
    /// With its first request: the port needs no authentication.
    AnyRequest,
}

/// Serves `router` on `listener` until `shutdown` completes. The extensions of each request contain its [`Connection`].
pub async fn serve(listener: TcpListener, router: Router, shutdown: impl Future<Output = ()>) {
    serve_limited(listener, router, shutdown, LIMITS, Trust::Request).await;
}

/// As [`serve`], without authentication: a connection with a request is not closed in favour of another one.
pub async fn serve_public(listener: TcpListener, router: Router, shutdown: impl Future<Output = ()>) {
    serve_limited(listener, router, shutdown, LIMITS, Trust::AnyRequest).await;
}

async fn serve_limited(listener: TcpListener, router: Router, shutdown: impl Future<Output = ()>, limits: Limits, trust: Trust) {
    let port = Port { listener, connections: Connections::new(limits), trust };
    serve_streams(port, router, shutdown, |stream| std::future::ready(Some(stream))).await;
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
    let port = Port { listener, connections: Connections::new(LIMITS), trust: Trust::Handshake };
    serve_streams(port, router, shutdown, secure).await;
}

/// A listener and its connections.
struct Port {
    listener: TcpListener,
    connections: Arc<Connections>,
    trust: Trust,
}

/// Serves each connection in a task of its own, after `secure` has done the handshake. No connection waits for the handshake of another.
async fn serve_streams<S, F>(
    port: Port,
    router: Router,
    shutdown: impl Future<Output = ()>,
    secure: impl Fn(TcpStream) -> F + Clone + Send + 'static,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Future<Output = Option<S>> + Send + 'static,
{
    let service = TowerToHyperService::new(router);
    let starting = Arc::new(Semaphore::new(STARTING));
    let mut tasks = JoinSet::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let (stream, peer, permit) = tokio::select! {
            () = &mut shutdown => return,
            Some(_) = tasks.join_next() => continue,
            accepted = accept(&port, &starting) => match accepted {
                Some(accepted) => accepted,
                None => continue,
            },
        };
        // Otherwise the drop of the stream closes the connection.
        let Some(place) = port.connections.admit(peer) else { continue };
        let (service, secured, trust) = (service.clone(), secure(stream), port.trust);
        tasks.spawn(async move {
            let connection = place.connection();
            let mut served = std::pin::pin!(async {
                let Some(stream) = secured.await else { return };
                if trust == Trust::Handshake {
                    connection.trust();
                }
                let service = service_fn(|mut request: Request<Incoming>| {
                    if trust == Trust::AnyRequest {
                        connection.trust();
                    }
                    request.extensions_mut().insert(connection.clone());
                    service.call(request)
                });
                let mut builder = http1::Builder::new();
                builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
                // The client notices a broken connection; the server has nothing to do.
                let _ = builder.serve_connection(TokioIo::new(Drain::new(stream, DRAIN_TIMEOUT)), service).await;
            });
            let ended = std::future::poll_fn(|context| Poll::Ready(served.as_mut().poll(context).is_ready())).await;
            drop(permit);
            if !ended {
                tokio::select! {
                    () = place.evicted() => {}
                    () = served => {}
                }
            }
        });
    }
}

async fn accept(port: &Port, starting: &Arc<Semaphore>) -> Option<(TcpStream, IpAddr, tokio::sync::OwnedSemaphorePermit)> {
    port.connections.room().await;
    let permit = Arc::clone(starting).acquire_owned().await.ok()?;
    match port.listener.accept().await {
        Ok((stream, address)) => {
            // Small responses are sent at once (TCP_NODELAY).
            let _ = stream.set_nodelay(true);
            Some((stream, address.ip(), permit))
        }
        Err(error) => {
            // Most likely the process has no file descriptor left.
            if !port.connections.evict_one() {
                tracing::warn!(%error, "cannot accept a connection");
            }
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}
