//! Speaks HTTP to chunk servers: asks how far they are, tells them what is theirs.

use api::phase::{Observed, Progress, Seen, Writing};
use api::plan::ServerId;
use api::wire::{self, Assignment, Probed, Problem, route};
use serde::de::DeserializeOwned;
use std::time::Duration;
use thiserror::Error;

/// A server on its feet answers well within this; one that does not is given up.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Why a server did not do what it was told.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "each message says it")]
pub enum Error {
    #[error("HTTP cannot be set up")]
    Client(#[source] reqwest::Error),
    #[error("{address} does not answer")]
    Silent {
        address: String,
        #[source]
        source: reqwest::Error,
    },
    #[error("{address} refuses: {problem}")]
    Refused { address: String, status: u16, problem: String, reason: Option<String> },
}

/// Fetching the first frame takes as long as its source does, retries included.
const PROBE_TIMEOUT: Duration = Duration::from_secs(90);

/// The client.
#[derive(Clone, Debug)]
pub struct Servers {
    http: reqwest::Client,
    scheme: &'static str,
    key: String,
}

impl Error {
    /// Whether a server took a request and said nothing for as long as one waits.
    pub fn is_hung(&self) -> bool {
        matches!(self, Self::Silent { source, .. } if source.is_timeout())
    }
}

impl Servers {
    /// A client with the run's key, for servers on loopback.
    ///
    /// # Errors
    /// When the HTTP library cannot be set up.
    pub fn new(key: String) -> Result<Self, Error> {
        let http = client().build().map_err(Error::Client)?;
        Ok(Self { http, scheme: "http", key })
    }

    /// A client that shows a certificate and knows the servers by theirs.
    ///
    /// # Errors
    /// When the HTTP library cannot be set up.
    pub fn secured(tls: rustls::ClientConfig) -> Result<Self, Error> {
        let http = client().tls_backend_preconfigured(tls).build().map_err(Error::Client)?;
        Ok(Self { http, scheme: "https", key: String::new() })
    }

    /// The run's key.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// How far a server is; with `wait`, after its next milestone beyond that number, or that long.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn progress(&self, address: &str, wait: Option<(u64, Duration)>) -> Result<Progress, Error> {
        let query = wait.map_or_else(String::new, |(milestone, wait)| format!("?milestone={milestone}&wait_ms={}", wait.as_millis()));
        self.send(address, self.http.get(self.url(address, &format!("{}{query}", route::PROGRESS)))).await
    }

    /// Tells a server what is its.
    ///
    /// # Errors
    /// When it does not answer, or refuses.
    pub async fn assign(&self, address: &str, id: ServerId, assignment: &Assignment) -> Result<Progress, Error> {
        let request = self.http.put(self.url(address, &format!("{}?server={}", route::ASSIGNMENT, id.0)));
        let body = serde_json::to_vec(assignment).unwrap_or_default();
        self.send(address, request.header(wire::VERSION_HEADER, wire::VERSION).header("content-type", "application/json").body(body)).await
    }

    /// Has a server write an output, or its part of one.
    ///
    /// # Errors
    /// When it does not answer, or refuses.
    pub async fn write(&self, address: &str, progress: &Progress, Writing { output, stage }: Writing) -> Result<Progress, Error> {
        let (uid, generation) = progress.assignment.clone().unwrap_or_default();
        let request = self.http.post(self.url(address, &format!("{}?output={output}&stage={}", route::WRITE, stage.name())));
        self.send(
            address,
            request.header(wire::UID_HEADER, uid).header(wire::GENERATION_HEADER, generation).header(wire::BOOT_HEADER, &progress.boot.0),
        )
        .await
    }

    /// Waits until any server has something new to say, or has gone, or `longest` has passed.
    pub async fn until_news(&self, observed: &Observed, longest: Duration) {
        let waits = observed.servers.iter().filter_map(|seen| match seen {
            Seen::Up { address, progress } => Some(Box::pin(async move {
                let milestone = progress.milestone;
                // An answer, an error, a broken connection: each is news.
                let _ = self.progress(address, Some((milestone, longest))).await;
            })),
            _ => None,
        });
        let waits: Vec<_> = waits.collect();
        if waits.is_empty() {
            tokio::time::sleep(longest).await;
        } else {
            futures_util::future::select_all(waits).await;
        }
    }

    /// Has a server look at the first frame, or at the array's metadata.
    ///
    /// # Errors
    /// When it does not answer, or these cannot be had.
    pub async fn probe(&self, address: &str, ask: &wire::ProbeRequest) -> Result<Probed, Error> {
        let body = serde_json::to_vec(ask).unwrap_or_default();
        let request = self.http.post(self.url(address, route::PROBE)).timeout(PROBE_TIMEOUT);
        self.send(address, request.header("content-type", "application/json").body(body)).await
    }

    fn url(&self, address: &str, path_and_query: &str) -> String {
        format!("{}://{address}{path_and_query}", self.scheme)
    }

    async fn send<T: DeserializeOwned>(&self, address: &str, request: reqwest::RequestBuilder) -> Result<T, Error> {
        let silent = |source| Error::Silent { address: address.to_owned(), source };
        let request = if self.key.is_empty() { request } else { request.bearer_auth(&self.key) };
        let response = request.send().await.map_err(silent)?;
        let status = response.status();
        let body = response.bytes().await.map_err(silent)?;
        let refused = |problem, reason| Error::Refused { address: address.to_owned(), status: status.as_u16(), problem, reason };
        if !status.is_success() {
            return Err(match serde_json::from_slice::<Problem>(&body) {
                Ok(problem) => refused(problem.error, problem.reason),
                Err(_) => refused(String::from_utf8_lossy(&body).into_owned(), None),
            });
        }
        serde_json::from_slice(&body).map_err(|error| refused(error.to_string(), None))
    }
}

fn client() -> reqwest::ClientBuilder {
    reqwest::Client::builder().no_proxy().http1_only().tcp_nodelay(true).timeout(TIMEOUT)
}
