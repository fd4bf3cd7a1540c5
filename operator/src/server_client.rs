//! HTTP client for chunk servers: reads their progress, and sends assignments, writes and probes.

mod waits;

pub use waits::Waits;

use api::Job;
use api::digest::{self, FrameDigest};
use api::phase::{BootId, Observed, Progress, Seen, Writing};
use api::plan::ServerId;
use api::wire::{self, Assignment, Probed, Problem, route};
use serde::de::DeserializeOwned;
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use thiserror::Error;
use tokio::time::Instant;
use transport::http::{Http, Timeouts};

/// Timeout of an assignment, for which a server reserves memory and scratch files.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Timeout of other commands.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(4);

/// Timeout of a command to a server whose last request timed out. The next turn finds out whether the server is lost.
const LATE_TIMEOUT: Duration = Duration::from_secs(1);

/// A healthy server responds within milliseconds. A server that does not respond to two requests, with these timeouts, is replaced.
const PROGRESS_TIMEOUTS: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(3)];

/// After a wait for a change without a change, the time for responses that are later than the first one.
const LATE_RESPONSES: Duration = Duration::from_millis(100);

/// Time between two requests for progress during an assignment.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Reason why a request to a server failed.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "each message states it")]
pub enum Error {
    #[error("cannot create the HTTP client")]
    Client(#[source] reqwest::Error),
    #[error("{address} does not respond")]
    NoResponse {
        address: String,
        #[source]
        source: reqwest::Error,
    },
    #[error("{address} refuses the request: {problem}")]
    Refused { address: String, status: u16, problem: String, reason: Option<String> },
}

/// A probe fetches the first frame from the source, with retries.
const PROBE_TIMEOUT: Duration = Duration::from_secs(90);

/// Frames of a server, by their digests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DigestsOf {
    /// All frames whose digests the server knows.
    AllFrames,
    /// Frames that the server loaded, in the order of loading, without the first.
    LoadedAfter(usize),
}

/// A client for the servers of one job.
#[derive(Clone, Debug)]
pub struct ServerClient {
    http: Http,
    scheme: &'static str,
    key: String,
    /// The addresses whose last request timed out.
    late: Arc<Mutex<HashSet<String>>>,
    waits: Waits,
}

impl Error {
    /// Whether a server accepted a request and did not respond before the timeout.
    pub fn is_timeout(&self) -> bool {
        matches!(self, Self::NoResponse { source, .. } if source.is_timeout())
    }

    /// Whether a server has a certificate that another authority signed.
    pub fn is_untrusted(&self) -> bool {
        let mut next: Option<&(dyn std::error::Error + 'static)> = Some(self);
        while let Some(error) = next {
            if is_invalid_certificate(error) {
                return true;
            }
            // An I/O error that contains another error has the source of that error.
            let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
            next = inner.map(|inner| inner as &(dyn std::error::Error + 'static)).or_else(|| error.source());
        }
        false
    }
}

impl ServerClient {
    /// A client for servers on loopback. Requests carry the command key of the run.
    ///
    /// # Errors
    /// If the HTTP library fails to initialize.
    pub fn new(key: String) -> Result<Self, Error> {
        let http = Http::new(client(), TIMEOUTS).map_err(Error::Client)?;
        Ok(Self { http, scheme: "http", key, late: Arc::default(), waits: Waits::default() })
    }

    /// A client with mutual TLS.
    ///
    /// # Errors
    /// If the HTTP library fails to initialize.
    pub fn with_tls(tls: rustls::ClientConfig) -> Result<Self, Error> {
        let http = Http::new(client().tls_backend_preconfigured(tls), TIMEOUTS).map_err(Error::Client)?;
        Ok(Self { http, scheme: "https", key: String::new(), late: Arc::default(), waits: Waits::default() })
    }

    /// The progress of a server when its milestone exceeds `milestone`, or after `wait`.
    ///
    /// # Errors
    /// If the server does not respond.
    async fn progress_after(&self, address: &str, milestone: u64, wait: Duration) -> Result<Progress, Error> {
        let query = format!("?milestone={milestone}&wait_ms={}", wait.as_millis());
        let request = self.http.get(self.url(address, &format!("{}{query}", route::PROGRESS)));
        self.send_for_json(address, request.timeout(wait + COMMAND_TIMEOUT)).await
    }

    /// The progress of a server now. If the first request times out, a second one follows: the timeout also passes while this process is
    /// stopped.
    ///
    /// # Errors
    /// If the server does not respond; a timeout if it responds to neither request.
    pub async fn progress_now(&self, address: &str) -> Result<Progress, Error> {
        let [first, second] = PROGRESS_TIMEOUTS;
        if self.is_late(address) {
            // The request that timed out was the first one.
            return self.progress_within(address, second).await;
        }
        match self.progress_within(address, first).await {
            Err(error) if error.is_timeout() => self.progress_within(address, second).await,
            responded => responded,
        }
    }

    /// One request for the progress of a server now.
    async fn progress_within(&self, address: &str, timeout: Duration) -> Result<Progress, Error> {
        self.send_for_json(address, self.http.get(self.url(address, route::PROGRESS)).timeout(timeout)).await
    }

    /// Sends an assignment to server `id`.
    ///
    /// # Errors
    /// If the server does not respond or refuses.
    pub async fn assign(&self, address: &str, id: ServerId, assignment: &Assignment) -> Result<Progress, Error> {
        let request = self.http.put(self.url(address, &format!("{}?server={}", route::ASSIGNMENT, id.0)));
        let body = serde_json::to_vec(assignment).unwrap_or_default();
        let request = request.header(wire::VERSION_HEADER, wire::VERSION).header("content-type", "application/json").body(body);
        tokio::select! {
            response = self.send_for_json(address, request.timeout(self.timeout_of(address, TIMEOUT))) => response,
            // The timeout of an assignment is too long for a server that hangs.
            error = self.until_late(address) => Err(error),
        }
    }

    /// Waits until a request for progress times out; returns its error.
    async fn until_late(&self, address: &str) -> Error {
        loop {
            tokio::time::sleep(POLL_INTERVAL).await;
            match self.progress_within(address, COMMAND_TIMEOUT).await {
                Err(error) if error.is_timeout() => return error,
                Ok(_) | Err(_) => {}
            }
        }
    }

    /// Whether the last request to the server timed out.
    fn is_late(&self, address: &str) -> bool {
        self.late.lock().unwrap_or_else(PoisonError::into_inner).contains(address)
    }

    /// The timeout of a command that usually has `usual`.
    fn timeout_of(&self, address: &str, usual: Duration) -> Duration {
        if self.is_late(address) { LATE_TIMEOUT } else { usual }
    }

    fn set_late(&self, address: &str, late: bool) {
        let mut all = self.late.lock().unwrap_or_else(PoisonError::into_inner);
        if late {
            all.insert(address.to_owned());
        } else {
            all.remove(address);
        }
    }

    /// A short command: it ends soon also if the server hangs.
    async fn command(&self, address: &str, request: reqwest::RequestBuilder) -> Result<Vec<u8>, Error> {
        self.send(address, request.timeout(self.timeout_of(address, COMMAND_TIMEOUT))).await
    }

    /// Starts one stage of an output on a server.
    ///
    /// # Errors
    /// If the server does not respond or refuses.
    pub async fn write(&self, address: &str, progress: &Progress, Writing { output, stage }: Writing) -> Result<Progress, Error> {
        let (uid, generation) = progress.assignment.clone().unwrap_or_default();
        let request = self.http.post(self.url(address, &format!("{}?output={output}&stage={}", route::WRITE, stage.name())));
        from_json(address, &self.command(address, about(request, &uid, generation, &progress.boot)).await?)
    }

    /// The digests of frames that a server knows.
    ///
    /// # Errors
    /// If the server does not respond, works on another assignment, or sends another form.
    pub async fn digests(&self, address: &str, progress: &Progress, which: DigestsOf) -> Result<Vec<FrameDigest>, Error> {
        let (uid, generation) = progress.assignment.clone().unwrap_or_default();
        let query = match which {
            DigestsOf::AllFrames => "all=true".to_owned(),
            DigestsOf::LoadedAfter(after) => format!("after={after}"),
        };
        let request = self.http.get(self.url(address, &format!("{}?{query}", route::DIGESTS)));
        let body = self.command(address, about(request, &uid, generation, &progress.boot)).await?;
        let wrong_form =
            || Error::Refused { address: address.to_owned(), status: 200, problem: "not a list of digests".into(), reason: None };
        digest::decode(&body).ok_or_else(wrong_form)
    }

    /// Sends digests of frames that the source must still have.
    ///
    /// # Errors
    /// If the server does not respond or refuses.
    pub async fn expect(&self, address: &str, boot: &BootId, job: &Job, digests: &[FrameDigest]) -> Result<(), Error> {
        let request = self.http.put(self.url(address, route::DIGESTS)).body(digest::encode(digests));
        self.command(address, about(request, &job.uid, job.generation, boot)).await.map(drop)
    }

    /// The time that requests wait for responses.
    pub const fn waits(&self) -> &Waits {
        &self.waits
    }

    /// Waits until the progress of any server changes, a server is lost, or `timeout` has passed.
    pub async fn wait_for_change(&self, observed: &Observed, timeout: Duration) {
        let waits = observed.servers.iter().filter_map(|seen| match seen {
            Seen::Up { address, progress } => Some(Box::pin(async move {
                let milestone = progress.milestone;
                // A response, an error and a closed connection all end the wait.
                let _ = self.progress_after(address, milestone, timeout).await;
            })),
            Seen::Absent | Seen::Exited(_) | Seen::Lost(_) | Seen::Starting => None,
        });
        let waits: Vec<_> = waits.collect();
        if waits.is_empty() {
            tokio::time::sleep(timeout).await;
            return;
        }
        let started = Instant::now();
        let (_, _, others) = futures_util::future::select_all(waits).await;
        if started.elapsed() >= timeout {
            // All responses are due now. A request without its response closes its connection.
            let _ = tokio::time::timeout(LATE_RESPONSES, futures_util::future::join_all(others)).await;
        }
    }

    /// Makes a server read the first frame, or the metadata of the array.
    ///
    /// # Errors
    /// If the server does not respond, or cannot read the source.
    pub async fn probe(&self, address: &str, request: &wire::ProbeRequest) -> Result<Probed, Error> {
        let body = serde_json::to_vec(request).unwrap_or_default();
        let request = self.http.post(self.url(address, route::PROBE)).timeout(PROBE_TIMEOUT);
        self.send_for_json(address, request.header("content-type", "application/json").body(body)).await
    }

    fn url(&self, address: &str, path_and_query: &str) -> String {
        format!("{}://{address}{path_and_query}", self.scheme)
    }

    async fn send_for_json<T: DeserializeOwned>(&self, address: &str, request: reqwest::RequestBuilder) -> Result<T, Error> {
        from_json(address, &self.send(address, request).await?)
    }

    /// The body of a successful response.
    async fn send(&self, address: &str, request: reqwest::RequestBuilder) -> Result<Vec<u8>, Error> {
        let no_response = |source: reqwest::Error| {
            self.set_late(address, source.is_timeout());
            Error::NoResponse { address: address.to_owned(), source }
        };
        let _wait = self.waits.begin();
        let request = if self.key.is_empty() { request } else { request.bearer_auth(&self.key) };
        let response = self.http.send(request).await.map_err(no_response)?;
        let status = response.status();
        let body = response.bytes().await.map_err(no_response)?;
        self.set_late(address, false);
        let refused = |problem, reason| Error::Refused { address: address.to_owned(), status: status.as_u16(), problem, reason };
        if !status.is_success() {
            return Err(match serde_json::from_slice::<Problem>(&body) {
                Ok(problem) => refused(problem.error, problem.reason),
                Err(_) => refused(String::from_utf8_lossy(&body).into_owned(), None),
            });
        }
        Ok(body.to_vec())
    }
}

fn from_json<T: DeserializeOwned>(address: &str, body: &[u8]) -> Result<T, Error> {
    let wrong_form =
        |error: serde_json::Error| Error::Refused { address: address.to_owned(), status: 200, problem: error.to_string(), reason: None };
    serde_json::from_slice(body).map_err(wrong_form)
}

/// A request about a job, which only this start of a server may accept.
fn about(request: reqwest::RequestBuilder, uid: &str, generation: u64, boot: &BootId) -> reqwest::RequestBuilder {
    request.header(wire::UID_HEADER, uid).header(wire::GENERATION_HEADER, generation).header(wire::BOOT_HEADER, &boot.0)
}

fn is_invalid_certificate(error: &(dyn std::error::Error + 'static)) -> bool {
    matches!(error.downcast_ref::<rustls::Error>(), Some(rustls::Error::InvalidCertificate(_)))
}

const TIMEOUTS: Timeouts = Timeouts { connect: None, silence: None, total: Some(TIMEOUT) };

fn client() -> reqwest::ClientBuilder {
    reqwest::Client::builder().no_proxy().http1_only().tcp_nodelay(true)
}

#[cfg(test)]
mod tests;
