//! One request and its response on their way.

use super::body::{Incoming, Piece};
use super::{SimNetwork, latency};
use crate::dice::Dice;
use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response, header, response};
use bytes::Bytes;
use http_body_util::BodyExt as _;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tower_service::Service as _;
use transport::http::Timeouts;
use transport::http::simulation::Sent;

type Responded = io::Result<Response<reqwest::Body>>;

/// A message of a server to its client.
enum Message {
    Head(Box<response::Parts>),
    Data(Bytes),
    End,
}

/// A request, with the choices about it.
struct Call {
    network: Arc<SimNetwork>,
    from: String,
    to: String,
    /// Method and path, for the trace.
    shown: String,
    request: Request<Bytes>,
    timeouts: Timeouts,
    dice: Dice,
    /// Whether the client has an open connection to the server.
    connected: bool,
    /// The time until the request arrives a second time.
    duplicate: Option<Duration>,
    deadline: Option<Instant>,
}

/// Sends a request, and waits for the head of the response.
pub(super) async fn send(network: Arc<SimNetwork>, sent: Sent) -> Responded {
    let Sent { from, request, timeouts } = sent;
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let to = parts.uri.host().unwrap_or_default().to_owned();
    let path = parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
    let mut dice = network.dice(&from, &to, parts.method.as_str(), &path);
    let shown = format!("{} {path}", parts.method);
    let is_source = to == crate::source::HOST;
    let call = Call {
        request: Request::from_parts(parts, body),
        connected: dice.percent(70),
        // Fetches are counted, so the source gets no duplicates.
        duplicate: (!is_source && dice.percent(3)).then(|| dice.millis(0, 40_000)),
        deadline: timeouts.total.map(|total| Instant::now() + total),
        network: Arc::clone(&network),
        from,
        to,
        shown,
        timeouts,
        dice,
    };
    let label = format!("{} > {} {}", call.from, call.to, call.shown);
    network.trace.event(&label);
    let (reply, response) = oneshot::channel();
    let silence = timeouts.silence.into_iter().chain(timeouts.total).min();
    tokio::spawn(call.carry(reply));
    let waited = async {
        match silence {
            Some(silence) => tokio::time::timeout(silence, response).await.map_err(|_| io::ErrorKind::TimedOut)?,
            None => response.await,
        }
        .unwrap_or_else(|_| Err(io::ErrorKind::ConnectionAborted.into()))
    };
    let responded = waited.await;
    let outcome = match &responded {
        Ok(response) => response.status().to_string(),
        Err(error) => error.kind().to_string(),
    };
    network.trace.event(&format!("{label}: {outcome}"));
    responded
}

impl Call {
    /// Waits until a message arrives.
    async fn travel(&mut self, from_server: bool) {
        let (from, to) = if from_server { (&self.to, &self.from) } else { (&self.from, &self.to) };
        let slowness = self.network.links.slowness(from, to);
        tokio::time::sleep(latency(&mut self.dice) + slowness).await;
        self.network.links.until_open(from, to).await;
    }

    /// Carries the request to the server and the response back. The request arrives also if its sender has given up meanwhile.
    async fn carry(mut self, mut reply: oneshot::Sender<Responded>) {
        if !self.connected {
            let connect = self.timeouts.connect;
            let connecting = async {
                self.travel(false).await;
                self.travel(true).await;
            };
            let connected = async {
                match connect {
                    Some(connect) => tokio::time::timeout(connect, connecting).await.is_ok(),
                    None => {
                        connecting.await;
                        true
                    }
                }
            };
            tokio::select! {
                biased;
                connected = connected => if !connected {
                    let _ = reply.send(Err(io::ErrorKind::TimedOut.into()));
                    return;
                },
                // A connection that does not exist carries no request.
                () = reply.closed() => return,
            }
        }
        let cuts = self.network.links.cuts(&self.from, &self.to);
        self.travel(false).await;
        if self.network.links.cuts(&self.from, &self.to) != cuts {
            return reply.closed().await;
        }
        let Some((messages, vanished)) = self.deliver() else {
            self.travel(true).await;
            let _ = reply.send(Err(io::ErrorKind::ConnectionRefused.into()));
            return;
        };
        self.respond(messages, &vanished, cuts, reply).await;
    }

    /// Gives the request to the process at the receiver; `None` if there is none.
    fn deliver(&self) -> Option<(mpsc::Receiver<Message>, Arc<AtomicBool>)> {
        let mut hosts = self.network.hosts();
        let host = hosts.get_mut(&self.to)?;
        while host.requests.try_join_next().is_some() {}
        let (sender, messages) = mpsc::channel(1);
        host.requests.spawn(handle(host.router.clone(), self.request.clone(), sender));
        if let Some(after) = self.duplicate {
            let (network, to, request) = (Arc::clone(&self.network), self.to.clone(), self.request.clone());
            let label = format!("{} > {to} {}: arrives again", self.from, self.shown);
            tokio::spawn(async move {
                tokio::time::sleep(after).await;
                let (sender, mut messages) = mpsc::channel(1);
                // The process may be another one by now.
                if let Some(host) = network.hosts().get_mut(&to) {
                    network.trace.event(&label);
                    host.requests.spawn(handle(host.router.clone(), request, sender));
                }
                // The second response is lost on its way.
                while messages.recv().await.is_some() {}
            });
        }
        Some((messages, Arc::clone(&host.vanished)))
    }

    /// Carries the response.
    async fn respond(mut self, mut messages: mpsc::Receiver<Message>, vanished: &AtomicBool, cuts: u64, reply: oneshot::Sender<Responded>) {
        let mut receiver = Receiver::Head(reply);
        loop {
            let message = tokio::select! {
                biased;
                message = messages.recv() => message,
                // The server learns of the end of the connection, unless the link is closed.
                () = receiver.gone() => return self.travel(false).await,
            };
            if message.is_none() && vanished.load(Ordering::Relaxed) {
                return receiver.gone().await;
            }
            self.travel(true).await;
            if self.network.links.cuts(&self.from, &self.to) != cuts {
                return receiver.gone().await;
            }
            receiver = match (message, receiver) {
                (Some(Message::Head(parts)), Receiver::Head(reply)) => {
                    let length = parts.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
                    let (sender, pieces) = mpsc::channel(1);
                    let body = Incoming::new(pieces, length, self.timeouts.silence, self.deadline);
                    if reply.send(Ok(Response::from_parts(*parts, reqwest::Body::wrap(body)))).is_err() {
                        return;
                    }
                    Receiver::Body(sender)
                }
                (Some(Message::Data(data)), Receiver::Body(body)) => {
                    if body.send(Piece::Data(data)).await.is_err() {
                        return;
                    }
                    Receiver::Body(body)
                }
                (Some(Message::End), Receiver::Body(body)) => {
                    let _ = body.send(Piece::End).await;
                    return;
                }
                (_, Receiver::Head(reply)) => {
                    let _ = reply.send(Err(io::ErrorKind::ConnectionReset.into()));
                    return;
                }
                (_, Receiver::Body(body)) => {
                    let _ = body.send(Piece::Failed(io::ErrorKind::ConnectionReset.into())).await;
                    return;
                }
            };
        }
    }
}

/// The client, as the response sees it.
enum Receiver {
    Head(oneshot::Sender<Responded>),
    Body(mpsc::Sender<Piece>),
}

impl Receiver {
    /// Waits until the client no longer waits.
    async fn gone(&mut self) {
        match self {
            Self::Head(reply) => reply.closed().await,
            Self::Body(body) => body.closed().await,
        }
    }
}

/// Handles a request in the process of a server. Ends early if the client closes the connection.
async fn handle(mut router: Router, request: Request<Bytes>, messages: mpsc::Sender<Message>) {
    let gone = messages.clone();
    let work = async move {
        let Ok(response) = router.call(request.map(Body::from)).await;
        let (parts, mut body) = response.into_parts();
        if messages.send(Message::Head(Box::new(parts))).await.is_err() {
            return;
        }
        while let Some(frame) = body.frame().await {
            // Without the end, the client sees a broken response.
            let Ok(frame) = frame else { return };
            if let Ok(data) = frame.into_data()
                && messages.send(Message::Data(data)).await.is_err()
            {
                return;
            }
        }
        let _ = messages.send(Message::End).await;
    };
    tokio::select! {
        biased;
        () = work => {}
        () = gone.closed() => {}
    }
}
