//! Where an ArrayJob stands, from its spec, its status and the time: pure, so that a restarted operator goes on where it was.

use crate::report::conditions::ended;
use api::phase::{Failure, reason};
use crds::ArrayJob;
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

/// What is to be done with an ArrayJob now.
#[derive(Clone, Debug, PartialEq)]
pub enum Stage {
    /// It is being deleted; what it owns goes with it.
    Deleted,
    /// It ended longer ago than `ttlSecondsAfterFinished`: its servers go.
    Expired,
    /// It failed: what still runs is stopped; pods that ended stay for their logs.
    Failed,
    /// Its servers are stopped, and it begins again when `suspend` is false.
    Suspended,
    /// It took longer than `activeDeadlineSeconds`.
    Late(Failure),
    /// It has not been planned.
    New,
    /// Its servers work.
    Working,
    /// Its servers keep results readable.
    Complete,
}

/// Where it stands at `now`.
pub fn stage(job: &ArrayJob, now: Timestamp) -> Stage {
    if job.metadata.deletion_timestamp.is_some() {
        return Stage::Deleted;
    }
    let status = job.status.clone().unwrap_or_default();
    if let Some(end) = ended(&status.conditions) {
        return match (expires(job), end) {
            (Some(at), _) if at <= now => Stage::Expired,
            (_, Err(_)) => Stage::Failed,
            (_, Ok(_)) if job.spec.suspend == Some(true) => Stage::Suspended,
            (_, Ok(_)) => Stage::Complete,
        };
    }
    if job.spec.suspend == Some(true) {
        return Stage::Suspended;
    }
    match due(job, job.spec.active_deadline_seconds) {
        Some(at) if at <= now => Stage::Late(Failure {
            reason: reason::DEADLINE_EXCEEDED.into(),
            message: format!(
                "not done {} s after its start; raise activeDeadlineSeconds, or see in status.phases what is slow",
                job.spec.active_deadline_seconds.unwrap_or_default()
            ),
        }),
        _ if status.start_time.is_none() => Stage::New,
        _ => Stage::Working,
    }
}

/// When the next thing happens by the clock alone.
pub fn next_alarm(job: &ArrayJob, now: Timestamp) -> Option<Duration> {
    let status = job.status.as_ref()?;
    let at = match ended(&status.conditions) {
        Some(_) => expires(job)?,
        None => [due(job, job.spec.active_deadline_seconds), due(job, job.spec.start_deadline_seconds)].into_iter().flatten().min()?,
    };
    Duration::try_from(at.duration_since(now)).ok()
}

/// Why the job may not wait any longer for its servers to start, when it may not; `trouble` is what keeps them.
pub fn start_overdue(job: &ArrayJob, trouble: Option<&Failure>, now: Timestamp) -> Option<Failure> {
    due(job, job.spec.start_deadline_seconds).filter(|&at| at <= now)?;
    let seconds = job.spec.start_deadline_seconds.unwrap_or_default();
    let why = trouble.map_or_else(|| "they were still starting".to_owned(), |failure| format!("{}: {}", failure.reason, failure.message));
    Some(Failure {
        reason: reason::START_DEADLINE_EXCEEDED.into(),
        message: format!("not every server was up {seconds} s after the start ({why})"),
    })
}

/// So many seconds after the start.
fn due(job: &ArrayJob, seconds: Option<u64>) -> Option<Timestamp> {
    let started: Timestamp = job.status.as_ref()?.start_time.as_ref()?.parse().ok()?;
    later(started, seconds?)
}

/// When a finished job's servers go.
fn expires(job: &ArrayJob) -> Option<Timestamp> {
    let completed: Timestamp = job.status.as_ref()?.completion_time.as_ref()?.parse().ok()?;
    later(completed, job.spec.ttl_seconds_after_finished?)
}

fn later(from: Timestamp, seconds: u64) -> Option<Timestamp> {
    from.checked_add(SignedDuration::from_secs(i64::try_from(seconds).ok()?)).ok()
}

#[cfg(test)]
mod tests;
