//! A node that leaves: other nodes take over the work of its servers, and the servers of other nodes keep their data.

use crate::common::{SERVERS, SLOW_MOVIE, STATUS_TIMEOUT, TIMEOUT, losses, slow_job, slow_slices};
use std::collections::BTreeMap;
use std::time::Instant;
use tests::cluster::node::{self, Drained, Paused};
use tests::cluster::{Applied, Pod, Stage, kubectl, seconds, until};
use tests::fault_rows::record;

/// A job in Load, and a node with servers of the job, but without the operator and the movie.
struct Running<'a> {
    job: Applied<'a>,
    before: BTreeMap<usize, Pod>,
    node: String,
}

impl<'a> Running<'a> {
    /// Starts the slow job. `None`, with a message, if the nodes do not permit the test.
    fn start(stage: &'a Stage, test: &str) -> Option<Self> {
        let safe = stage.operator.pods().remove(0).node;
        let source = stage.movie_on(&SLOW_MOVIE, Some(&safe));
        let job = stage.start("moving", &slow_job(&source.url));
        let before = job.until_started(SERVERS, STATUS_TIMEOUT);
        let Some((lost, pod)) = before.iter().find(|(_, pod)| pod.node != safe) else {
            node::skip(test, "all servers are on one node");
            return None;
        };
        job.until_in_phase("Load", *lost, TIMEOUT);
        let node = pod.node.clone();
        Some(Self { job, before, node })
    }

    /// The number of servers on the node.
    fn at_risk(&self) -> u64 {
        self.before.values().filter(|pod| pod.node == self.node).count() as u64
    }

    /// Checks the results, and that only servers of the node were replaced.
    fn must_have_moved(&self, now: &BTreeMap<usize, Pod>) {
        slow_slices().must_equal(&self.job.reader());
        for (server, now) in now {
            assert_ne!(now.node, self.node, "server {server} is still on the lost node");
            assert!(self.before[server].node == self.node || now.uid == self.before[server].uid, "server {server} was replaced");
        }
    }
}

/// As [`Running::start`], if nodes are local containers, which a test can pause.
fn start_on_local_nodes<'a>(stage: &'a Stage, test: &str) -> Option<Running<'a>> {
    if stage.operator.pods().iter().all(|pod| node::is_local(&pod.node)) {
        return Running::start(stage, test);
    }
    node::skip(test, "nodes are not local containers");
    None
}

fn until_node_is_ready(node: &str) {
    kubectl(["wait", "--for=condition=Ready", &format!("node/{node}"), "--timeout=120s"]);
}

#[test]
fn a_job_survives_the_loss_of_a_node() {
    let stage = Stage::new("node-gone").expecting(&["server lost", "retried"]);
    let Some(running) = start_on_local_nodes(&stage, "a_job_survives_the_loss_of_a_node") else { return stage.end() };
    let fault = Instant::now();
    let paused = Paused::new(&running.node);
    running.job.must_complete(seconds(150));
    let recovery = fault.elapsed();
    running.must_have_moved(&running.job.pods());
    record("A node does not respond", "`docker pause` of the node in Load", "same bytes; the job is complete", recovery);
    drop(paused);
    until_node_is_ready(&running.node);
    stage.end();
}

#[test]
fn servers_of_a_node_that_is_back_are_not_part_of_the_job() {
    let stage = Stage::new("node-back").expecting(&["server lost", "retried"]);
    let Some(running) = start_on_local_nodes(&stage, "servers_of_a_node_that_is_back_are_not_part_of_the_job") else { return stage.end() };
    let fault = Instant::now();
    let paused = Paused::new(&running.node);
    let replaced = running.at_risk();
    until("the servers of the node are lost", seconds(60), || {
        let now = losses(&running.job);
        if now[2] == replaced { Ok(()) } else { Err(format!("{now:?}")) }
    });
    // The processes of the lost servers continue, with their data and connections.
    drop(paused);
    running.job.must_complete(seconds(150));
    let recovery = fault.elapsed();
    slow_slices().must_equal(&running.job.reader());
    let now = running.job.until_ready(SERVERS, STATUS_TIMEOUT);
    for (server, now) in &now {
        let before = &running.before[server];
        assert_eq!(now.uid == before.uid, before.node != running.node, "server {server}: {before:?} became {now:?}");
    }
    assert_eq!(losses(&running.job), [0, replaced, replaced], "counted, uncounted and RESTARTS");
    let outcome = "same bytes, the old servers end; the job is complete";
    record(
        "A node does not respond, and is back with its pods",
        "`docker pause` in Load until its servers are replaced",
        outcome,
        recovery,
    );
    until_node_is_ready(&running.node);
    stage.end();
}

#[test]
fn a_drained_node_loses_only_its_servers() {
    let stage = Stage::new("drained").expecting(&["server lost", "retried"]);
    let Some(running) = Running::start(&stage, "a_drained_node_loses_only_its_servers") else { return stage.end() };
    let fault = Instant::now();
    let drained = Drained::new(&running.node);
    running.job.must_complete(TIMEOUT);
    let recovery = fault.elapsed();
    running.must_have_moved(&running.job.until_ready(SERVERS, STATUS_TIMEOUT));
    let moved = running.at_risk();
    assert_eq!(losses(&running.job), [0, moved, moved], "counted, uncounted and RESTARTS: {:#}", running.job.status());
    record("A node is drained", "`kubectl drain` in Load", "same bytes; the job is complete", recovery);
    drop(drained);
    stage.end();
}
