//! The state of an ArrayJob, from its spec, its status and the time. Pure: a restarted operator finds the same state.

use crate::report::conditions::ended;
use api::phase::{Failure, reason};
use crds::ArrayJob;
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

/// The state of an ArrayJob. Each state has one action.
#[derive(Clone, Debug, PartialEq)]
pub enum JobState {
    /// The job is being deleted. The garbage collector deletes its objects.
    Deleted,
    /// `ttlSecondsAfterFinished` has passed since the end: the servers are deleted.
    Expired,
    /// The job failed: running servers are stopped; terminated pods keep their logs.
    Failed,
    /// The servers are stopped. The job restarts when `suspend` is false.
    Suspended,
    /// `activeDeadlineSeconds` has passed: the job fails.
    DeadlineExceeded(Failure),
    /// The job has no start time yet.
    New,
    /// The servers work.
    Working,
    /// The servers keep results readable.
    Complete,
}

/// The state at `now`.
pub fn job_state(job: &ArrayJob, now: Timestamp) -> JobState {
    if job.metadata.deletion_timestamp.is_some() {
        return JobState::Deleted;
    }
    let status = job.status.clone().unwrap_or_default();
    if let Some(end) = ended(&status.conditions) {
        return match (expiry(job), end) {
            (Some(at), _) if at <= now => JobState::Expired,
            (_, Err(_)) => JobState::Failed,
            (_, Ok(_)) if job.spec.suspend == Some(true) => JobState::Suspended,
            (_, Ok(_)) => JobState::Complete,
        };
    }
    if job.spec.suspend == Some(true) {
        return JobState::Suspended;
    }
    match after_start(job, job.spec.active_deadline_seconds) {
        Some(at) if at <= now => JobState::DeadlineExceeded(Failure {
            reason: reason::DEADLINE_EXCEEDED.into(),
            message: format!(
                "the job was not complete {} s after its start; raise activeDeadlineSeconds, or find the slow phase in status.phases",
                job.spec.active_deadline_seconds.unwrap_or_default()
            ),
        }),
        _ if status.start_time.is_none() => JobState::New,
        _ => JobState::Working,
    }
}

/// Time until the next deadline or expiry of the job.
pub fn next_deadline(job: &ArrayJob, now: Timestamp) -> Option<Duration> {
    let status = job.status.as_ref()?;
    let at = match ended(&status.conditions) {
        Some(_) => expiry(job)?,
        None => {
            let deadlines = [job.spec.active_deadline_seconds, job.spec.start_deadline_seconds];
            deadlines.into_iter().filter_map(|seconds| after_start(job, seconds)).min()?
        }
    };
    Duration::try_from(at.duration_since(now)).ok()
}

/// The failure of a job whose `startDeadlineSeconds` have passed. `stalled` is the reason why servers do not start.
pub fn start_overdue(job: &ArrayJob, stalled: Option<&Failure>, now: Timestamp) -> Option<Failure> {
    after_start(job, job.spec.start_deadline_seconds).filter(|&at| at <= now)?;
    let seconds = job.spec.start_deadline_seconds.unwrap_or_default();
    let why =
        stalled.map_or_else(|| "the servers were still starting".to_owned(), |failure| format!("{}: {}", failure.reason, failure.message));
    Some(Failure {
        reason: reason::START_DEADLINE_EXCEEDED.into(),
        message: format!("not every server was up {seconds} s after the start ({why})"),
    })
}

fn after_start(job: &ArrayJob, seconds: Option<u64>) -> Option<Timestamp> {
    let started: Timestamp = job.status.as_ref()?.start_time.as_ref()?.parse().ok()?;
    add_seconds(started, seconds?)
}

/// When the servers of an ended job are deleted.
fn expiry(job: &ArrayJob) -> Option<Timestamp> {
    let completed: Timestamp = job.status.as_ref()?.completion_time.as_ref()?.parse().ok()?;
    add_seconds(completed, job.spec.ttl_seconds_after_finished?)
}

fn add_seconds(from: Timestamp, seconds: u64) -> Option<Timestamp> {
    from.checked_add(SignedDuration::from_secs(i64::try_from(seconds).ok()?)).ok()
}

#[cfg(test)]
mod tests;
