//! A cluster that is disturbed while a job runs: a drained node, a deleted namespace.

use crate::common::{SERVERS, SLOW_MOVIE, STATUS_TIMEOUT, TIMEOUT, losses, slow_job, slow_slices};
use std::time::Instant;
use tests::cluster::node::{self, Drained};
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
