//! Jobs that take too long.

use crate::api_server::Cluster;
use crate::operator::{Operator, container, ended, unschedulable};
use serde_json::json;
use std::time::Duration;
use tokio::time::sleep;

/// A job with pods, which an operator knew and left.
async fn left_behind(more: serde_json::Value) -> Cluster {
    let cluster = Cluster::default();
    cluster.apply(&more);
    let _operator = Operator::start(&cluster);
    cluster.until("launched", |cluster| cluster.status().servers.is_some_and(|servers| servers.launched == 3)).await;
    cluster
}

fn long_ago(cluster: &Cluster) {
    cluster.edit("arrayjobs", "stack", |job| job["status"]["startTime"] = json!("2026-01-01T00:00:00Z"));
}

#[tokio::test(start_paused = true)]
async fn a_job_that_is_not_done_in_time_fails_and_its_servers_stop() {
    let cluster = left_behind(json!({"activeDeadlineSeconds": 3600})).await;
    cluster.say("stack-0", container("Running", &json!({"waiting": {"reason": "PodInitializing"}})));
    cluster.say("stack-2", ended(1, "Error"));
    long_ago(&cluster);
    let _operator = Operator::start(&cluster);
    cluster.until_phase("Failed").await;
    assert_eq!(cluster.condition("Failed"), ("True".into(), "DeadlineExceeded".into()));
    assert!(cluster.message("Failed").contains("raise activeDeadlineSeconds"), "{}", cluster.message("Failed"));
    cluster.until("stopped", |cluster| cluster.names("pods") == ["stack-2"]).await;
}

#[tokio::test(start_paused = true)]
async fn servers_that_are_not_up_in_time_fail_the_job_with_what_keeps_them() {
    let cluster = left_behind(json!({"startDeadlineSeconds": 300})).await;
    cluster.say("stack-1", unschedulable("0/3 nodes are available"));
    long_ago(&cluster);
    let _operator = Operator::start(&cluster);
    cluster.until_phase("Failed").await;
    assert_eq!(cluster.condition("Failed"), ("True".into(), "StartDeadlineExceeded".into()));
    let message = cluster.message("Failed");
    assert!(message.contains("Unschedulable: no node takes stack-1: 0/3 nodes are available"), "{message}");
    cluster.until_pods(0).await;
}

#[tokio::test(start_paused = true)]
async fn a_job_in_time_goes_on_under_another_operator() {
    let cluster = left_behind(json!({"startDeadlineSeconds": 300, "activeDeadlineSeconds": 3600})).await;
    let before = cluster.lock().objects.clone();
    let _operator = Operator::start(&cluster);
    sleep(Duration::from_secs(30)).await;
    assert_eq!(cluster.lock().objects, before, "the same pods, the same status");
}
