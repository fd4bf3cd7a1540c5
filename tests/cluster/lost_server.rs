//! A pod lost at any moment costs its own share alone: the others keep what they have, and the bytes are the same.

use crate::common::{PATIENCE, SERVERS, SLOW_MOVIE, SOON, losses, slow_job, slow_slices};
use std::collections::BTreeMap;
use tests::cluster::HowLost::{Deleted, Forced};
use tests::cluster::{Applied, Pod, Stage, node, until};

/// The job ends as if nothing had happened, with another server in the place of the lost one.
fn check_end(job: &Applied<'_>, before: &BTreeMap<usize, Pod>, lost: usize, expected: [u64; 3]) {
    job.must_complete(PATIENCE);
    let now = until(&format!("server {lost} is replaced"), PATIENCE, || {
        let now = job.until_up(SERVERS, SOON);
        if now[&lost].uid == before[&lost].uid { Err(format!("{now:?}")) } else { Ok(now) }
    });
    for survivor in (0..SERVERS).filter(|server| *server != lost) {
        assert_eq!(now[&survivor], before[&survivor], "server {survivor} was disturbed");
    }
    slow_slices().must_equal(&job.reader());
    slow_slices().must_be_loaded_once(job, SERVERS);
    assert_eq!(losses(job), expected, "counted, uncounted and RESTARTS: {:#}", job.status());
    let events = job.events();
    let told: u64 = events.iter().filter(|(reason, _)| reason == "ServerLost").map(|(_, count)| count).sum();
    assert_eq!(told, expected[2], "{events:?}");
}

fn stage(name: &str) -> Stage {
    Stage::new(name).expecting(&["server lost"])
}

/// Loses a pod while that phase is being worked on.
fn check(phase: &str, lost: usize) {
    let stage = stage(&format!("lost-in-{}", phase.to_lowercase()));
    let source = stage.movie(&SLOW_MOVIE);
    let job = stage.start("losing", &slow_job(&source.url));
    let before = job.until_started(SERVERS, SOON);
    job.until_at(phase, lost, PATIENCE);
    job.lose(lost, Forced);
    check_end(&job, &before, lost, [0, 1, 1]);
    stage.end();
}

#[test]
fn a_pod_lost_in_load() {
    check("Load", 1);
}

#[test]
fn a_pod_lost_in_recenter() {
    check("Recenter", 2);
}

#[test]
fn a_pod_lost_in_rechunk() {
    check("Rechunk", 0);
}

#[test]
fn a_pod_lost_in_fft() {
    check("Fft", 1);
}

#[test]
fn a_pod_that_is_asked_to_go_in_load_and_one_lost_after_the_end() {
    let stage = stage("asked-to-go");
    let source = stage.movie(&SLOW_MOVIE);
    let job = stage.start("losing", &slow_job(&source.url));
    let before = job.until_started(SERVERS, SOON);
    job.until_at("Load", 2, PATIENCE);
    job.lose(2, Deleted);
    check_end(&job, &before, 2, [0, 1, 1]);

    let completed = job.status()["completionTime"].clone();
    let before = job.until_started(SERVERS, SOON);
    job.lose(0, Forced);
    until("a lost server is told of", SOON, || {
        let ready = job.condition("Ready");
        if ready.is { Err(format!("{ready:?}")) } else { Ok(()) }
    });
    assert!(job.condition("Complete").is, "what has ended does not stay ended");
    check_end(&job, &before, 0, [0, 2, 2]);
    assert_eq!(job.status()["completionTime"], completed);
    stage.end();
}

#[test]
fn a_server_killed_in_its_node_counts_as_its_own_failure() {
    let stage = stage("killed");
    let source = stage.movie(&SLOW_MOVIE);
    let job = stage.start("losing", &slow_job(&source.url));
    let before = job.until_started(SERVERS, SOON);
    if !node::is_here(&job.pods()[&1].node) {
        node::skip("a_server_killed_in_its_node_counts_as_its_own_failure", "its node is no container of this machine");
        return stage.end();
    }
    job.until_at("Load", 1, PATIENCE);
    job.kill(1);
    check_end(&job, &before, 1, [1, 0, 1]);
    let last = job.status()["failures"]["last"].clone();
    assert_eq!((&last["server"], &last["exitCode"]), (&"losing-1".into(), &137.into()), "{last}");
    stage.end();
}
