//! How a job is suspended, deleted, and put away after its end.

use crate::answer::Refused;
use crate::api_server::{Cluster, Request};
use crate::operator::{Operator, container, ended};
use serde_json::json;
use std::time::Duration;
use tokio::time::sleep;

fn position(log: &[Request], is_it: impl Fn(&Request) -> bool) -> usize {
    log.iter().position(is_it).expect("there is such a request")
}

async fn started(more: serde_json::Value) -> (Cluster, Operator) {
    let cluster = Cluster::default();
    cluster.apply(&more);
    let operator = Operator::start(&cluster);
    cluster.until("launched", |cluster| cluster.status().servers.is_some_and(|servers| servers.launched == 3)).await;
    (cluster, operator)
}

#[tokio::test(start_paused = true)]
async fn a_job_that_is_suspended_from_the_start_starts_when_it_is_not() {
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
async fn a_job_that_is_suspended_at_work_says_so_stops_its_servers_and_begins_again() {
    let (cluster, _operator) = started(json!({"backoffLimit": 0})).await;
    let uids = |cluster: &Cluster| cluster.names("pods").iter().map(|name| cluster.uid("pods", name)).collect::<Vec<_>>();
    let before = uids(&cluster);
    cluster.edit("arrayjobs", "stack", |job| job["spec"]["suspend"] = json!(true));
    cluster.until_pods(0).await;
    let log = cluster.log();
    let told = position(&log, |request| request.body["status"]["phase"] == "Suspended");
    assert!(told < position(&log, |request| request.verb == "delete"), "told first, then done");
    sleep(Duration::from_secs(20)).await;
    assert_eq!((cluster.names("pods").len(), cluster.phase().as_str()), (0, "Suspended"));
    assert_eq!((cluster.status().start_time, cluster.status().progress), (None, None));
    cluster.edit("arrayjobs", "stack", |job| job["spec"]["suspend"] = json!(false));
    cluster.until_pods(3).await;
    assert!(uids(&cluster).iter().all(|uid| !before.contains(uid)));
    sleep(Duration::from_secs(5)).await;
    assert_eq!((cluster.status().failures, cluster.phase().as_str()), (None, "Starting"), "nobody failed");
    assert_eq!(cluster.events(), ["Planned", "Suspended", "Planned", "Resumed"]);
    assert_eq!(cluster.status().plan.unwrap().generation, 3);
}

#[tokio::test(start_paused = true)]
async fn a_job_that_is_deleted_launches_nothing_more() {
    let (cluster, _operator) = started(json!({})).await;
    let before = cluster.requests("create pods").len();
    cluster.delete("arrayjobs", "stack");
    assert!(cluster.names("pods").is_empty(), "the cluster collects what it owned");
    sleep(Duration::from_secs(60)).await;
    assert_eq!(cluster.requests("create pods").len(), before);
    let after: Vec<String> = cluster.lock().objects.keys().filter(|(kind, _)| kind != "events").map(|(_, name)| name.clone()).collect();
    assert_eq!(after, Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_job_that_waits_for_its_objects_to_go_launches_nothing_more() {
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
async fn a_job_that_comes_back_under_its_name_is_another_job() {
    let (cluster, _operator) = started(json!({})).await;
    let secrets = cluster.names("secrets");
    cluster.delete("arrayjobs", "stack");
    cluster.apply(&json!({}));
    cluster.until_pods(3).await;
    let uid = cluster.uid("arrayjobs", "stack");
    for name in cluster.names("pods") {
        assert_eq!(cluster.get("pods", &name).unwrap()["metadata"]["labels"]["arrayjob.dev/uid"], uid);
    }
    assert_ne!(cluster.names("secrets"), secrets, "it has a token of its own");
    cluster.until("told", |cluster| cluster.status().servers.is_some_and(|servers| servers.launched == 3)).await;
    assert_eq!(cluster.status().failures, None);
}

#[tokio::test(start_paused = true)]
async fn pods_of_a_predecessor_that_are_still_going_are_waited_for() {
    let (cluster, _operator) = started(json!({})).await;
    let orphan = cluster.get("pods", "stack-1").unwrap();
    cluster.delete("arrayjobs", "stack");
    cluster.put("pods", orphan);
    cluster.apply(&json!({}));
    cluster.until("others", |cluster| cluster.names("pods").len() == 3 && cluster.requests("create pods").len() > 5).await;
    sleep(Duration::from_secs(5)).await;
    cluster.delete("pods", "stack-1");
    let uid = cluster.uid("arrayjobs", "stack");
    cluster
        .until("its own", |cluster| cluster.get("pods", "stack-1").is_some_and(|pod| pod["metadata"]["labels"]["arrayjob.dev/uid"] == uid))
        .await;
    assert_eq!(cluster.status().failures, None);
}

#[tokio::test(start_paused = true)]
async fn pods_that_the_watch_shows_late_are_stopped_late() {
    let cluster = Cluster::default();
    cluster.apply(&json!({}));
    cluster.hold_back("pods");
    let _operator = Operator::start(&cluster);
    cluster.until_pods(3).await;
    cluster.edit("arrayjobs", "stack", |job| job["spec"]["suspend"] = json!(true));
    cluster.until_phase("Suspended").await;
    sleep(Duration::from_secs(10)).await;
    assert_eq!(cluster.names("pods").len(), 3, "nothing shows them");
    cluster.go_on();
    cluster.until_pods(0).await;
    sleep(Duration::from_secs(10)).await;
    assert_eq!((cluster.requests("create pods").len(), cluster.status().failures), (3, None));
}

#[tokio::test]
async fn a_job_that_is_gone_and_still_in_the_cache_is_not_asked_for_all_the_time() {
    let cluster = Cluster::default();
    cluster.apply(&json!({}));
    cluster.refuse(|request| (request.kind == "arrayjobs/status").then(|| Refused::new(404, "NotFound", "arrayjobs \"stack\" not found")));
    let _operator = Operator::start(&cluster);
    sleep(Duration::from_millis(600)).await;
    let tries = cluster.requests("patch arrayjobs/status").len();
    assert!((1..5).contains(&tries), "{tries} in half a second");
    assert!(cluster.names("pods").is_empty());
}

/// A job that ended at that time, and its pods.
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
        cluster.say(&format!("stack-{index}"), container("Running", &json!({"waiting": {"reason": "PodInitializing"}})));
    }
}

const LONG_AGO: &str = "2026-01-01T00:00:00Z";

#[tokio::test(start_paused = true)]
async fn a_job_that_was_kept_for_long_enough_loses_its_servers_and_keeps_its_end() {
    for how in ["Complete", "Failed"] {
        let cluster = Cluster::default();
        finished(&cluster, how, LONG_AGO, &json!({"ttlSecondsAfterFinished": 3600}));
        let _operator = Operator::start(&cluster);
        cluster.until_pods(0).await;
        let log = cluster.log();
        let told = position(&log, |request| request.kind == "arrayjobs/status");
        assert!(told < position(&log, |request| request.verb == "delete"), "told first, then done");
        assert_eq!(cluster.condition("Ready"), ("False".into(), "Expired".into()));
        assert_eq!((cluster.condition(how).0.as_str(), cluster.phase().as_str()), ("True", how));
        assert_eq!(cluster.status().completion_time.as_deref(), Some(LONG_AGO));
        sleep(Duration::from_secs(2)).await;
        let writes = cluster.log().iter().filter(|request| request.writes()).count();
        sleep(Duration::from_secs(60)).await;
        assert_eq!(cluster.log().iter().filter(|request| request.writes()).count(), writes, "then there is quiet");
        assert!(cluster.get("arrayjobs", "stack").is_some(), "the job itself stays, with its story");
    }
}

#[tokio::test(start_paused = true)]
async fn a_job_that_failed_stops_what_runs_and_keeps_what_ended_for_its_log() {
    let cluster = Cluster::default();
    finished(&cluster, "Failed", LONG_AGO, &json!({}));
    cluster.say("stack-1", ended(1, "Error"));
    let _operator = Operator::start(&cluster);
    cluster.until_pods(1).await;
    sleep(Duration::from_secs(60)).await;
    assert_eq!(cluster.names("pods"), ["stack-1"]);
    assert!(cluster.requests("patch arrayjobs/status").is_empty() && cluster.requests("create pods").is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_operator_that_is_told_to_end_leaves_everything_as_it_is() {
    let (cluster, operator) = started(json!({})).await;
    let before = cluster.lock().objects.clone();
    operator.stop().await;
    assert_eq!(cluster.lock().objects, before);
}
