//! How long a read waits: until the elements are computed, until the job has failed, or until the deadline. A server that is lost is replaced
//! and computes its share again, so reads wait for that.

use super::Error;
use crate::share::Share;
use api::phase::Progress;
use api::plan::ServerId;
use api::wire::route;
use futures_util::FutureExt as _;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep_until, timeout};
use transport::client::Client;

/// Timeout of a reader's wait for elements. After the timeout, the response asks the reader to try again.
pub const READER_TIMEOUT: Duration = Duration::from_secs(30);
/// First pause before a retry; doubled up to [`LONGEST_PAUSE`], and ended early by a change of the peers.
const PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// Ready data arrive within this time. After longer waits, the read polls peers for failures.
const GRACE: Duration = Duration::from_secs(1);
/// How long a peer holds a request for its next progress, in milliseconds.
const PROGRESS_MS: u64 = 10_000;

/// When a read times out.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Option<Instant>);

impl Deadline {
    /// The deadline of the job's own outputs: the read retries until the lost servers are back. The job's end cancels the read.
    pub const NEVER: Self = Self(None);

    /// A deadline `timeout` from now.
    pub fn after(timeout: Duration) -> Self {
        Self(Some(Instant::now() + timeout))
    }

    /// Whether the read belongs to a reader, who waits for a limited time and whose memory is counted.
    pub(super) const fn is_finite(self) -> bool {
        self.0.is_some()
    }

    /// Waits for `waiting`, which moves no data: the deadline does not count the time of a transfer. With a finite deadline the wait also
    /// ends when this server or a peer reports that the job has failed.
    pub(super) async fn wait<T>(
        self,
        client: &Client,
        share: &Arc<Share>,
        waiting: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let Some(end) = self.0 else { return waiting.await };
        tokio::select! {
            biased;
            done = waiting => done,
            message = failed(client, share) => Err(Error::Failed(message)),
            () = sleep_until(end) => Err(Error::Timeout),
        }
    }

    /// Runs `attempt` until it succeeds, fails permanently, or the deadline has passed. This is the only retry loop of reads.
    ///
    /// # Errors
    /// The first permanent error, or the last error before the deadline.
    pub(super) async fn retry<T, F>(self, share: &Share, mut attempt: impl FnMut() -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let mut directions = share.directions.subscribe();
        let mut pause = PAUSE;
        loop {
            let error = match attempt().await {
                Err(error) if error.is_transient() => error,
                done => return done,
            };
            let left = self.0.map(|end| end.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Err(error);
            }
            tracing::debug!(error = &error as &dyn std::error::Error, "the read is retried");
            // A change of the peers ends the pause: the lost server may be available again.
            let _ = timeout(left.map_or(pause, |left| left.min(pause)), directions.changed()).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

/// Waits for `computed`, or for the failure of the job on this server. Computed elements are returned even after a failure.
pub(super) async fn unless_failed<T>(share: &Share, computed: impl Future<Output = T>) -> Result<T, Error> {
    tokio::select! {
        biased;
        done = computed => Ok(done),
        failure = share.counters.until_failed() => Err(Error::Failed(failure.message)),
    }
}

/// Waits for the first server that reports that the job has failed, and returns its message.
async fn failed(client: &Client, share: &Arc<Share>) -> String {
    tokio::time::sleep(GRACE).await;
    let peers = share.plan.ids().filter(|&id| id != share.id).map(|id| failure_of(client, share, id).boxed());
    let here = async { share.counters.until_failed().await.message }.boxed();
    futures_util::future::select_all(peers.chain([here])).await.0
}

/// Waits until the peer reports that the job has failed.
async fn failure_of(client: &Client, share: &Share, id: ServerId) -> String {
    let mut milestone = 0;
    loop {
        if let Some(progress) = progress_of(client, share, id, milestone).await {
            let same_job = progress.assignment.as_ref() == Some(&(share.job.uid.clone(), share.job.generation));
            if let Some(failure) = progress.failure.filter(|_| same_job) {
                return failure.message;
            }
            milestone = progress.milestone;
        } else {
            tokio::time::sleep(LONGEST_PAUSE).await;
        }
    }
}

async fn progress_of(client: &Client, share: &Share, id: ServerId, milestone: u64) -> Option<Progress> {
    let peer = share.peer(id)?;
    let path = format!("{}?milestone={milestone}&wait_ms={PROGRESS_MS}", route::PROGRESS);
    let body = client.get(share.job_ref(), &peer, &path).await.ok()?.bytes().await.ok()?;
    serde_json::from_slice(&body).ok()
}
