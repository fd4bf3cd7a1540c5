//! An operator loses its connection at any write, and another operator continues.

use crate::api_server::{Cluster, Disconnect};
use crate::operator::{Operator, ended};
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::sleep;

/// Names of all objects by kind, without events, whose names contain the time.
fn objects(cluster: &Cluster) -> BTreeMap<String, Vec<String>> {
    let mut names = BTreeMap::<String, Vec<String>>::new();
    for (kind, name) in cluster.lock().objects.keys().filter(|(kind, _)| kind != "events") {
        names.entry(kind.clone()).or_default().push(name.clone());
    }
    names
}

async fn settled(cluster: &Cluster) {
    cluster.until_pods(3).await;
    cluster.until("launched", |cluster| cluster.status().servers.is_some_and(|servers| servers.launched == 3)).await;
    sleep(Duration::from_secs(10)).await;
}

/// A cluster with a job whose servers start. No operator runs.
async fn started() -> Cluster {
    let cluster = Cluster::default();
    cluster.apply(&json!({}));
    let operator = Operator::start(&cluster);
    settled(&cluster).await;
    drop(operator);
    cluster
}

/// Runs an operator that is disconnected at one of its writes. Returns whether the operator reached that write.
async fn run_until(cluster: &Cluster, disconnect: Disconnect) -> bool {
    cluster.disconnect_at(disconnect);
    let operator = Operator::start(cluster);
    let reached = tokio::time::timeout(Duration::from_secs(20), cluster.until("disconnected", Cluster::is_disconnected)).await.is_ok();
    drop(operator);
    // The dropped task closes its connections.
    sleep(Duration::from_millis(1)).await;
    cluster.reconnect();
    reached
}

#[tokio::test(start_paused = true)]
async fn a_start_that_is_interrupted_at_any_write_ends_with_the_same_objects() {
    let whole = started().await;
    let mut interruptions = 0;
    for done in [false, true] {
        for at in 1.. {
            let cluster = Cluster::default();
            cluster.apply(&json!({}));
            if !run_until(&cluster, Disconnect { at, done }).await {
                break;
            }
            interruptions += 1;
            let _operator = Operator::start(&cluster);
            settled(&cluster).await;
            assert_eq!(objects(&cluster), objects(&whole), "write {at}, done: {done}");
            let created = cluster.requests("create pods").into_iter().filter(|request| request.code == 200).count();
            assert_eq!((created, cluster.requests("delete pods").len()), (3, 0), "write {at}, done: {done}");
            let status = cluster.status();
            assert_eq!((status.failures, status.phase.as_deref()), (None, Some("Starting")), "write {at}, done: {done}");
            assert_eq!(status.plan, whole.status().plan);
        }
    }
    assert!(interruptions >= 2 * 9, "status, event, Service, Secret, NetworkPolicy, three pods, status; found {interruptions}");
}

#[tokio::test(start_paused = true)]
async fn a_replacement_that_is_interrupted_at_any_write_counts_the_loss_once() {
    for done in [false, true] {
        for at in 1.. {
            let cluster = started().await;
            cluster.set_pod_status("stack-1", ended(137, "OOMKilled"));
            if !run_until(&cluster, Disconnect { at, done }).await {
                assert!(at > 2, "a replacement deletes and creates a pod");
                break;
            }
            let _operator = Operator::start(&cluster);
            cluster.until("replaced", |cluster| cluster.get("pods", "stack-1").is_some_and(|pod| pod["status"]["phase"] != "Failed")).await;
            settled(&cluster).await;
            assert_eq!(cluster.names("pods"), ["stack-0", "stack-1", "stack-2"]);
            let restarts = cluster.status().servers.unwrap().restarts;
            assert_eq!(restarts, 1, "write {at}, done: {done}");
            let counted = cluster.status().failures.unwrap().counted;
            assert!(counted <= 1, "write {at}, done: {done}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_suspension_that_is_interrupted_at_any_write_ends_without_servers() {
    for done in [false, true] {
        for at in 1.. {
            let cluster = started().await;
            cluster.edit("arrayjobs", "stack", |job| job["spec"]["suspend"] = json!(true));
            if !run_until(&cluster, Disconnect { at, done }).await {
                assert!(at > 4, "a suspension writes a status and deletes three pods");
                break;
            }
            let operator = Operator::start(&cluster);
            cluster.until_pods(0).await;
            cluster.until_phase("Suspended").await;
            drop(operator);
            cluster.edit("arrayjobs", "stack", |job| job["spec"]["suspend"] = json!(false));
            let _operator = Operator::start(&cluster);
            settled(&cluster).await;
            assert_eq!(cluster.status().failures, None, "write {at}, done: {done}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn pods_are_created_once_while_the_watch_of_pods_is_silent() {
    let cluster = Cluster::default();
    cluster.apply(&json!({}));
    cluster.pause_watches("pods");
    let _operator = Operator::start(&cluster);
    cluster.until_pods(3).await;
    sleep(Duration::from_secs(20)).await;
    assert_eq!(cluster.requests("create pods").len(), 3);
    cluster.resume_watches();
    sleep(Duration::from_secs(20)).await;
    assert_eq!((cluster.requests("create pods").len(), cluster.requests("delete pods").len()), (3, 0));
    assert_eq!(cluster.status().failures, None);
}

#[tokio::test(start_paused = true)]
async fn an_operator_with_another_plan_restarts_the_job() {
    let cluster = started().await;
    let fingerprint = cluster.status().plan.unwrap().fingerprint;
    cluster.edit("arrayjobs", "stack", |job| job["status"]["plan"]["fingerprint"] = json!("of another version"));
    let _operator = Operator::start(&cluster);
    cluster.until("planned", |cluster| cluster.status().plan.is_some_and(|plan| plan.fingerprint == fingerprint)).await;
    settled(&cluster).await;
    assert_eq!(
        (cluster.requests("create pods").len(), cluster.requests("delete pods").len()),
        (6, 3),
        "all pods with the old plan are replaced"
    );
    assert_eq!((cluster.status().failures, cluster.phase().as_str()), (None, "Starting"));
}

/// A job whose servers start. `edit` changes the recorded plan while no operator runs.
async fn upgraded(edit: impl FnOnce(&mut serde_json::Value)) -> (Cluster, Operator) {
    let cluster = started().await;
    cluster.edit("arrayjobs", "stack", |job| edit(&mut job["status"]["plan"]));
    let operator = Operator::start(&cluster);
    settled(&cluster).await;
    // A job that restarts deletes its pods first.
    settled(&cluster).await;
    (cluster, operator)
}

#[tokio::test(start_paused = true)]
async fn a_plan_that_an_older_operator_recorded_in_another_form_keeps_its_servers() {
    let (cluster, _operator) = upgraded(|plan| {
        plan["fingerprint"] = json!("0123456789abcdef");
        plan["summary"] = json!("another text");
        plan["peakBytes"] = json!(1);
    })
    .await;
    assert_eq!((cluster.requests("create pods").len(), cluster.requests("delete pods").len()), (3, 0), "a pod was restarted");
    let recorded = cluster.status().plan.unwrap().fingerprint;
    assert!(recorded.starts_with("v1-"), "the new form is not recorded: {recorded}");
}

#[tokio::test(start_paused = true)]
async fn a_plan_with_other_text_and_other_memory_keeps_its_servers() {
    let (cluster, _operator) = upgraded(|plan| {
        plan["summary"] = json!("another text");
        plan["peakBytes"] = json!(1);
    })
    .await;
    assert_eq!((cluster.requests("create pods").len(), cluster.requests("delete pods").len()), (3, 0), "a pod was restarted");
}

#[tokio::test(start_paused = true)]
async fn an_older_plan_with_other_numbers_restarts_the_job_and_states_the_difference() {
    let (cluster, _operator) = upgraded(|plan| {
        plan["fingerprint"] = json!("0123456789abcdef");
        plan["wireBytes"] = json!(1);
    })
    .await;
    assert_eq!((cluster.requests("create pods").len(), cluster.requests("delete pods").len()), (6, 3));
    let statuses: Vec<String> = cluster.requests("patch arrayjobs/status").iter().map(|write| write.body.to_string()).collect();
    assert!(statuses.iter().any(|body| body.contains("PlanChanged") && body.contains("wireBytes was 1 and would be")), "{statuses:?}");
}

#[tokio::test(start_paused = true)]
async fn a_plan_of_another_version_restarts_the_job_and_states_the_version() {
    let (cluster, _operator) = upgraded(|plan| plan["fingerprint"] = json!("v99-0123456789abcdef")).await;
    assert_eq!((cluster.requests("create pods").len(), cluster.requests("delete pods").len()), (6, 3));
    let statuses: Vec<String> = cluster.requests("patch arrayjobs/status").iter().map(|write| write.body.to_string()).collect();
    assert!(statuses.iter().any(|body| body.contains("the recorded plan has version 99")), "{statuses:?}");
}

#[tokio::test(start_paused = true)]
async fn a_job_that_this_version_cannot_plan_keeps_its_servers_and_states_the_reason() {
    let (cluster, _operator) = upgraded(|plan| {
        plan["fingerprint"] = json!("v1-0000000000000000");
        plan["memoryLimitBytes"] = json!(1 << 20);
    })
    .await;
    assert_eq!((cluster.requests("create pods").len(), cluster.requests("delete pods").len()), (3, 0), "a pod was restarted");
    assert_eq!(cluster.condition("Stalled"), ("True".into(), "PlanChanged".into()));
    assert!(cluster.message("Stalled").contains("this version cannot plan it"), "{}", cluster.message("Stalled"));
}
