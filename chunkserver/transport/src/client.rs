//! The HTTP client between the servers of one job.

use crate::tls;
use crate::traffic::Traffic;
use api::wire::{self, Peer};
use reqwest::StatusCode;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;

/// How long a peer may say nothing before it is asked again. A peer that still loads says so by waiting, so this is long.
const SILENCE: Duration = Duration::from_secs(60);
/// The job that a request is about. The receiver refuses a request about another job or generation.
#[derive(Clone, Copy, Debug)]
pub struct JobRef<'a> {
    /// The job's uid.
    pub uid: &'a str,
    /// The job's generation.
    pub generation: u64,
}

/// Speaks to peers: a connection pool, and what proves that this is one of them.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    proof: Proof,
    /// What this server receives and sends is counted here.
    pub traffic: Arc<Traffic>,
}

#[derive(Clone)]
enum Proof {
    /// On loopback: the run's key, with each request.
    Key(String),
    /// Elsewhere: the certificate, with each connection.
    Certificate,
}

impl fmt::Debug for Client {
    /// Never the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client")
    }
}

/// Why there is no client.
#[derive(Debug, Error)]
pub enum ClientError {
    /// The identity is of no use.
    #[error(transparent)]
    Identity(#[from] tls::Error),
    /// The HTTP library cannot be set up.
    #[error("cannot set up HTTP")]
    Http(#[from] reqwest::Error),
}

/// Why a request to a peer failed, this time.
#[derive(Debug, Error)]
pub enum PullError {
    /// No answer, or one that broke off.
    #[error("a peer does not answer")]
    Http(#[from] reqwest::Error),
    /// The peer was restarted, or has other orders.
    #[error("a peer refuses: {0}")]
    Refused(StatusCode),
    /// The peer's work has failed, and what is asked for will not be computed; its own sentence.
    #[error("a peer's work has failed: {0}")]
    Failed(String),
    /// The answer is not as long as the block.
    #[error("a peer sent {found} bytes of a block of {expected}")]
    Length {
        /// Bytes received.
        found: usize,
        /// Bytes of the block.
        expected: usize,
    },
}

fn builder() -> reqwest::ClientBuilder {
    reqwest::Client::builder().no_proxy().http1_only().tcp_nodelay(true).connect_timeout(Duration::from_secs(5)).read_timeout(SILENCE)
}

impl Client {
    /// A client for a run on loopback with this key.
    ///
    /// # Errors
    /// When the HTTP library cannot be set up.
    pub fn new(key: String) -> Result<Self, reqwest::Error> {
        Ok(Self { http: builder().build()?, proof: Proof::Key(key), traffic: Arc::default() })
    }

    /// A client that shows a certificate, and speaks to nobody who has none of the same authority.
    ///
    /// # Errors
    /// When the identity is of no use, or the HTTP library cannot be set up.
    pub fn secured(identity: &tls::Identity) -> Result<Self, ClientError> {
        let http = builder().https_only(true).tls_backend_preconfigured(tls::client_config(identity)?).build()?;
        Ok(Self { http, proof: Proof::Certificate, traffic: Arc::default() })
    }

    /// Sends a GET for a job to `peer`. The peer refuses the request unless its boot id is the one in `peer`.
    ///
    /// # Errors
    /// When there is no answer, or one other than success.
    pub async fn get(&self, job: JobRef<'_>, peer: &Peer, path_and_query: &str) -> Result<reqwest::Response, PullError> {
        let request = match &self.proof {
            Proof::Key(key) => self.http.get(format!("http://{}{path_and_query}", peer.address)).bearer_auth(key),
            Proof::Certificate => self.http.get(format!("https://{}{path_and_query}", peer.address)),
        };
        let response = request
            .header(wire::UID_HEADER, job.uid)
            .header(wire::GENERATION_HEADER, job.generation)
            .header(wire::BOOT_HEADER, &peer.boot.0)
            .send()
            .await?;
        match response.status() {
            status if status.is_success() => Ok(response),
            StatusCode::GONE => {
                let problem: wire::Problem =
                    serde_json::from_slice(&response.bytes().await?).map_err(|_| PullError::Refused(StatusCode::GONE))?;
                Err(PullError::Failed(problem.error))
            }
            status => Err(PullError::Refused(status)),
        }
    }
}
