//! A pod lost at any moment: only its share is computed again, the other pods keep their data, and the results are identical.

use crate::common::{SERVERS, SLOW_MOVIE, STATUS_TIMEOUT, TIMEOUT, losses, slow_job, slow_slices};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Instant;
use tests::cluster::Deletion::{Forced, Graceful};
use tests::cluster::{Applied, Pod, Stage, node, until};
use tests::fault_rows::record;

/// Checks that the job completes with equal results, and that a new server replaces the lost server.
fn check_end(job: &Applied<'_>, before: &BTreeMap<usize, Pod>, lost: usize, expected: [u64; 3]) -> Instant {
    job.must_complete(TIMEOUT);
    let now = until(&format!("server {lost} is replaced"), TIMEOUT, || {
        let now = job.until_ready(SERVERS, STATUS_TIMEOUT);
        if now[&lost].uid == before[&lost].uid { Err(format!("{now:?}")) } else { Ok(now) }
    });
    for survivor in (0..SERVERS).filter(|server| *server != lost) {
        assert_eq!(now[&survivor], before[&survivor], "surviving server {survivor}");
    }
    let recovered = Instant::now();
    slow_slices().must_equal(&job.reader());
    slow_slices().must_be_loaded_once(job, SERVERS);
    assert_eq!(losses(job), expected, "counted, uncounted and RESTARTS: {:#}", job.status());
    let events = job.events();
    let lost_events: u64 = events.iter().filter(|(reason, _)| reason == "ServerLost").map(|(_, count)| count).sum();
    assert_eq!(lost_events, expected[2], "{events:?}");
    recovered
}

fn stage(name: &str) -> Stage {
    Stage::new(name).expecting(&["server lost"])
}

/// Deletes a pod during the phase.
fn check(phase: &str, lost: usize) {
    let stage = stage(&format!("lost-in-{}", phase.to_lowercase()));
    let source = stage.movie(&SLOW_MOVIE);
    let job = stage.start("losing", &slow_job(&source.url));
    let before = job.until_started(SERVERS, STATUS_TIMEOUT);
    job.until_in_phase(phase, lost, TIMEOUT);
    let fault = Instant::now();
    job.delete_pod(lost, Forced);
    let recovered = check_end(&job, &before, lost, [0, 1, 1]);
    let injected = format!("`kubectl delete pod --force` in {phase}");
    record("A pod is deleted", &injected, "same bytes; the job is complete and all servers are ready", recovered - fault);
    stage.end();
}

#[test]
fn a_pod_lost_in_load_recomputes_only_its_share() {
    check("Load", 1);
}

#[test]
fn a_pod_lost_in_recenter_recomputes_only_its_share() {
    check("Recenter", 2);
}

#[test]
fn a_pod_lost_in_rechunk_recomputes_only_its_share() {
    check("Rechunk", 0);
}

#[test]
fn a_pod_lost_in_fft_recomputes_only_its_share() {
    check("Fft", 1);
}

#[test]
fn pods_deleted_in_load_and_after_completion_are_replaced() {
    let stage = stage("asked-to-go");
    let source = stage.movie(&SLOW_MOVIE);
    let job = stage.start("losing", &slow_job(&source.url));
    let before = job.until_started(SERVERS, STATUS_TIMEOUT);
    job.until_in_phase("Load", 2, TIMEOUT);
    job.delete_pod(2, Graceful);
    check_end(&job, &before, 2, [0, 1, 1]);

    let completed = job.status()["completionTime"].clone();
    let before = job.until_started(SERVERS, STATUS_TIMEOUT);
    job.delete_pod(0, Forced);
    until("the job is not ready", STATUS_TIMEOUT, || {
        let ready = job.condition("Ready");
        if ready.is { Err(format!("{ready:?}")) } else { Ok(()) }
    });
    assert!(job.condition("Complete").is, "a complete job stays complete");
    check_end(&job, &before, 0, [0, 2, 2]);
    assert_eq!(job.status()["completionTime"], completed);
    stage.end();
}

/// Ends the container of server 1 in Load. Checks that the loss counts; returns `failures.last`. `row` has the fault, how it is injected and
/// what happens. `None` if nodes are not local containers.
fn check_killed(test: &str, stage: &Stage, kill: impl Fn(&Applied<'_>), row: [&str; 3]) -> Option<Value> {
    let source = stage.movie(&SLOW_MOVIE);
    let job = stage.start("losing", &slow_job(&source.url));
    let before = job.until_started(SERVERS, STATUS_TIMEOUT);
    if !node::is_local(&job.pods()[&1].node) {
        node::skip(test, "the node is not a local container");
        return None;
    }
    job.until_in_phase("Load", 1, TIMEOUT);
    let fault = Instant::now();
    kill(&job);
    let recovered = check_end(&job, &before, 1, [1, 0, 1]);
    let [name, injected, outcome] = row;
    record(name, injected, outcome, recovered - fault);
    let last = job.status()["failures"]["last"].clone();
    assert_eq!(last["server"], "losing-1", "{last}");
    Some(last)
}

#[test]
fn a_killed_server_process_counts_as_a_failure() {
    let stage = stage("killed");
    let outcome = "same bytes; the job is complete and all servers are ready";
    let row = ["A server process ends in its container", "SIGKILL in Load", outcome];
    if let Some(last) = check_killed("a_killed_server_process_counts_as_a_failure", &stage, |job| job.kill(1), row) {
        assert_eq!(last["exitCode"], 137, "{last}");
    }
    stage.end();
}

#[test]
fn a_server_killed_for_lack_of_memory_is_replaced_with_the_reason() {
    const NAME: &str = "a_server_killed_for_lack_of_memory_is_replaced_with_the_reason";
    let stage = stage("no-memory");
    let outcome = "same bytes, `failures.last.reason` is `OOMKilled`; the job is complete and all servers are ready";
    let row = ["A server is killed for lack of memory", "memory limit of its container lowered in Load", outcome];
    if let Some(last) = check_killed(NAME, &stage, |job| job.limit_memory(1), row) {
        assert_eq!(last["reason"], "OOMKilled", "{last}");
    }
    stage.end();
}
