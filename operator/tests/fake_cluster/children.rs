//! Objects of a job that are deleted by hand, and a lost key of the operator, while the job runs.

use crate::api_server::{Cluster, Request};
use crate::fake_servers::{FakeServers, percent};
use crate::operator::{Operator, container};
use serde_json::json;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

const KINDS: [&str; 3] = ["services", "secrets", "networkpolicies"];

/// Deletes each object of the job, and checks that the operator creates it again within `limit`.
async fn check_created_again(cluster: &Cluster, limit: Duration) {
    for kind in KINDS {
        let names = cluster.names(kind);
        assert_eq!(names.len(), 1, "{kind}");
        let (before, deleted) = (cluster.get(kind, &names[0]).unwrap(), Instant::now());
        cluster.delete(kind, &names[0]);
        cluster.until(&format!("{kind} again"), |cluster| cluster.names(kind) == names).await;
        assert!(deleted.elapsed() <= limit, "{kind}: {:?}", deleted.elapsed());
        let after = cluster.get(kind, &names[0]).unwrap();
        assert_eq!((&after["spec"], &after["stringData"]), (&before["spec"], &before["stringData"]), "{kind}");
    }
}

#[tokio::test(start_paused = true)]
async fn objects_that_are_deleted_by_hand_are_created_again_while_servers_start() {
    let cluster = Cluster::default();
    cluster.apply(&json!({}));
    let _operator = Operator::start(&cluster);
    cluster.until_pods(3).await;
    check_created_again(&cluster, Duration::from_secs(16)).await;
    assert_eq!(cluster.names("pods").len(), 3);
}

#[tokio::test(start_paused = true)]
async fn objects_that_exist_are_checked_rarely() {
    let cluster = Cluster::default();
    cluster.apply(&json!({}));
    let _operator = Operator::start(&cluster);
    cluster.until_pods(3).await;
    sleep(Duration::from_secs(5)).await;
    let before = cluster.requests("create secrets").len();
    sleep(Duration::from_secs(60)).await;
    let checks = cluster.requests("create secrets").len() - before;
    assert!((3..=6).contains(&checks), "{checks} checks in a minute");
    assert_eq!(cluster.requests("patch services").len(), 1, "an existing Service is not written again");
}

#[tokio::test(start_paused = true)]
async fn a_service_of_another_owner_does_not_fail_a_job_that_runs() {
    let cluster = Cluster::default();
    cluster.apply(&json!({}));
    let _operator = Operator::start(&cluster);
    cluster.until_pods(3).await;
    cluster.delete("services", "stack");
    cluster.put("services", json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "stack"}, "spec": {}}));
    sleep(Duration::from_secs(60)).await;
    assert_eq!((cluster.phase().as_str(), cluster.names("pods").len()), ("Starting", 3));
}

#[tokio::test]
async fn a_lost_key_is_reported_with_what_to_do() {
    let cluster = Cluster::default();
    let servers = FakeServers::start(&cluster);
    cluster.apply(&json!({}));
    let operator = Operator::start(&cluster);
    servers.allow(12);
    cluster.until("half done", |cluster| percent(cluster) >= 40).await;
    let boots = servers.boots();
    drop(operator);
    let _operator = Operator::with_key(&cluster, &[8; 32]);
    cluster.until("stalled", |cluster| cluster.condition("Stalled").0 == "True").await;
    assert_eq!(cluster.condition("Stalled").1, "OperatorKeyLost");
    let message = cluster.message("Stalled");
    assert!(message.contains("3 servers") && message.contains("arrayjob-operator-key") && message.contains("restore"), "{message}");
    cluster.until("an event", |cluster| cluster.events().contains(&"OperatorKeyLost".to_owned())).await;
    assert_eq!((cluster.condition("Progressing").1.as_str(), servers.boots()), ("OperatorKeyLost", boots));
}

#[tokio::test]
async fn a_server_that_starts_after_the_others_began_is_not_a_lost_server() {
    let cluster = Cluster::default();
    let servers = FakeServers::start(&cluster);
    servers.hold("stack-2");
    servers.allow(4);
    cluster.apply(&json!({}));
    let _operator = Operator::start(&cluster);
    cluster.until("begun", |cluster| percent(cluster) > 0).await;
    cluster.set_pod_status("stack-2", container("Pending", &json!({"waiting": {"reason": "ContainerCreating"}})));
    let recovering = cluster.until_phase("Recovering");
    assert!(timeout(Duration::from_secs(3), recovering).await.is_err(), "no server was lost");
    assert_eq!((cluster.phase().as_str(), cluster.condition("Progressing").1.as_str()), ("Running", "Running"));
    let shown = |request: &Request| request.body["status"]["phase"] == "Recovering";
    assert!(!cluster.requests("patch arrayjobs/status").iter().any(shown));
    // A lost server is reported, although not every server was up.
    servers.hold("stack-1");
    servers.kill("stack-1");
    cluster.until_phase("Recovering").await;
}
