//! `arrayjob watch`: follows an ArrayJob's status until it is finished.

mod news;

use super::job::{self, Found};
use super::place::{Cluster, connect, explain, program, typed};
use crate::args::{Watch, Where};
use crate::error::Error;
use crate::progress::Progress;
use crate::run::interrupted;
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

/// The API server ends a watch after this long, in seconds; some networks drop connections that are quiet for longer, and
/// say nothing.
const WATCH_SECONDS: u32 = 200;

/// Follows a job.
///
/// # Errors
/// When there is no such job, it failed or was deleted, may not be watched, or took too long.
pub async fn watch(ask: Watch, started: Instant) -> Result<(), Error> {
    let timeout = ask.timeout.as_deref().map(duration).transpose()?;
    let cluster = connect(&ask.place).await?;
    let found = job::find(&cluster, &ask.job).await?;
    let mut following = Following::new(&ask.job, &ask.place, &found, Progress::new(ask.progress, since_start(&found, started)));
    let late = async {
        match timeout {
            Some(timeout) => tokio::time::sleep(timeout).await,
            None => std::future::pending().await,
        }
    };
    let outcome = tokio::select! {
        outcome = following.follow(&cluster) => Some(outcome),
        () = late => None,
        () = interrupted() => Some(Err(Error::Stopped(format!("stopped watching; ArrayJob '{}' goes on", ask.job)))),
    };
    following.progress.end();
    outcome.unwrap_or_else(|| {
        let standing = job::standing(following.status.as_ref());
        Err(Error::Refused(format!("ArrayJob '{}' is not finished after {}: it is {standing}", ask.job, ask.timeout.unwrap_or_default())))
    })
}

/// Seconds are told from the job's start, where that is known, to its end: phases are older than this command.
fn since_start(found: &Found, now: Instant) -> Instant {
    let time = |text: Option<&String>| text.and_then(|text| text.parse::<Timestamp>().ok());
    let status = found.status.as_ref();
    let start = time(status.and_then(|status| status.start_time.as_ref()));
    let end = time(status.and_then(|status| status.completion_time.as_ref())).unwrap_or_else(Timestamp::now);
    let took = start.and_then(|start| Duration::try_from(end.duration_since(start)).ok()).unwrap_or_default();
    now.checked_sub(took).unwrap_or(now)
}

/// What is known of a job, and whom it is told.
struct Following {
    name: String,
    /// The job and its place, as they have to be typed.
    typed: String,
    uid: Option<String>,
    progress: Progress,
    status: Option<ArrayJobStatus>,
    told: Value,
    /// Whether the cluster was out of sight.
    lost: bool,
}

impl Following {
    fn new(name: &str, place: &Where, found: &Found, progress: Progress) -> Self {
        let typed = typed(name, place);
        Self { name: name.to_owned(), typed, uid: found.metadata.uid.clone(), progress, status: None, told: Value::Null, lost: false }
    }

    async fn follow(&mut self, cluster: &Cluster) -> Result<(), Error> {
        let config = watcher::Config::default().fields(&format!("metadata.name={}", self.name)).timeout(WATCH_SECONDS);
        let mut events = Box::pin(watcher(job::api(cluster), config).default_backoff());
        let mut there = false;
        // The stream ends only with an error that is handed on.
        while let Some(event) = events.next().await {
            let verdict = match event {
                Ok(Event::Init) => {
                    there = false;
                    None
                }
                Ok(Event::InitApply(job) | Event::Apply(job)) => {
                    there = true;
                    self.look(job)
                }
                // It went while nobody looked.
                Ok(Event::InitDone) if there => None,
                Ok(Event::InitDone | Event::Delete(_)) => Some(Err(self.deleted())),
                Err(error) => {
                    self.out_of_sight(error)?;
                    continue;
                }
            };
            if std::mem::take(&mut self.lost) {
                self.progress.say("the cluster answers again");
            }
            if let Some(verdict) = verdict {
                return verdict;
            }
        }
        Err(Error::Refused("the watch ended".into()))
    }

    /// Tells what is new, and how it ended if it did.
    fn look(&mut self, job: Found) -> Option<Result<(), Error>> {
        if job.metadata.uid != self.uid {
            return Some(Err(self.deleted()));
        }
        let status = job.status.unwrap_or_default();
        for text in news::news(self.status.as_ref(), &status) {
            self.progress.say(&text);
        }
        let told = json!({"status": news::summary(&status)});
        if told != self.told {
            self.progress.object(&told);
            self.told = told;
        }
        let phases: Vec<PhaseReport> = status.phases.iter().map(phase).collect();
        self.progress.update(&phases);
        let verdict = news::verdict(&status);
        if verdict.is_some() {
            self.progress.end();
        }
        if verdict.is_some() && status.endpoint.is_some() {
            let (program, job) = (program(), &self.typed);
            self.progress.say(&format!("its arrays: {program} open {job} --browser, or {program} get {job} 'raw_mean_frame' -o mean.png"));
        }
        self.status = Some(status);
        verdict.map(|verdict| verdict.map_err(|(reason, message)| Error::Job(Failure { reason, message })))
    }

    fn deleted(&self) -> Error {
        Error::Refused(format!("ArrayJob '{}' was deleted before it was finished", self.name))
    }

    /// A watch that broke is begun again by itself, unless that would be refused again.
    fn out_of_sight(&mut self, error: WatchError) -> Result<(), Error> {
        let doing = format!("watch ArrayJob {}", self.name);
        let role = format!("apiGroups [arrayjob.dev], resources [arrayjobs], verbs [{}]", job::VERBS);
        match error {
            WatchError::InitialListFailed(kube::Error::Api(status)) | WatchError::WatchStartFailed(kube::Error::Api(status))
                if matches!(status.code, 401 | 403 | 404) =>
            {
                return Err(explain(&doing, &role, kube::Error::Api(status)));
            }
            WatchError::InitialListFailed(_) | WatchError::NoResourceVersion if !self.lost => {
                self.lost = true;
                self.progress.say(&format!("the cluster does not answer ({error}); the job goes on, asking again"));
            }
            // Watches end all the time: the next one goes on where this one stopped.
            other => tracing::debug!(error = %other, "the watch is begun again"),
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

/// A time as people write it: 90, 90s, 10m, 1h.
fn duration(text: &str) -> Result<Duration, Error> {
    let wrong = || Error::Option { option: "--timeout", text: text.to_owned(), rule: "write a time as in 90s, 10m or 1h" };
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
