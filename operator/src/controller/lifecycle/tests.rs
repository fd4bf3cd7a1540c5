use super::*;
use crate::manifest::parse;
use crate::report::conditions::{Facts, conditions};
use crds::ArrayJobStatus;

/// Seconds after the start.
fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

/// A job with this in its spec, never seen before.
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
fn every_job_has_its_stage() {
    let cases = [
        ("new", new(""), Stage::New),
        ("new, its deadline cannot run", new("activeDeadlineSeconds: 1"), Stage::New),
        ("working", working(""), Stage::Working),
        ("working in time", working("activeDeadlineSeconds: 201"), Stage::Working),
        ("complete", complete(""), Stage::Complete),
        ("complete in time", complete("activeDeadlineSeconds: 150"), Stage::Complete),
        ("complete, kept for longer", complete("ttlSecondsAfterFinished: 101"), Stage::Complete),
        ("complete, kept long enough", complete("ttlSecondsAfterFinished: 100"), Stage::Expired),
        ("complete, not kept", complete("ttlSecondsAfterFinished: 0"), Stage::Expired),
        ("failed", failed(""), Stage::Failed),
        ("failed, kept for longer", failed("ttlSecondsAfterFinished: 1000"), Stage::Failed),
        ("failed, not kept", failed("ttlSecondsAfterFinished: 0"), Stage::Expired),
        ("suspended from the start", new("suspend: true"), Stage::Suspended),
        ("suspended at work", working("suspend: true"), Stage::Suspended),
        ("suspended past its deadline", working("suspend: true, activeDeadlineSeconds: 1"), Stage::Suspended),
        ("suspended when done: servers stop, results go", complete("suspend: true"), Stage::Suspended),
        ("suspended when expired", complete("suspend: true, ttlSecondsAfterFinished: 0"), Stage::Expired),
        ("suspended when failed: nothing to stop but what is stopped anyway", failed("suspend: true"), Stage::Failed),
        ("not suspended", new("suspend: false"), Stage::New),
    ];
    for (name, job, expected) in cases {
        assert_eq!(stage(&job, at(200)), expected, "{name}");
        let mut deleted = job;
        deleted.metadata.deletion_timestamp = Some(serde_json::from_value("2026-01-01T00:00:00Z".into()).unwrap());
        assert_eq!(stage(&deleted, at(200)), Stage::Deleted, "{name}, deleted");
    }
}

#[test]
fn a_late_job_fails_in_words_that_name_the_field() {
    let Stage::Late(failure) = stage(&working("activeDeadlineSeconds: 200"), at(200)) else { panic!("it is late") };
    assert_eq!(failure.reason, "DeadlineExceeded");
    assert!(failure.message.starts_with("not done 200 s after its start; raise activeDeadlineSeconds"), "{}", failure.message);
}

#[test]
fn where_a_job_stands_survives_the_operator() {
    let written = serde_json::to_string(&failed("ttlSecondsAfterFinished: 1000")).unwrap();
    let read: ArrayJob = serde_json::from_str(&written).unwrap();
    assert_eq!((stage(&read, at(200)), stage(&read, at(2000))), (Stage::Failed, Stage::Expired));
}

#[test]
fn the_next_alarm_is_the_next_deadline() {
    let seconds = |job: &ArrayJob, now| next_alarm(job, at(now)).map(|alarm| alarm.as_secs());
    assert_eq!(seconds(&new("activeDeadlineSeconds: 10"), 0), None, "nothing runs yet");
    assert_eq!(seconds(&working(""), 0), None);
    assert_eq!(seconds(&working("activeDeadlineSeconds: 100, startDeadlineSeconds: 30"), 10), Some(20));
    assert_eq!(seconds(&working("activeDeadlineSeconds: 100"), 10), Some(90));
    assert_eq!(seconds(&complete("activeDeadlineSeconds: 100"), 110), None, "the end needs no deadline");
    assert_eq!(seconds(&complete("ttlSecondsAfterFinished: 50"), 110), Some(40));
    assert_eq!(seconds(&complete("ttlSecondsAfterFinished: 50"), 500), None, "it has passed");
}

#[test]
fn servers_that_do_not_start_in_time_fail_the_job_with_what_keeps_them() {
    let job = working("startDeadlineSeconds: 30");
    let trouble = Failure { reason: "Unschedulable".into(), message: "no node takes j-0".into() };
    assert_eq!(start_overdue(&job, Some(&trouble), at(29)), None);
    assert_eq!(start_overdue(&working(""), Some(&trouble), at(1_000_000)), None, "no deadline, no end");
    let failure = start_overdue(&job, Some(&trouble), at(30)).unwrap();
    assert_eq!(failure.reason, "StartDeadlineExceeded");
    assert_eq!(failure.message, "not every server was up 30 s after the start (Unschedulable: no node takes j-0)");
    assert!(start_overdue(&job, None, at(30)).unwrap().message.ends_with("(they were still starting)"));
}

#[test]
fn numbers_beyond_all_time_are_no_deadline() {
    let far = format!("activeDeadlineSeconds: {0}, startDeadlineSeconds: {0}, ttlSecondsAfterFinished: {0}", u64::MAX);
    assert_eq!(stage(&working(&far), at(200)), Stage::Working);
    assert_eq!(stage(&complete(&far), at(200)), Stage::Complete);
    assert_eq!((next_alarm(&working(&far), at(0)), start_overdue(&working(&far), None, at(200))), (None, None));
}
