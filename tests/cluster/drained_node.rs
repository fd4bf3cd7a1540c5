//! A node that is drained while a job runs.

use crate::common::{SERVERS, SLOW_MOVIE, STATUS_TIMEOUT, TIMEOUT, losses, slow_job, slow_slices};
use std::time::Instant;
use tests::cluster::Stage;
use tests::cluster::node::{self, Drained};
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
