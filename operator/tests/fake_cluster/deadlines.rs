//! Jobs that exceed a deadline.

use crate::api_server::Cluster;
use crate::operator::{Operator, container, ended, unschedulable};
use serde_json::json;
use std::time::Duration;
use tokio::time::sleep;

/// A job whose pods are created, and whose operator has stopped.
async fn without_operator(more: serde_json::Value) -> Cluster {
    let cluster = Cluster::default();
    cluster.apply(&more);
    let _operator = Operator::start(&cluster);
    cluster.until("launched", |cluster| cluster.status().servers.is_some_and(|servers| servers.launched == 3)).await;
    cluster
}

fn set_early_start(cluster: &Cluster) {
    cluster.edit("arrayjobs", "stack", |job| job["status"]["startTime"] = json!("2026-01-01T00:00:00Z"));
}

#[tokio::test(start_paused = true)]
async fn a_job_that_exceeds_its_deadline_fails_and_its_servers_stop() {
    let cluster = without_operator(json!({"activeDeadlineSeconds": 3600})).await;
    cluster.set_pod_status("stack-0", container("Running", &json!({"waiting": {"reason": "PodInitializing"}})));
    cluster.set_pod_status("stack-2", ended(1, "Error"));
    set_early_start(&cluster);
    let _operator = Operator::start(&cluster);
    cluster.until_phase("Failed").await;
    assert_eq!(cluster.condition("Failed"), ("True".into(), "DeadlineExceeded".into()));
    assert!(cluster.message("Failed").contains("raise activeDeadlineSeconds"), "{}", cluster.message("Failed"));
    cluster.until("stopped", |cluster| cluster.names("pods") == ["stack-2"]).await;
}

#[tokio::test(start_paused = true)]
async fn servers_that_exceed_the_start_deadline_fail_the_job_with_the_obstacle() {
    let cluster = without_operator(json!({"startDeadlineSeconds": 300})).await;
    cluster.set_pod_status("stack-1", unschedulable("0/3 nodes are available"));
    set_early_start(&cluster);
    let _operator = Operator::start(&cluster);
    cluster.until_phase("Failed").await;
    assert_eq!(cluster.condition("Failed"), ("True".into(), "StartDeadlineExceeded".into()));
    let message = cluster.message("Failed");
    assert!(message.contains("Unschedulable: no node can run stack-1: 0/3 nodes are available"), "{message}");
    cluster.until_pods(0).await;
}

#[tokio::test(start_paused = true)]
async fn a_job_within_its_deadlines_continues_under_another_operator() {
    let cluster = without_operator(json!({"startDeadlineSeconds": 300, "activeDeadlineSeconds": 3600})).await;
    let before = cluster.lock().objects.clone();
    let _operator = Operator::start(&cluster);
    sleep(Duration::from_secs(30)).await;
    assert_eq!(cluster.lock().objects, before, "pods and status are unchanged");
}
