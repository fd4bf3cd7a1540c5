//! A job on this machine: the loop of turns over chunk servers that run as processes.

mod advertisement;
mod losses;
mod processes;

pub(crate) use advertisement::Advertisement;
pub(crate) use losses::Losses;
pub(crate) use processes::Processes;

use crate::error::Error;
use crate::paste::{Paste, Readable};
use crate::progress::Progress;
use api::Budget;
use api::next_step::Step;
use crds::ArrayJob;
use operator::fleet::Fleet as _;
use operator::report::report;
use operator::turn::{Turn, TurnMode, prepare, turn};
use operator::validate::Platform;
use serde_json::json;
use std::convert::Infallible;
use std::path::PathBuf;
use std::time::Duration;

/// Longest time between two turns while the job computes: the interval of progress reports.
const COMPUTE_INTERVAL: Duration = Duration::from_millis(150);
/// Longest time between two turns after the outputs are written.
const SERVE_INTERVAL: Duration = Duration::from_secs(1);

/// A job, its servers on this machine, and its progress.
#[derive(Debug)]
pub(crate) struct LocalJob {
    pub(crate) manifest: ArrayJob,
    pub(crate) budget: Budget,
    /// The manifest's name in error messages.
    pub(crate) name: PathBuf,
    pub(crate) processes: Processes,
    pub(crate) progress: Progress,
    pub(crate) advertisement: Advertisement,
    pub(crate) losses: Losses,
}

impl LocalJob {
    /// Takes turns until all outputs are written.
    ///
    /// # Errors
    /// The job fails, or its URL is not publishable.
    pub(crate) async fn complete(&mut self) -> Result<Turn, Error> {
        let mut before = None;
        loop {
            let turn = self.turn(TurnMode::Compute).await?;
            if let Some(url) = self.new_url(&turn)? {
                self.progress.page(&url, self.advertisement.is_public());
            }
            match turn.ended() {
                Some(Ok(())) => return Ok(turn),
                Some(Err(failure)) => return Err(Error::Job(failure.clone())),
                // A repeated step waits too: its server is not ready yet.
                None if turn.step == Step::Wait || before.as_ref() == Some(&turn.step) => {
                    self.wait(&turn, COMPUTE_INTERVAL).await;
                }
                None => {}
            }
            before = Some(turn.step);
        }
    }

    /// Takes turns after all outputs are written, so that lost servers are started again. Ends with an error only.
    pub(crate) async fn keep(&mut self) -> Result<Infallible, Error> {
        loop {
            let turn = self.turn_after_end().await?;
            self.wait(&turn, SERVE_INTERVAL).await;
        }
    }

    /// As [`keep`](Self::keep), and prints the URL and lines to paste, again after each change of the URL.
    pub(crate) async fn serve(&mut self, arrays: &[Readable]) -> Result<Infallible, Error> {
        self.print_url(self.advertisement.url(), arrays);
        loop {
            let turn = self.turn_after_end().await?;
            if let Some(url) = self.new_url(&turn)? {
                self.print_url(&url, arrays);
            }
            self.wait(&turn, SERVE_INTERVAL).await;
        }
    }

    /// Waits until a server reports progress, becomes ready or ends, and at most about `interval`.
    async fn wait(&self, turn: &Turn, interval: Duration) {
        tokio::select! {
            () = self.processes.servers.client.wait_for_change(&turn.observed, interval) => {}
            () = self.processes.fleet.until_changed() => {}
        }
    }

    async fn turn_after_end(&mut self) -> Result<Turn, Error> {
        let turn = self.turn(TurnMode::Serve).await?;
        match turn.ended() {
            Some(Err(failure)) => Err(Error::Job(failure.clone())),
            Some(Ok(())) | None => Ok(turn),
        }
    }

    /// One turn, with its progress.
    async fn turn(&mut self, mode: TurnMode) -> Result<Turn, Error> {
        let prepared = prepare(&self.manifest, &self.budget, Platform::Local);
        let (job, plan) = prepared.map_err(|source| Error::Invalid { path: self.name.clone(), source })?;
        let turn = turn(job, plan, &self.processes.fleet, &self.processes.servers, mode).await;
        self.losses.report(&self.progress, &turn);
        let report = report(&turn);
        self.progress.update(&report.phases);
        self.progress.update(report.writing.as_slice());
        Ok(turn)
    }

    /// The URL of the job, if it changed since the last call.
    fn new_url(&mut self, turn: &Turn) -> Result<Option<String>, Error> {
        match self.processes.url(turn, self.advertisement.url()) {
            Some(url) if self.advertisement.set_url(&url)? => Ok(Some(url)),
            _ => Ok(None),
        }
    }

    fn print_url(&self, url: &str, arrays: &[Readable]) {
        let job = self.advertisement.job();
        let paste = Paste::new(url, job, job, arrays);
        let lines = paste.as_ref().map_or_else(String::new, ToString::to_string);
        self.progress.sentence(&format!("serving at {url}\n{lines}press Ctrl-C to stop"));
        self.progress.object(&json!({"url": url, "paste": paste.map(|paste| paste.json())}));
    }
}
