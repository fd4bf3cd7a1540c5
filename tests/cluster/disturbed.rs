//! A cluster that is disturbed while a job runs: a drained node, an API server that is away, a deleted namespace.

use crate::common::{SERVERS, SLOW_MOVIE, STATUS_TIMEOUT, TIMEOUT, losses, slow_job, slow_slices};
use std::time::Instant;
use tests::cluster::node::{self, Drained, StoppedApiServer};
use tests::cluster::{Stage, seconds, until};
use tests::fault_rows::record;

#[test]
fn a_drained_node_loses_only_its_servers() {
    const NAME: &str = "a_drained_node_loses_only_its_servers";
    let stage = Stage::new("drained").expecting(&["server lost", "retried"]);
    // The operator and the movie stay on another node than the drained node.
    let safe = stage.operator.pods().remove(0).node;
    let source = stage.movie_on(&SLOW_MOVIE, Some(&safe));
    let job = stage.start("drained", &slow_job(&source.url));
    let before = job.until_started(SERVERS, STATUS_TIMEOUT);
    let Some((lost, pod)) = before.iter().find(|(_, pod)| pod.node != safe) else {
        node::skip(NAME, "all servers are on one node");
        return stage.end();
    };
    job.until_in_phase("Load", *lost, TIMEOUT);
    let fault = Instant::now();
    let drained = Drained::new(&pod.node);
    job.must_complete(TIMEOUT);
    let recovery = fault.elapsed();
    slow_slices().must_equal(&job.reader());
    let now = job.until_ready(SERVERS, STATUS_TIMEOUT);
    for (server, now) in &now {
        assert_ne!(now.node, pod.node, "server {server} is still on the drained node");
        assert!(before[server].node == pod.node || now.uid == before[server].uid, "server {server} was replaced");
    }
    let moved = before.values().filter(|before| before.node == pod.node).count() as u64;
    assert_eq!(losses(&job), [0, moved, moved], "counted, uncounted and RESTARTS: {:#}", job.status());
    record("A node is drained", "`kubectl drain` in Load", "same bytes; the job is complete", recovery);
    drop(drained);
    stage.end();
}

#[test]
fn a_job_continues_while_the_api_server_is_away_for_a_minute() {
    const NAME: &str = "a_job_continues_while_the_api_server_is_away_for_a_minute";
    // The operator may lose its Lease, and then starts again.
    let stage = Stage::new("no-api").expecting(&["retried", "timed out", "Lease", "lease", "watch", "error"]);
    let source = stage.movie(&SLOW_MOVIE);
    let job = stage.start("alone", &slow_job(&source.url));
    let pods = job.until_started(SERVERS, STATUS_TIMEOUT);
    job.until_in_phase("Load", 0, TIMEOUT);
    stage.operator.allow_restart();
    let Some(stopped) = StoppedApiServer::new() else {
        node::skip(NAME, "the node of the API server is not a local container");
        return stage.end();
    };
    // The duration of the fault.
    std::thread::sleep(seconds(60));
    drop(stopped);
    let back = Instant::now();
    until("the API server responds", seconds(60), || if job.object().is_null() { Err(String::new()) } else { Ok(()) });
    job.must_complete(TIMEOUT);
    let recovery = back.elapsed();
    assert!(recovery < seconds(90), "the job ended {recovery:?} after the return of the API server");
    slow_slices().must_equal(&job.reader());
    slow_slices().must_be_loaded_once(&job, SERVERS);
    assert_eq!((job.pods(), losses(&job)), (pods, [0, 0, 0]), "pods and losses");
    stage.operator.must_become_ready();
    let injected = "SIGSTOP to the API server for 60 s; recovered after its return";
    record("The API server is away", injected, "same bytes, no server replaced; the job is complete", recovery);
    stage.end();
}

#[test]
fn a_namespace_deleted_in_load_leaves_nothing() {
    let stage = Stage::new("no-namespace").expecting(&["server lost", "retried", "being terminated"]);
    let source = stage.movie(&SLOW_MOVIE);
    let job = stage.start("short-lived", &slow_job(&source.url));
    job.until_started(SERVERS, STATUS_TIMEOUT);
    job.until_in_phase("Load", 0, TIMEOUT);
    let deleted = Instant::now();
    stage.delete_namespace();
    until("the namespace is deleted", seconds(60), || {
        let left = stage.namespace_object();
        if left.is_null() { Ok(()) } else { Err(format!("{:#}", left["status"])) }
    });
    record("The namespace is deleted", "`kubectl delete namespace` in Load", "no object is left", deleted.elapsed());
    stage.end();
}
