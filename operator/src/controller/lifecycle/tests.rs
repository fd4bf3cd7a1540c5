use super::*;
use crate::manifest::parse;
use crate::report::conditions::{Facts, conditions};
use crds::ArrayJobStatus;

/// Seconds after the start.
fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

/// A new job with these fields in its spec.
fn new(spec: &str) -> ArrayJob {
    let text = "apiVersion: arrayjob.dev/v1alpha1\nkind: ArrayJob\nmetadata: {name: j}\nspec: {source: {images: {urlTemplate: 'http://h/{index}', count: 9}}";
    parse(&format!("{text}{}{spec}}}", if spec.is_empty() { "" } else { ", " })).unwrap()
}

fn working(spec: &str) -> ArrayJob {
    let status = ArrayJobStatus { start_time: Some(at(0).to_string()), ..ArrayJobStatus::default() };
    ArrayJob { status: Some(status), ..new(spec) }
}

/// A job that ended 100 seconds after its start.
fn ended_as(spec: &str, end: Result<String, Failure>) -> ArrayJob {
    let mut job = working(spec);
    let status = job.status.get_or_insert_default();
    status.completion_time = Some(at(100).to_string());
    status.conditions = conditions(&[], &Facts { ended: Some(end), ..Facts::default() }, Some(1), &at(100).to_string());
    job
}

fn complete(spec: &str) -> ArrayJob {
    ended_as(spec, Ok("done".into()))
}

fn failed(spec: &str) -> ArrayJob {
    ended_as(spec, Err(Failure { reason: "SourceUnavailable".into(), message: "m".into() }))
}

#[test]
fn every_job_has_one_state() {
    let cases = [
        ("new", new(""), JobState::New),
        ("new, its deadline starts later", new("activeDeadlineSeconds: 1"), JobState::New),
        ("working", working(""), JobState::Working),
        ("working within its deadline", working("activeDeadlineSeconds: 201"), JobState::Working),
        ("complete", complete(""), JobState::Complete),
        ("complete within its deadline", complete("activeDeadlineSeconds: 150"), JobState::Complete),
        ("complete, not expired", complete("ttlSecondsAfterFinished: 101"), JobState::Complete),
        ("complete, expired", complete("ttlSecondsAfterFinished: 100"), JobState::Expired),
        ("complete, expires at once", complete("ttlSecondsAfterFinished: 0"), JobState::Expired),
        ("failed", failed(""), JobState::Failed),
        ("failed, not expired", failed("ttlSecondsAfterFinished: 1000"), JobState::Failed),
        ("failed, expires at once", failed("ttlSecondsAfterFinished: 0"), JobState::Expired),
        ("suspended from the start", new("suspend: true"), JobState::Suspended),
        ("suspended while working", working("suspend: true"), JobState::Suspended),
        ("suspended after its deadline", working("suspend: true, activeDeadlineSeconds: 1"), JobState::Suspended),
        ("suspended when complete: servers and results are deleted", complete("suspend: true"), JobState::Suspended),
        ("suspended when expired", complete("suspend: true, ttlSecondsAfterFinished: 0"), JobState::Expired),
        ("suspended when failed: the servers are stopped in any case", failed("suspend: true"), JobState::Failed),
        ("not suspended", new("suspend: false"), JobState::New),
    ];
    for (name, job, expected) in cases {
        assert_eq!(job_state(&job, at(200)), expected, "{name}");
        let mut deleted = job;
        deleted.metadata.deletion_timestamp = Some(serde_json::from_value("2026-01-01T00:00:00Z".into()).unwrap());
        assert_eq!(job_state(&deleted, at(200)), JobState::Deleted, "{name}, deleted");
    }
}

#[test]
fn a_job_after_its_deadline_fails_with_the_name_of_the_field() {
    let JobState::DeadlineExceeded(failure) = job_state(&working("activeDeadlineSeconds: 200"), at(200)) else {
        panic!("the deadline has passed")
    };
    assert_eq!(failure.reason, "DeadlineExceeded");
    assert!(
        failure.message.starts_with("the job was not complete 200 s after its start; raise activeDeadlineSeconds"),
        "{}",
        failure.message
    );
}

#[test]
fn the_state_survives_serialization() {
    let written = serde_json::to_string(&failed("ttlSecondsAfterFinished: 1000")).unwrap();
    let read: ArrayJob = serde_json::from_str(&written).unwrap();
    assert_eq!((job_state(&read, at(200)), job_state(&read, at(2000))), (JobState::Failed, JobState::Expired));
}

#[test]
fn the_next_deadline_depends_on_the_state() {
    let seconds = |job: &ArrayJob, now| next_deadline(job, at(now)).map(|deadline| deadline.as_secs());
    assert_eq!(seconds(&new("activeDeadlineSeconds: 10"), 0), None, "a new job has no deadline yet");
    assert_eq!(seconds(&working(""), 0), None);
    assert_eq!(seconds(&working("activeDeadlineSeconds: 100, startDeadlineSeconds: 30"), 10), Some(20));
    assert_eq!(seconds(&working("activeDeadlineSeconds: 100"), 10), Some(90));
    assert_eq!(seconds(&complete("activeDeadlineSeconds: 100"), 110), None, "an ended job has no deadline");
    assert_eq!(seconds(&complete("ttlSecondsAfterFinished: 50"), 110), Some(40));
    assert_eq!(seconds(&complete("ttlSecondsAfterFinished: 50"), 500), None, "the expiry has passed");
}

#[test]
fn servers_that_miss_the_start_deadline_fail_the_job_with_the_obstacle() {
    let job = working("startDeadlineSeconds: 30");
    let obstacle = Failure { reason: "Unschedulable".into(), message: "no node can run j-0".into() };
    assert_eq!(start_overdue(&job, Some(&obstacle), at(29)), None);
    assert_eq!(start_overdue(&working(""), Some(&obstacle), at(1_000_000)), None, "no deadline, no failure");
    let failure = start_overdue(&job, Some(&obstacle), at(30)).unwrap();
    assert_eq!(failure.reason, "StartDeadlineExceeded");
    assert_eq!(failure.message, "not every server was up 30 s after the start (Unschedulable: no node can run j-0)");
    assert!(start_overdue(&job, None, at(30)).unwrap().message.ends_with("(the servers were still starting)"));
}

#[test]
fn a_deadline_beyond_the_range_of_time_is_ignored() {
    let far = format!("activeDeadlineSeconds: {0}, startDeadlineSeconds: {0}, ttlSecondsAfterFinished: {0}", u64::MAX);
    assert_eq!(job_state(&working(&far), at(200)), JobState::Working);
    assert_eq!(job_state(&complete(&far), at(200)), JobState::Complete);
    assert_eq!((next_deadline(&working(&far), at(0)), start_overdue(&working(&far), None, at(200))), (None, None));
}
