//! How long a reader waits: until what it asks for is computed, or will not be, or its patience ends. What is lost with a
//! server comes back with its replacement, so a reader is held meanwhile.

use super::Error;
use crate::share::{Directions, Share};
use api::phase::Progress;
use api::plan::ServerId;
use api::wire::route;
use futures_util::FutureExt as _;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout_at};
use transport::client::Client;

/// How long a reader waits for what is still being computed before it is told to come back.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// First pause before a peer is asked again; doubled up to [`LONGEST_PAUSE`], and cut short by news of the peers.
const PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// What is there already is had within this; only who waits longer asks the peers whether they have failed.
const GRACE: Duration = Duration::from_secs(1);
/// How long a peer keeps a question after its progress.
const PROGRESS_MS: u64 = 10_000;

/// When a reader's patience ends.
#[derive(Clone, Copy, Debug)]
pub struct Patience(Option<Instant>);

impl Patience {
    /// One that never ends, for who asks again by itself.
    pub const ENDLESS: Self = Self(None);

    /// One that ends after `patience`.
    pub fn of(patience: Duration) -> Self {
        Self(Some(Instant::now() + patience))
    }

    /// Waits for `waiting`, which moves no data: time that data takes on its way is not waited. With an end it also ends when this
    /// server or a peer says that the work has failed.
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
            sentence = failed(client, share) => Err(Error::Failed(sentence)),
            () = sleep_until(end) => Err(Error::Late),
        }
    }

    /// Whether it never ends: a reader's does, the work's own does not.
    pub(super) const fn is_endless(self) -> bool {
        self.0.is_none()
    }

    /// Attempts for a reader with this patience.
    pub(super) fn attempts(self, share: &Share) -> Attempts {
        Attempts { end: self.0, pause: PAUSE, directions: share.directions.subscribe() }
    }
}

/// Attempts of one reader, while servers come and go.
#[derive(Debug)]
pub(super) struct Attempts {
    end: Option<Instant>,
    pause: Duration,
    directions: watch::Receiver<Directions>,
}

impl Attempts {
    /// Done when it is worth another attempt.
    ///
    /// # Errors
    /// `error` itself, when it does not pass or the reader's patience is at its end.
    pub(super) async fn after(&mut self, error: Error) -> Result<(), Error> {
        let Some(end) = self.end.filter(|&end| error.is_passing() && Instant::now() < end) else { return Err(error) };
        tracing::debug!(error = &error as &dyn std::error::Error, "a reader is held");
        // News of the peers ends the pause.
        let _ = timeout_at(end.min(Instant::now() + self.pause), self.directions.changed()).await;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        Ok(())
    }
}

/// Waits for `computed`, or for the end of the work here. What is there is there, whatever has failed since.
pub(super) async fn unless_failed<T>(share: &Share, computed: impl Future<Output = T>) -> Result<T, Error> {
    tokio::select! {
        biased;
        done = computed => Ok(done),
        failure = share.counters.until_failed() => Err(Error::Failed(failure.message)),
    }
}

/// Done with the sentence of the first server that says that the work has failed.
async fn failed(client: &Client, share: &Arc<Share>) -> String {
    tokio::time::sleep(GRACE).await;
    let peers = share.plan.ids().filter(|&id| id != share.id).map(|id| failure_of(client, share, id).boxed());
    let here = async { share.counters.until_failed().await.message }.boxed();
    futures_util::future::select_all(peers.chain([here])).await.0
}

/// Done when the peer says that the work has failed.
async fn failure_of(client: &Client, share: &Share, id: ServerId) -> String {
    let mut milestone = 0;
    loop {
        if let Some(progress) = progress_of(client, share, id, milestone).await {
            let ours = progress.assignment.as_ref() == Some(&(share.job.uid.clone(), share.job.generation));
            if let Some(failure) = progress.failure.filter(|_| ours) {
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
    let answer = client.get(share.job_ref(), &peer, &path).await.ok()?.bytes().await.ok()?;
    serde_json::from_slice(&answer).ok()
}
