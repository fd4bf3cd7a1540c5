//! Suspension, deletion and expiry of a job.

use crate::api_server::{Cluster, Request};
use crate::operator::{Operator, container, ended};
use crate::responses::Refused;
use serde_json::json;
use std::time::Duration;
use tokio::time::sleep;

fn position(log: &[Request], is_it: impl Fn(&Request) -> bool) -> usize {
    log.iter().position(is_it).expect("the log contains the request")
}

async fn started(more: serde_json::Value) -> (Cluster, Operator) {
    let cluster = Cluster::default();
    cluster.apply(&more);
    let operator = Operator::start(&cluster);
    cluster.until("launched", |cluster| cluster.status().servers.is_some_and(|servers| servers.launched == 3)).await;
    (cluster, operator)
}

#[tokio::test(start_paused = true)]
async fn a_job_that_is_created_suspended_starts_after_its_resumption() {
    let cluster = Cluster::default();
    cluster.apply(&json!({"suspend": true}));
    let _operator = Operator::start(&cluster);
    cluster.until_phase("Suspended").await;
    sleep(Duration::from_secs(20)).await;
    assert!(cluster.names("pods").is_empty() && cluster.names("secrets").is_empty());
    assert_eq!((cluster.status().start_time, cluster.events()), (None, vec!["Suspended".to_owned()]));
    cluster.edit("arrayjobs", "stack", |job| job["spec"]["suspend"] = json!(false));
    cluster.until_pods(3).await;
    assert_eq!(cluster.condition("Suspended"), ("False".into(), "Resumed".into()));
    assert!(cluster.status().start_time.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_suspended_job_stops_its_servers_and_restarts_after_its_resumption() {
    let (cluster, _operator) = started(json!({"backoffLimit": 0})).await;
    let uids = |cluster: &Cluster| cluster.names("pods").iter().map(|name| cluster.uid("pods", name)).collect::<Vec<_>>();
    let before = uids(&cluster);
    cluster.edit("arrayjobs", "stack", |job| job["spec"]["suspend"] = json!(true));
    cluster.until_pods(0).await;
    let log = cluster.log();
    let written = position(&log, |request| request.body["status"]["phase"] == "Suspended");
    assert!(written < position(&log, |request| request.verb == "delete"), "the status is written before the deletion");
    sleep(Duration::from_secs(20)).await;
    assert_eq!((cluster.names("pods").len(), cluster.phase().as_str()), (0, "Suspended"));
    assert_eq!((cluster.status().start_time, cluster.status().progress), (None, None));
    cluster.edit("arrayjobs", "stack", |job| job["spec"]["suspend"] = json!(false));
    cluster.until_pods(3).await;
    assert!(uids(&cluster).iter().all(|uid| !before.contains(uid)));
    sleep(Duration::from_secs(5)).await;
    assert_eq!((cluster.status().failures, cluster.phase().as_str()), (None, "Starting"), "no server failed");
    assert_eq!(cluster.events(), ["Planned", "Suspended", "Planned", "Resumed"]);
    assert_eq!(cluster.status().plan.unwrap().generation, 3);
}

#[tokio::test(start_paused = true)]
async fn a_deleted_job_launches_nothing() {
    let (cluster, _operator) = started(json!({})).await;
    let before = cluster.requests("create pods").len();
    cluster.delete("arrayjobs", "stack");
    assert!(cluster.names("pods").is_empty(), "the cluster deletes the objects of the job");
    sleep(Duration::from_secs(60)).await;
    assert_eq!(cluster.requests("create pods").len(), before);
    let after: Vec<String> = cluster.lock().objects.keys().filter(|(kind, _)| kind != "events").map(|(_, name)| name.clone()).collect();
    assert_eq!(after, Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_terminating_job_launches_nothing() {
    let (cluster, _operator) = started(json!({})).await;
    let before = cluster.requests("create pods").len();
    cluster.edit("arrayjobs", "stack", |job| job["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z"));
    sleep(Duration::from_secs(1)).await;
    for pod in cluster.names("pods") {
        cluster.delete("pods", &pod);
        sleep(Duration::from_millis(500)).await;
    }
    sleep(Duration::from_secs(60)).await;
    assert_eq!((cluster.requests("create pods").len(), cluster.names("pods").len()), (before, 0));
}

#[tokio::test(start_paused = true)]
async fn a_new_job_of_the_same_name_is_another_job() {
    let (cluster, _operator) = started(json!({})).await;
    let secrets = cluster.names("secrets");
    cluster.delete("arrayjobs", "stack");
    cluster.apply(&json!({}));
    cluster.until_pods(3).await;
    let uid = cluster.uid("arrayjobs", "stack");
    for name in cluster.names("pods") {
        assert_eq!(cluster.get("pods", &name).unwrap()["metadata"]["labels"]["arrayjob.dev/uid"], uid);
    }
    assert_ne!(cluster.names("secrets"), secrets, "the new job has its own token");
    cluster.until("launched", |cluster| cluster.status().servers.is_some_and(|servers| servers.launched == 3)).await;
    assert_eq!(cluster.status().failures, None);
}

#[tokio::test(start_paused = true)]
async fn a_new_job_waits_for_the_deletion_of_earlier_pods() {
    let (cluster, _operator) = started(json!({})).await;
    let orphan = cluster.get("pods", "stack-1").unwrap();
    cluster.delete("arrayjobs", "stack");
    cluster.put("pods", orphan);
    cluster.apply(&json!({}));
    cluster.until("other pods", |cluster| cluster.names("pods").len() == 3 && cluster.requests("create pods").len() > 5).await;
    sleep(Duration::from_secs(5)).await;
    cluster.delete("pods", "stack-1");
    let uid = cluster.uid("arrayjobs", "stack");
    cluster
        .until("own pod", |cluster| cluster.get("pods", "stack-1").is_some_and(|pod| pod["metadata"]["labels"]["arrayjob.dev/uid"] == uid))
        .await;
    assert_eq!(cluster.status().failures, None);
}

#[tokio::test(start_paused = true)]
async fn pods_are_stopped_when_a_late_watch_shows_them() {
    let cluster = Cluster::default();
    cluster.apply(&json!({}));
    cluster.pause_watches("pods");
    let _operator = Operator::start(&cluster);
    cluster.until_pods(3).await;
    cluster.edit("arrayjobs", "stack", |job| job["spec"]["suspend"] = json!(true));
    cluster.until_phase("Suspended").await;
    sleep(Duration::from_secs(10)).await;
    assert_eq!(cluster.names("pods").len(), 3, "the watch does not show the pods");
    cluster.resume_watches();
    cluster.until_pods(0).await;
    sleep(Duration::from_secs(10)).await;
    assert_eq!((cluster.requests("create pods").len(), cluster.status().failures), (3, None));
}

#[tokio::test]
async fn retries_for_a_deleted_job_in_the_cache_back_off() {
    let cluster = Cluster::default();
    cluster.apply(&json!({}));
    cluster.refuse(|request| (request.kind == "arrayjobs/status").then(|| Refused::new(404, "NotFound", "arrayjobs \"stack\" not found")));
    let _operator = Operator::start(&cluster);
    sleep(Duration::from_millis(600)).await;
    let tries = cluster.requests("patch arrayjobs/status").len();
    assert!((1..5).contains(&tries), "{tries} in half a second");
    assert!(cluster.names("pods").is_empty());
}

/// A job that ended at this time, and its pods.
fn finished(cluster: &Cluster, how: &str, at: &str, more: &serde_json::Value) {
    cluster.apply(more);
    let condition = |type_: &str, status: &str, reason: &str| json!({"type": type_, "status": status, "reason": reason, "message": "m", "lastTransitionTime": at});
    let reason = if how == "Failed" { "SourceUnavailable" } else { "Complete" };
    cluster.edit("arrayjobs", "stack", |job| {
        job["status"] = json!({"phase": how, "startTime": at, "completionTime": at, "conditions": [condition(how, "True", reason)],
            "servers": {"desired": 3, "ready": 3, "launched": 3, "restarts": 0, "summary": "3/3"}});
    });
    let uid = cluster.uid("arrayjobs", "stack");
    for index in 0..3 {
        let labels = json!({"arrayjob.dev/name": "stack", "arrayjob.dev/uid": uid, "arrayjob.dev/server-index": index.to_string(),
            "app.kubernetes.io/managed-by": "arrayjob-operator", "app.kubernetes.io/component": "chunk-server"});
        let mut pod = crate::operator::pod(&format!("stack-{index}"), &labels);
        pod["metadata"]["ownerReferences"] =
            json!([{"apiVersion": "arrayjob.dev/v1alpha1", "kind": "ArrayJob", "name": "stack", "uid": uid, "controller": true}]);
        cluster.put("pods", pod);
        cluster.set_pod_status(&format!("stack-{index}"), container("Running", &json!({"waiting": {"reason": "PodInitializing"}})));
    }
}

const LONG_AGO: &str = "2026-01-01T00:00:00Z";

#[tokio::test(start_paused = true)]
async fn an_expired_job_loses_its_servers_and_keeps_its_end() {
    for how in ["Complete", "Failed"] {
        let cluster = Cluster::default();
        finished(&cluster, how, LONG_AGO, &json!({"ttlSecondsAfterFinished": 3600}));
        let _operator = Operator::start(&cluster);
        cluster.until_pods(0).await;
        let log = cluster.log();
        let written = position(&log, |request| request.kind == "arrayjobs/status");
        assert!(written < position(&log, |request| request.verb == "delete"), "the status is written before the deletion");
        assert_eq!(cluster.condition("Ready"), ("False".into(), "Expired".into()));
        assert_eq!((cluster.condition(how).0.as_str(), cluster.phase().as_str()), ("True", how));
        assert_eq!(cluster.status().completion_time.as_deref(), Some(LONG_AGO));
        sleep(Duration::from_secs(2)).await;
        let writes = cluster.log().iter().filter(|request| request.writes()).count();
        sleep(Duration::from_secs(60)).await;
        assert_eq!(cluster.log().iter().filter(|request| request.writes()).count(), writes, "no more writes after the deletion");
        assert!(cluster.get("arrayjobs", "stack").is_some(), "the job and its status stay");
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_job_stops_running_pods_and_keeps_the_logs_of_ended_pods() {
    let cluster = Cluster::default();
    finished(&cluster, "Failed", LONG_AGO, &json!({}));
    cluster.set_pod_status("stack-1", ended(1, "Error"));
    let _operator = Operator::start(&cluster);
    cluster.until_pods(1).await;
    sleep(Duration::from_secs(60)).await;
    assert_eq!(cluster.names("pods"), ["stack-1"]);
    assert!(cluster.requests("patch arrayjobs/status").is_empty() && cluster.requests("create pods").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_stopping_operator_changes_nothing() {
    let (cluster, operator) = started(json!({})).await;
    let before = cluster.lock().objects.clone();
    operator.stop().await;
    assert_eq!(cluster.lock().objects, before);
}
