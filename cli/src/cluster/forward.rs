//! A port of this machine that is a port of a job's pods: every connection goes to a pod that is ready when it is made, so
//! that the port outlives the pods behind it. It speaks HTTP as far as it must: one who cannot be connected is told why.

use super::place::Cluster;
use super::pods;
use crate::error::Error;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use kube::client::UpgradeConnectionError;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// Time for the API server to reach a pod.
const DIAL_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections of a browser come in bursts: they share one look at the pods.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A request that is longer is not sent a second time.
const REPLAY: usize = 64 << 10;
/// How often a request that a pod took and did not answer is sent again: it may be what ended that pod.
const SECOND_TRIES: usize = 1;
const BUFFER: usize = 64 << 10;

/// A stream to a pod's port, and what goes wrong with it beside the stream.
pub(crate) struct Line {
    pub(crate) stream: DuplexStream,
    pub(crate) trouble: BoxFuture<'static, Option<String>>,
}

/// Why nobody answers, and the HTTP status that says whether to ask again.
#[derive(Debug)]
pub(crate) struct Trouble {
    status: &'static str,
    why: String,
}

impl Trouble {
    /// That passes by.
    fn now(why: impl Into<String>) -> Self {
        Self { status: "503 Service Unavailable", why: why.into() }
    }

    /// That has to be mended by somebody first.
    fn for_good(why: impl Into<String>) -> Self {
        Self { status: "403 Forbidden", why: why.into() }
    }

    /// That asking again would bring about again.
    fn by_itself(why: impl Into<String>) -> Self {
        Self { status: "502 Bad Gateway", why: why.into() }
    }
}

/// Ways to some pods.
pub(crate) trait Dial: Send + Sync + 'static {
    /// Pods to try, in order.
    fn pods(&self) -> impl Future<Output = Result<Vec<String>, Trouble>> + Send;
    /// A line to one of them.
    fn dial(&self, pod: &str) -> impl Future<Output = Result<Line, Trouble>> + Send;
    /// That pod answered.
    fn answered(&self, pod: &str);
}

/// A port of this machine; closed, with all its connections, when dropped.
#[derive(Debug)]
pub(crate) struct Forward {
    pub(crate) address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl Drop for Forward {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Forward {
    /// Listens on a port of loopback, 0 for any.
    ///
    /// # Errors
    /// When the port is taken.
    pub(crate) async fn start(dial: impl Dial, port: u16) -> Result<Self, Error> {
        let listening = async {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
            Ok((listener.local_addr()?, listener))
        };
        let (address, listener) = listening.await.map_err(|error: std::io::Error| {
            Error::Refused(format!("cannot listen on port {port} of this machine: {error}; choose another --port"))
        })?;
        Ok(Self { address, accepting: tokio::spawn(accept(listener, Arc::new(dial))) })
    }
}

async fn accept(listener: TcpListener, dial: Arc<impl Dial>) {
    // With this task its connections end.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((client, _)) => {
                    let _ = client.set_nodelay(true);
                    let dial = Arc::clone(&dial);
                    connections.spawn(async move { serve(client, &*dial).await });
                }
                // Out of file descriptors, most likely: let some connections end.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            },
        }
    }
}

/// One connection, from its first byte to its end.
async fn serve(mut client: TcpStream, dial: &impl Dial) {
    // Browsers open connections ahead of need; a pod is asked once there is something to ask.
    let mut asked = vec![0; BUFFER];
    let Ok(length @ 1..) = client.read(&mut asked).await else { return };
    asked.truncate(length);
    let trouble = match dial.pods().await {
        Ok(pods) if pods.is_empty() => Trouble::now("no server of the job is ready"),
        Ok(pods) => match try_each(&mut client, &mut asked, &pods, dial).await {
            Ok(line) => return carry(client, line).await,
            Err(Some(trouble)) => trouble,
            Err(None) => return,
        },
        Err(trouble) => trouble,
    };
    tracing::debug!(?trouble, "a connection cannot be forwarded");
    refuse(&mut client, &trouble).await;
}

/// The line to the first pod that answers, with its first bytes handed on. What went wrong otherwise; nothing, if the
/// client is gone or has been answered in part.
async fn try_each(client: &mut TcpStream, asked: &mut Vec<u8>, pods: &[String], dial: &impl Dial) -> Result<Line, Option<Trouble>> {
    let mut last = Trouble::now("");
    let mut tries = 0;
    for pod in pods {
        let dialled = tokio::time::timeout(DIAL_TIMEOUT, dial.dial(pod)).await;
        let late = |_| Err(Trouble::now(format!("it cannot be reached within {} s", DIAL_TIMEOUT.as_secs())));
        let mut line = match dialled.unwrap_or_else(late) {
            Ok(line) => line,
            Err(trouble) => {
                last = Trouble { why: format!("{pod}: {}", trouble.why), ..trouble };
                continue;
            }
        };
        match first_answer(client, asked, &mut line).await {
            First::Answered => {
                dial.answered(pod);
                return Ok(line);
            }
            First::ClientGone => return Err(None),
            First::Refused(why) => last = Trouble::now(format!("{pod}: {why}")),
            First::Lost => {
                last = Trouble::by_itself(format!("{pod} was lost while it answered; the logs in arrayjob report may tell why"));
                if asked.len() > REPLAY || tries >= SECOND_TRIES {
                    break;
                }
                tries += 1;
            }
        }
    }
    Err(Some(last))
}

enum First {
    Answered,
    ClientGone,
    /// Nothing listens there, so nothing was asked.
    Refused(String),
    Lost,
}

/// Asks, and waits for the first bytes.
async fn first_answer(client: &mut TcpStream, asked: &mut Vec<u8>, line: &mut Line) -> First {
    if line.stream.write_all(asked).await.is_err() {
        return First::Lost;
    }
    let mut more = vec![0; BUFFER];
    let mut answer = vec![0; BUFFER];
    let mut quiet = false;
    loop {
        tokio::select! {
            // What is said of a line is said before it is closed.
            biased;
            trouble = &mut line.trouble, if !quiet => match trouble {
                Some(trouble) if trouble.contains("refused") => return First::Refused(trouble),
                Some(_) => return First::Lost,
                None => quiet = true,
            },
            read = line.stream.read(&mut answer) => return match read {
                Ok(length @ 1..) if client.write_all(&answer[..length]).await.is_ok() => First::Answered,
                Ok(1..) => First::ClientGone,
                // Why it was closed may still be on its way.
                _ if quiet => First::Lost,
                _ => match tokio::time::timeout(Duration::from_millis(200), &mut line.trouble).await {
                    Ok(Some(trouble)) if trouble.contains("refused") => First::Refused(trouble),
                    _ => First::Lost,
                },
            },
            read = client.read(&mut more) => match read {
                Ok(length @ 1..) => {
                    asked.extend_from_slice(&more[..length]);
                    if line.stream.write_all(&more[..length]).await.is_err() {
                        return First::Lost;
                    }
                }
                _ => return First::ClientGone,
            },
        }
    }
}

/// Bytes both ways until either side is done.
async fn carry(client: TcpStream, line: Line) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_pod, mut to_pod) = tokio::io::split(line.stream);
    // The pod's end is kept open until the answer is whole: this forward closes both ways at once.
    tokio::select! {
        _ = tokio::io::copy(&mut from_client, &mut to_pod) => {}
        _ = tokio::io::copy(&mut from_pod, &mut to_client) => {}
    }
    let _ = to_client.shutdown().await;
}

/// Answers in a server's stead; a client that knows 503 asks again.
async fn refuse(client: &mut TcpStream, trouble: &Trouble) {
    let body = serde_json::json!({"error": trouble.why}).to_string();
    let head = "Retry-After: 2\r\nContent-Type: application/json\r\nConnection: close\r\n";
    let answer = format!("HTTP/1.1 {}\r\n{head}Content-Length: {}\r\n\r\n{body}", trouble.status, body.len());
    let _ = client.write_all(answer.as_bytes()).await;
    let _ = client.shutdown().await;
    // A socket that is closed with bytes unread takes its answer back.
    let mut rest = [0; 1024];
    let drain = async { while matches!(client.read(&mut rest).await, Ok(1..)) {} };
    let _ = tokio::time::timeout(Duration::from_secs(1), drain).await;
}

/// A line to a pod's port through the API server.
async fn dial(cluster: &Cluster, pod: &str, port: u16) -> Result<Line, Trouble> {
    let mut forwarder = pods::api(cluster).portforward(pod, &[port]).await.map_err(|error| match error {
        kube::Error::UpgradeConnection(UpgradeConnectionError::ProtocolSwitch(status)) if status.as_u16() == 403 => Trouble::for_good(
            "you may not forward ports: it takes a Role with apiGroups [\"\"], resources [pods/portforward], verbs [get, create]",
        ),
        kube::Error::Api(status) => Trouble::now(status.message),
        other => Trouble::now(api::words::chain(&other)),
    })?;
    let stream = forwarder.take_stream(port).ok_or_else(|| Trouble::now("it has no such port"))?;
    let trouble = match forwarder.take_error(port) {
        Some(trouble) => trouble.boxed(),
        None => std::future::pending().boxed(),
    };
    Ok(Line { stream, trouble })
}

/// Any ready pod of a job.
pub(crate) struct JobPods {
    cluster: Cluster,
    job: String,
    port: u16,
    last: Mutex<Option<String>>,
    seen: tokio::sync::Mutex<Option<(Instant, Vec<k8s_openapi::api::core::v1::Pod>)>>,
}

impl JobPods {
    pub(crate) fn new(cluster: Cluster, job: &str, port: u16) -> Self {
        Self { cluster, job: job.to_owned(), port, last: Mutex::default(), seen: tokio::sync::Mutex::default() }
    }
}

impl Dial for JobPods {
    async fn pods(&self) -> Result<Vec<String>, Trouble> {
        let mut seen = self.seen.lock().await;
        if seen.as_ref().is_none_or(|(at, _)| at.elapsed() > LOOK_EVERY) {
            let listed = pods::list(&self.cluster, &self.job).await.map_err(|error| match error {
                Error::Refused(why) => Trouble::for_good(why),
                other => Trouble::now(other.sentence()),
            })?;
            *seen = Some((Instant::now(), listed));
        }
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Ok(seen.as_ref().map(|(_, pods)| pods::order(pods, last.as_deref())).unwrap_or_default())
    }

    async fn dial(&self, pod: &str) -> Result<Line, Trouble> {
        dial(&self.cluster, pod, self.port).await
    }

    fn answered(&self, pod: &str) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(pod.to_owned());
    }
}

/// One pod, ready or not.
pub(crate) struct OnePod {
    pub(crate) cluster: Cluster,
    pub(crate) pod: String,
    pub(crate) port: u16,
}

impl Dial for OnePod {
    async fn pods(&self) -> Result<Vec<String>, Trouble> {
        Ok(vec![self.pod.clone()])
    }

    async fn dial(&self, pod: &str) -> Result<Line, Trouble> {
        dial(&self.cluster, pod, self.port).await
    }

    fn answered(&self, _pod: &str) {}
}

#[cfg(test)]
mod tests;
