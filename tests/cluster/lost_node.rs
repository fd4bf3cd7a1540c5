//! A node that answers nobody any more: its servers' work is done elsewhere.

use crate::common::{PATIENCE, SERVERS, SLOW_MOVIE, SOON, slow_job, slow_slices};
use tests::cluster::node::{self, Paused};
use tests::cluster::{Stage, kubectl, seconds};

#[test]
fn a_job_survives_the_node_of_one_of_its_servers() {
    const NAME: &str = "a_job_survives_the_node_of_one_of_its_servers";
    let stage = Stage::new("node-gone").expecting(&["server lost", "retried"]);
    // What is not under test here stays away from the node that goes.
    let safe = stage.operator.pods().remove(0).node;
    if !node::is_here(&safe) {
        node::skip(NAME, "nodes are no containers of this machine");
        return stage.end();
    }
    let source = stage.movie_on(&SLOW_MOVIE, Some(&safe));
    let job = stage.start("moving", &slow_job(&source.url));
    let pods = job.until_started(SERVERS, SOON);
    let Some((lost, pod)) = pods.iter().find(|(_, pod)| pod.node != safe) else {
        node::skip(NAME, "there is one node alone");
        return stage.end();
    };
    job.until_at("Load", *lost, PATIENCE);
    let paused = Paused::new(&pod.node);
    job.must_complete(seconds(150));
    slow_slices().must_equal(&job.reader());
    for (server, now) in job.pods() {
        assert_ne!(now.node, pod.node, "server {server} is on the lost node");
        assert!(pods[&server].node == pod.node || now.uid == pods[&server].uid, "server {server} was disturbed");
    }
    drop(paused);
    kubectl(["wait", "--for=condition=Ready", &format!("node/{}", pod.node), "--timeout=120s"]);
    stage.end();
}
