//! A node that no longer responds: other nodes take over the work of its servers.

use crate::common::{SERVERS, SLOW_MOVIE, STATUS_TIMEOUT, TIMEOUT, slow_job, slow_slices};
use std::time::Instant;
use tests::cluster::node::{self, Paused};
use tests::cluster::{Stage, kubectl, seconds};
use tests::fault_rows::record;

#[test]
fn a_job_survives_the_loss_of_a_node() {
    const NAME: &str = "a_job_survives_the_loss_of_a_node";
    let stage = Stage::new("node-gone").expecting(&["server lost", "retried"]);
    // The operator and the movie stay on another node than the paused node.
    let safe = stage.operator.pods().remove(0).node;
    if !node::is_local(&safe) {
        node::skip(NAME, "nodes are not local containers");
        return stage.end();
    }
    let source = stage.movie_on(&SLOW_MOVIE, Some(&safe));
    let job = stage.start("moving", &slow_job(&source.url));
    let pods = job.until_started(SERVERS, STATUS_TIMEOUT);
    let Some((lost, pod)) = pods.iter().find(|(_, pod)| pod.node != safe) else {
        node::skip(NAME, "all servers are on one node");
        return stage.end();
    };
    job.until_in_phase("Load", *lost, TIMEOUT);
    let fault = Instant::now();
    let paused = Paused::new(&pod.node);
    job.must_complete(seconds(150));
    let recovery = fault.elapsed();
    slow_slices().must_equal(&job.reader());
    record("A node does not respond", "`docker pause` of the node in Load", "same bytes; the job is complete", recovery);
    for (server, now) in job.pods() {
        assert_ne!(now.node, pod.node, "server {server} is still on the lost node");
        assert!(pods[&server].node == pod.node || now.uid == pods[&server].uid, "server {server} was replaced");
    }
    drop(paused);
    kubectl(["wait", "--for=condition=Ready", &format!("node/{}", pod.node), "--timeout=120s"]);
    stage.end();
}
