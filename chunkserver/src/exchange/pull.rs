//! One block from one peer, asked for until it is there: a GET is idempotent, so a lost answer is asked for again.

use crate::journal::{Event, Kind, Traffic};
use crate::share::Share;
use crate::tls;
use api::plan::ServerId;
use api::wire::{self, Peer, route};
use reqwest::StatusCode;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;

/// How long a peer may say nothing before it is asked again. A peer that still loads says so by waiting, so this is long.
const SILENCE: Duration = Duration::from_secs(60);
/// First pause after a failed request; doubled up to [`LONGEST_PAUSE`], and cut short by news of the peer.
const PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Speaks to peers: a connection pool, and what proves that this is one of them.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    proof: Proof,
    /// What this server receives and sends is counted here.
    pub(crate) traffic: Arc<Traffic>,
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

    /// A GET to `peer` on behalf of `share`'s job, which the peer refuses unless it is the start of itself that the
    /// assignment named.
    ///
    /// # Errors
    /// When there is no answer, or one other than success.
    pub async fn get(&self, share: &Share, peer: &Peer, path_and_query: &str) -> Result<reqwest::Response, PullError> {
        let request = match &self.proof {
            Proof::Key(key) => self.http.get(format!("http://{}{path_and_query}", peer.address)).bearer_auth(key),
            Proof::Certificate => self.http.get(format!("https://{}{path_and_query}", peer.address)),
        };
        let response = request
            .header(wire::UID_HEADER, &share.job.uid)
            .header(wire::GENERATION_HEADER, share.job.generation)
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

/// Pulls the block (frames of `from`) ∩ (`band`) into `into`, (t, pixel) in C order, however often the peer has to be
/// asked and wherever it moves meanwhile. Gives the number of attempts beyond the first.
pub async fn pull_block(client: &Client, share: &Share, from: ServerId, band: usize, into: &mut [u8]) -> u64 {
    let mut directions = share.directions.subscribe();
    let mut pause = PAUSE;
    let mut retries = 0;
    loop {
        let peer = directions.borrow_and_update().peers.get(from.0).cloned().flatten();
        if let Some(peer) = peer {
            match attempt(client, share, &peer, band, into).await {
                Ok(()) => return retries,
                Err(error) => {
                    tracing::debug!(server = from.0, band, error = &error as &dyn std::error::Error, "block asked for again");
                    share.journal.mark(Event::Retry, &format!("a block of server {} is asked for again: {error}", from.0));
                    retries += 1;
                }
            }
        }
        // News of the peers ends the pause: a restarted peer is asked as soon as it is known.
        let _ = tokio::time::timeout(pause, directions.changed()).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

async fn attempt(client: &Client, share: &Share, peer: &Peer, band: usize, into: &mut [u8]) -> Result<(), PullError> {
    let mut filled = 0;
    // The first bytes may be long in coming, since the peer waits for its own frames; a transfer begins with them.
    let mut task = None;
    let filling = async {
        let mut response = client.get(share, peer, &format!("{}?band={band}", route::BLOCK)).await?;
        let expected = into.len();
        while let Some(bytes) = response.chunk().await? {
            task.get_or_insert_with(|| share.journal.begin(Kind::Transfer, band));
            client.traffic.received(bytes.len());
            let end = filled + bytes.len();
            let Some(place) = into.get_mut(filled..end) else {
                return Err(PullError::Length { found: end, expected });
            };
            place.copy_from_slice(&bytes);
            filled = end;
        }
        if filled == expected { Ok(()) } else { Err(PullError::Length { found: filled, expected }) }
    };
    let done = filling.await;
    let task = task.unwrap_or_else(|| share.journal.begin(Kind::Transfer, band));
    match &done {
        Ok(()) => task.done(filled as u64),
        Err(_) => task.failed(filled as u64),
    }
    done
}
