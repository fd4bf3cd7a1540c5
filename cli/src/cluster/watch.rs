//! `arrayjob watch`: follows an ArrayJob's status until the job finishes.

mod changes;

use super::access::{Action, Cluster, connect, explain};
use super::job::{self, Found};
use super::target::{arguments, program};
use crate::args::{ClusterOptions, Watch};
use crate::error::Error;
use crate::progress::Progress;
use crate::signals::interrupted;
use api::phase::Failure;
use crds::v1alpha1::ArrayJobStatus;
use crds::v1alpha1::status::PhaseStatus;
use futures_util::StreamExt as _;
use k8s_openapi::jiff::Timestamp;
use kube::runtime::watcher::{self, Event, watcher};
use kube::runtime::{WatchStreamExt as _, watcher::Error as WatchError};
use operator::report::PhaseReport;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Duration of one watch request, in seconds. Some networks drop idle connections after a longer time without notice.
const WATCH_SECONDS: u32 = 200;

/// Follows a job.
///
/// # Errors
/// The job is missing, failed or was deleted, is not readable, or did not finish in time.
pub async fn watch(args: Watch, started: Instant) -> Result<(), Error> {
    let timeout = args.timeout.as_deref().map(duration).transpose()?;
    let cluster = connect(&args.cluster).await?;
    let found = job::find(&cluster, &args.job).await?;
    let progress = Progress::new(args.progress, job_start(&found, started));
    let mut follower = Follower::new(&args.job, &args.cluster, &found, progress);
    let late = async {
        match timeout {
            Some(timeout) => tokio::time::sleep(timeout).await,
            None => std::future::pending().await,
        }
    };
    let outcome = tokio::select! {
        outcome = follower.follow(&cluster) => Some(outcome),
        () = late => None,
        () = interrupted() => Some(Err(Error::Stopped(format!("stopped watching; ArrayJob '{}' continues", args.job)))),
    };
    follower.progress.end();
    outcome.unwrap_or_else(|| {
        let state = job::state(follower.status.as_ref());
        Err(Error::Refused(format!("ArrayJob '{}' is not finished after {}; state: {state}", args.job, args.timeout.unwrap_or_default())))
    })
}

/// The job's start, as a time of this process. Progress counts from it, because the phases may be older than this command. Of a
/// finished job, the start is moved so that the time until now is the time that the job took.
fn job_start(found: &Found, now: Instant) -> Instant {
    let time = |text: Option<&String>| text.and_then(|text| text.parse::<Timestamp>().ok());
    let status = found.status.as_ref();
    let start = time(status.and_then(|status| status.start_time.as_ref()));
    let end = time(status.and_then(|status| status.completion_time.as_ref())).unwrap_or_else(Timestamp::now);
    let took = start.and_then(|start| Duration::try_from(end.duration_since(start)).ok()).unwrap_or_default();
    now.checked_sub(took).unwrap_or(now)
}

/// The last known state of a job, and its progress.
struct Follower {
    name: String,
    /// The job and its cluster, as arguments.
    arguments: String,
    uid: Option<String>,
    progress: Progress,
    status: Option<ArrayJobStatus>,
    /// The last status in JSON progress.
    last_object: Value,
    /// Whether the last request to the cluster failed.
    lost: bool,
}

impl Follower {
    fn new(name: &str, options: &ClusterOptions, found: &Found, progress: Progress) -> Self {
        Self {
            name: name.to_owned(),
            arguments: arguments(name, options),
            uid: found.metadata.uid.clone(),
            progress,
            status: None,
            last_object: Value::Null,
            lost: false,
        }
    }

    async fn follow(&mut self, cluster: &Cluster) -> Result<(), Error> {
        let config = watcher::Config::default().fields(&format!("metadata.name={}", self.name)).timeout(WATCH_SECONDS);
        let mut events = Box::pin(watcher(job::api(cluster), config).default_backoff());
        let mut exists = false;
        // The watcher retries by itself: the stream ends after an error only.
        while let Some(event) = events.next().await {
            let verdict = match event {
                Ok(Event::Init) => {
                    exists = false;
                    None
                }
                Ok(Event::InitApply(job) | Event::Apply(job)) => {
                    exists = true;
                    self.update(job)
                }
                // Without the job in the list, the job was deleted between two watches.
                Ok(Event::InitDone) if exists => None,
                Ok(Event::InitDone | Event::Delete(_)) => Some(Err(self.deleted())),
                Err(error) => {
                    self.watch_failed(error)?;
                    continue;
                }
            };
            if std::mem::take(&mut self.lost) {
                self.progress.sentence("the cluster responds again");
            }
            if let Some(verdict) = verdict {
                return verdict;
            }
        }
        Err(Error::Refused("the watch ended".into()))
    }

    /// Prints the changes. Returns the verdict if the job finished.
    fn update(&mut self, job: Found) -> Option<Result<(), Error>> {
        if job.metadata.uid != self.uid {
            return Some(Err(self.deleted()));
        }
        let status = job.status.unwrap_or_default();
        for text in changes::changes(self.status.as_ref(), &status) {
            self.progress.sentence(&text);
        }
        let object = json!({"status": changes::summary(&status)});
        if object != self.last_object {
            self.progress.object(&object);
            self.last_object = object;
        }
        let phases: Vec<PhaseReport> = status.phases.iter().map(phase).collect();
        self.progress.update(&phases);
        let verdict = changes::verdict(&status);
        if verdict.is_some() {
            self.progress.end();
        }
        if verdict.is_some() && status.endpoint.is_some() {
            let (program, job) = (program(), &self.arguments);
            self.progress.sentence(&format!("arrays: {program} open {job} --browser, or {program} get {job} 'raw_mean_frame' -o mean.png"));
        }
        self.status = Some(status);
        verdict.map(|verdict| verdict.map_err(|(reason, message)| Error::Job(Failure { reason, message })))
    }

    fn deleted(&self) -> Error {
        Error::Refused(format!("ArrayJob '{}' was deleted before the job finished", self.name))
    }

    /// Decides about a failed watch. The watcher starts a new watch by itself; a refusal ends the command.
    fn watch_failed(&mut self, error: WatchError) -> Result<(), Error> {
        let name = format!("watch ArrayJob {}", self.name);
        match error {
            WatchError::InitialListFailed(kube::Error::Api(status)) | WatchError::WatchStartFailed(kube::Error::Api(status))
                if matches!(status.code, 401 | 403 | 404) =>
            {
                return Err(explain(Action { name: &name, role: job::ROLE }, kube::Error::Api(status)));
            }
            WatchError::InitialListFailed(_) | WatchError::NoResourceVersion if !self.lost => {
                self.lost = true;
                self.progress.sentence(&format!("the cluster does not respond ({error}); the job continues, and the watch is retried"));
            }
            // Watches end regularly: the next watch starts at the resource version of this one.
            other => tracing::debug!(error = %other, "the watch starts again"),
        }
        Ok(())
    }
}

fn phase(phase: &PhaseStatus) -> PhaseReport {
    PhaseReport {
        name: phase.name.clone(),
        seconds: phase.seconds,
        bytes: phase.bytes,
        retries: phase.retries,
        done: phase.done,
        total: phase.total,
    }
}

/// Parses a duration: 90, 90s, 10m or 1h.
fn duration(text: &str) -> Result<Duration, Error> {
    let wrong = || Error::Option { option: "--timeout", text: text.to_owned(), rule: "write a duration, as in 90s, 10m or 1h" };
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return Err(wrong()),
    };
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    number.checked_mul(unit).map(Duration::from_secs).ok_or_else(wrong)
}

#[cfg(test)]
mod tests;
