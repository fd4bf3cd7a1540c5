//! The HTTP client between the servers of one job.

use crate::http::{Http, Timeouts};
use crate::tls;
use crate::traffic::Traffic;
use api::wire::{self, Peer};
use reqwest::StatusCode;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;

/// Longest pause between two bytes of a response. A peer that still loads holds the request, so the timeout is long.
const SILENCE: Duration = Duration::from_secs(60);

/// The job that a request is about. The receiver refuses a request about another job or generation.
#[derive(Clone, Copy, Debug)]
pub struct JobRef<'a> {
    /// The job's uid.
    pub uid: &'a str,
    /// The job's generation.
    pub generation: u64,
}

/// Sends requests to peers: a connection pool, and the proof that this server belongs to the job.
#[derive(Clone)]
pub struct Client {
    http: Http,
    proof: Proof,
    /// Counts the bytes that this server receives and sends.
    pub traffic: Arc<Traffic>,
}

#[derive(Clone)]
enum Proof {
    /// On loopback: the command key of the run, in each request.
    Key(String),
    /// On a cluster: the certificate, in each connection.
    Certificate,
}

impl fmt::Debug for Client {
    /// Does not print the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client")
    }
}

/// Why a client cannot be created.
#[derive(Debug, Error)]
pub enum ClientError {
    /// The identity is not valid.
    #[error(transparent)]
    Identity(#[from] tls::Error),
    /// The HTTP library refuses the configuration.
    #[error("cannot set up HTTP")]
    Http(#[from] reqwest::Error),
}

/// Why one request to a peer failed.
#[derive(Debug, Error)]
pub enum PullError {
    /// No response, or an incomplete response.
    #[error("a peer does not respond")]
    Http(#[from] reqwest::Error),
    /// The peer was restarted, or works on another assignment.
    #[error("a peer refuses the request: {0}")]
    Refused(StatusCode),
    /// The job failed on the peer, so that the requested data will not be computed; with the peer's message.
    #[error("the work of a peer has failed: {0}")]
    Failed(String),
    /// A row of a block has another checksum than at its owner.
    #[error("the row of frame {frame} was damaged on its way")]
    Checksum {
        /// The number of the frame in the job.
        frame: usize,
    },
    /// The response does not have the length of the block.
    #[error("a peer sent {found} bytes of a block of {expected}")]
    Length {
        /// Bytes received.
        found: usize,
        /// Bytes of the block.
        expected: usize,
    },
}

const TIMEOUTS: Timeouts = Timeouts { connect: Some(Duration::from_secs(5)), silence: Some(SILENCE), total: None };

fn builder() -> reqwest::ClientBuilder {
    reqwest::Client::builder().no_proxy().http1_only().tcp_nodelay(true)
}

impl Client {
    /// A client for a run on loopback, with the command key of the run.
    ///
    /// # Errors
    /// When the HTTP library refuses the configuration.
    pub fn new(key: String) -> Result<Self, reqwest::Error> {
        Ok(Self { http: Http::new(builder(), TIMEOUTS)?, proof: Proof::Key(key), traffic: Arc::default() })
    }

    /// A client with mutual TLS: the client sends its certificate, and accepts only servers with a certificate of the same authority.
    ///
    /// # Errors
    /// When the identity is not valid, or the HTTP library refuses the configuration.
    pub fn secured(identity: &tls::Identity) -> Result<Self, ClientError> {
        let http = Http::new(builder().https_only(true).tls_backend_preconfigured(tls::client_config(identity)?), TIMEOUTS)?;
        Ok(Self { http, proof: Proof::Certificate, traffic: Arc::default() })
    }

    /// Sends a GET for a job to `peer`. The peer refuses the request unless its boot id is the one in `peer`.
    ///
    /// # Errors
    /// When the peer does not respond, or responds with a status other than success.
    pub async fn get(&self, job: JobRef<'_>, peer: &Peer, path_and_query: &str) -> Result<reqwest::Response, PullError> {
        let request = match &self.proof {
            Proof::Key(key) => self.http.get(format!("http://{}{path_and_query}", peer.address)).bearer_auth(key),
            Proof::Certificate => self.http.get(format!("https://{}{path_and_query}", peer.address)),
        };
        let request = request
            .header(wire::UID_HEADER, job.uid)
            .header(wire::GENERATION_HEADER, job.generation)
            .header(wire::BOOT_HEADER, &peer.boot.0);
        let response = self.http.send(request).await?;
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
