//! The start of a job, and failures before its first pod.

use crate::api_server::{Cluster, Request};
use crate::operator::{Operator, container, ended, pod, unschedulable};
use crate::responses::Refused;
use operator::fleet::kubernetes::names;
use serde_json::json;
use std::time::Duration;
use tokio::time::{Instant, sleep};

const STATUS: &str = "patch arrayjobs/status";

/// Position of the first request for which `is_it` is true.
fn first(log: &[Request], is_it: impl Fn(&Request) -> bool) -> usize {
    log.iter().position(is_it).expect("the log contains the request")
}

/// Times of all writes of the status.
fn written(cluster: &Cluster) -> Vec<Instant> {
    cluster.requests(STATUS).iter().map(|request| request.at).collect()
}

fn shortest_interval(times: &[Instant]) -> Duration {
    times.windows(2).map(|pair| pair[1] - pair[0]).min().unwrap_or(Duration::MAX)
}

#[tokio::test(start_paused = true)]
async fn the_plan_is_written_before_any_object_and_pods_are_created_last() {
    let cluster = Cluster::default();
    cluster.apply(&json!({}));
    let _operator = Operator::start(&cluster);
    cluster.until_pods(3).await;
    let log = cluster.log();
    let planned = first(&log, |request| request.kind == "arrayjobs/status" && !request.body["status"]["plan"].is_null());
    let pod = first(&log, |request| request.line().starts_with("create pods"));
    for child in ["patch services stack", "create secrets", "patch networkpolicies stack-"] {
        let created = first(&log, |request| request.line().starts_with(child));
        assert!(planned < created && created < pod, "{:#?}", log.iter().map(Request::line).collect::<Vec<_>>());
    }
    assert_eq!(cluster.names("pods"), ["stack-0", "stack-1", "stack-2"]);
    assert_eq!(cluster.events(), ["Planned"]);
    let status = cluster.status();
    let plan = status.plan.unwrap();
    assert_eq!((plan.servers, plan.memory_limit_bytes, plan.generation), (3, 1 << 30, 1));
    assert!(plan.summary.contains("100 × 60×80 uint8, 3 servers of"), "{}", plan.summary);
    assert_eq!(status.endpoint.unwrap().url, "http://stack.lab.svc");
}

#[tokio::test(start_paused = true)]
async fn a_job_owns_its_objects_and_the_operator_reads_no_secret() {
    let cluster = Cluster::default();
    cluster.apply(&json!({}));
    let _operator = Operator::start(&cluster);
    cluster.until_pods(3).await;
    let uid = cluster.uid("arrayjobs", "stack");
    for kind in ["pods", "services", "secrets", "networkpolicies"] {
        for name in cluster.names(kind) {
            let owners = cluster.get(kind, &name).unwrap()["metadata"]["ownerReferences"].clone();
            assert_eq!((owners[0]["uid"].as_str(), owners[0]["kind"].as_str()), (Some(uid.as_str()), Some("ArrayJob")), "{kind} {name}");
        }
    }
    let reads_secrets = |request: &Request| request.kind == "secrets" && request.verb != "create";
    assert!(!cluster.log().iter().any(reads_secrets), "the role of the operator does not allow it");
    cluster.delete("arrayjobs", "stack");
    assert!(cluster.lock().objects.keys().all(|(kind, _)| kind == "events"), "all objects are deleted with the job");
}

#[tokio::test(start_paused = true)]
async fn a_job_that_waits_for_its_pods_writes_its_status_once() {
    let cluster = Cluster::default();
    cluster.apply(&json!({}));
    let _operator = Operator::start(&cluster);
    cluster.until("launched", |cluster| cluster.status().servers.is_some_and(|servers| servers.launched == 3)).await;
    sleep(Duration::from_secs(3)).await;
    let before = cluster.log().len();
    sleep(Duration::from_secs(20)).await;
    // Objects that a user may delete are checked from time to time.
    let is_check =
        |request: &&Request| request.verb == "list" || ["services", "secrets", "networkpolicies"].contains(&request.kind.as_str());
    let since: Vec<String> = cluster.log()[before..].iter().filter(|request| !is_check(request)).map(Request::line).collect();
    assert_eq!(since, Vec::<String>::new(), "no other request without a change");
    assert_eq!((cluster.phase(), cluster.condition("Progressing")), ("Starting".into(), ("True".into(), "Starting".into())));
    assert_eq!(cluster.status().servers.unwrap().summary, "0/3");
    assert!(shortest_interval(&written(&cluster)) >= Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_status_is_written_at_most_once_a_second() {
    let cluster = Cluster::default();
    cluster.apply(&json!({}));
    let _operator = Operator::start(&cluster);
    cluster.until_pods(3).await;
    for turn in 0..100 {
        let odd = turn % 2 == 1;
        cluster.set_pod_status("stack-1", if odd { unschedulable(&format!("{turn} nodes are full")) } else { json!({"phase": "Pending"}) });
        sleep(Duration::from_millis(137)).await;
    }
    let times = written(&cluster);
    assert!(times.len() >= 8, "{} writes in 14 s", times.len());
    assert!(shortest_interval(&times) >= Duration::from_secs(1), "{:?}", shortest_interval(&times));
    let bodies: Vec<_> = cluster.requests(STATUS).into_iter().map(|request| request.body).collect();
    assert!(bodies.windows(2).all(|pair| pair[0] != pair[1]), "the same status was written twice");
}

#[tokio::test(start_paused = true)]
async fn a_job_that_does_not_fit_fails_with_a_fitting_number_and_starts_nothing() {
    let cluster = Cluster::default();
    let frames = json!({"images": {"urlTemplate": "http://images.invalid/{index}", "count": 10000}, "frame": {"height": 2000, "width": 2000, "dtype": "uint8"}});
    cluster.apply(&json!({"source": frames, "servers": {"replicas": 2, "storage": "Memory"}}));
    let _operator = Operator::start(&cluster);
    cluster.until_phase("Failed").await;
    sleep(Duration::from_secs(30)).await;
    assert_eq!(cluster.condition("Failed"), ("True".into(), "InsufficientMemory".into()));
    assert!(
        cluster.message("Failed").contains("limit 1.1 GB") || cluster.message("Failed").contains("limit 1.0 GiB"),
        "{}",
        cluster.message("Failed")
    );
    assert!(cluster.message("Failed").contains("replicas would fit"), "{}", cluster.message("Failed"));
    let writes: Vec<String> =
        cluster.log().iter().filter(|request| request.writes()).map(|request| format!("{} {}", request.verb, request.kind)).collect();
    assert_eq!(writes, [STATUS, "create events"]);
    assert_eq!(cluster.events(), ["InsufficientMemory"]);
}

#[tokio::test(start_paused = true)]
async fn an_invalid_manifest_fails_with_its_field_and_starts_nothing() {
    let cases = [
        (json!({"recenter": {"crop": [61, 10]}}), "spec.recenter.crop: "),
        (json!({"servers": {"resources": {"limits": {"memory": "much"}}}}), "spec.servers.resources.limits.memory: "),
        (json!({"servers": {"tolerations": [{"key": 3}]}}), "spec.servers.tolerations: "),
        (json!({"source": {"images": {"urlTemplate": "file:///f/{index}", "count": 9}}}), "spec.source.images.urlTemplate: "),
    ];
    for (more, words) in cases {
        let cluster = Cluster::default();
        cluster.apply(&more);
        let _operator = Operator::start(&cluster);
        cluster.until_phase("Failed").await;
        assert_eq!(cluster.condition("Failed").1, "InvalidSpec", "{more}");
        assert!(cluster.message("Failed").starts_with(words), "{more}: {}", cluster.message("Failed"));
        assert_eq!((cluster.names("pods").len(), cluster.names("services").len()), (0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_of_another_owner_is_not_changed_and_fails_the_job() {
    let cluster = Cluster::default();
    cluster.put(
        "services",
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "stack"}, "spec": {"selector": {"app": "theirs"}}}),
    );
    cluster.apply(&json!({}));
    let _operator = Operator::start(&cluster);
    cluster.until_phase("Failed").await;
    assert_eq!(cluster.condition("Failed").1, "NameTaken");
    assert_eq!(cluster.get("services", "stack").unwrap()["spec"]["selector"]["app"], "theirs");
    assert!(cluster.names("pods").is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_exhausted_quota_stalls_a_job_and_does_not_fail_it() {
    let cluster = Cluster::default();
    cluster.apply(&json!({"backoffLimit": 0}));
    cluster.refuse(|request| (request.line() == "create pods stack-0").then(|| Refused::new(403, "Forbidden", "exceeded quota: small")));
    let _operator = Operator::start(&cluster);
    cluster.until("stalled", |cluster| cluster.condition("Stalled") == ("True".into(), "QuotaExceeded".into())).await;
    sleep(Duration::from_secs(30)).await;
    assert_eq!((cluster.phase(), cluster.status().failures), ("Starting".into(), None));
    assert_eq!(cluster.events(), ["Planned", "QuotaExceeded"]);
    let tries = cluster.requests("create pods").len();
    assert!((5..40).contains(&tries), "{tries} tries in half a minute");
    cluster.accept();
    cluster.until_pods(3).await;
    cluster.until("not stalled", |cluster| cluster.condition("Stalled").0 == "False").await;
}

#[tokio::test(start_paused = true)]
async fn one_server_probes_a_frame_that_the_manifest_does_not_state() {
    let cluster = Cluster::default();
    cluster.apply(&json!({"source": {"images": {"urlTemplate": "http://images.invalid/{index}", "count": 100}}}));
    let _operator = Operator::start(&cluster);
    cluster.until_pods(1).await;
    sleep(Duration::from_secs(20)).await;
    assert_eq!(cluster.names("pods"), ["stack-0"]);
    assert_eq!((cluster.status().plan, cluster.condition("Progressing").1), (None, "Probing".into()));
    cluster.set_pod_status("stack-0", unschedulable("0/1 nodes"));
    cluster.until("stalled", |cluster| cluster.condition("Stalled") == ("True".into(), "Unschedulable".into())).await;
}

#[tokio::test(start_paused = true)]
async fn a_deleted_pod_is_created_again_and_is_not_a_failure() {
    let cluster = Cluster::default();
    cluster.apply(&json!({"backoffLimit": 0}));
    let _operator = Operator::start(&cluster);
    cluster.until("launched", |cluster| cluster.status().servers.is_some_and(|servers| servers.launched == 3)).await;
    for times in 1..=3 {
        cluster.delete("pods", "stack-1");
        cluster.until("replaced", |cluster| cluster.status().failures.is_some_and(|failures| failures.uncounted == times)).await;
        cluster.until_pods(3).await;
    }
    let failures = cluster.status().failures.unwrap();
    assert_eq!((failures.counted, failures.last.unwrap().server.as_str()), (0, "stack-1"));
    assert_eq!(cluster.requests("create pods").len(), 6, "one creation for each pod and deletion");
    assert_eq!(cluster.events(), ["Planned", "ServerLost", "ServerLost", "ServerLost"]);
}

#[tokio::test(start_paused = true)]
async fn servers_that_keep_failing_fail_the_job_with_the_reason() {
    let cluster = Cluster::default();
    cluster.apply(&json!({"backoffLimit": 1}));
    let _operator = Operator::start(&cluster);
    cluster.until_pods(3).await;
    cluster.set_pod_status("stack-0", container("Running", &json!({"waiting": {"reason": "ContainerCreating"}})));
    cluster.set_pod_status("stack-1", ended(137, "OOMKilled"));
    cluster.until("replaced", |cluster| cluster.requests("create pods").len() == 4).await;
    cluster.until_pods(3).await;
    cluster.set_pod_status("stack-1", ended(137, "OOMKilled"));
    cluster.until_phase("Failed").await;
    assert_eq!(cluster.condition("Failed").1, "BackoffLimitExceeded");
    assert!(cluster.message("Failed").contains("raise servers.resources.limits.memory"), "{}", cluster.message("Failed"));
    cluster.until("stopped", |cluster| cluster.names("pods") == ["stack-1"]).await;
    sleep(Duration::from_secs(30)).await;
    assert_eq!(cluster.names("pods"), ["stack-1"], "the failed pod keeps its log");
    assert_eq!(cluster.requests("create pods").len(), 4);
    assert!(cluster.status().completion_time.is_some());
}

#[tokio::test(start_paused = true)]
async fn an_edit_of_a_mutable_field_keeps_the_servers() {
    let cluster = Cluster::default();
    cluster.apply(&json!({"backoffLimit": 5}));
    let _operator = Operator::start(&cluster);
    cluster.until("launched", |cluster| cluster.status().servers.is_some_and(|servers| servers.launched == 3)).await;
    cluster.edit("arrayjobs", "stack", |job| job["spec"]["backoffLimit"] = json!(0));
    cluster.until("seen", |cluster| cluster.status().observed_generation == Some(2)).await;
    assert!(cluster.status().conditions.iter().all(|condition| condition.observed_generation == Some(2)));
    assert_eq!(cluster.status().plan.unwrap().generation, 1, "servers know the planned generation of the job");
    sleep(Duration::from_secs(10)).await;
    assert_eq!((cluster.requests("create pods").len(), cluster.requests("delete pods").len()), (3, 0));
    cluster.set_pod_status("stack-0", ended(1, "Error"));
    cluster.until_phase("Failed").await;
}

#[tokio::test(start_paused = true)]
async fn an_invalid_object_does_not_block_other_jobs() {
    let cluster = Cluster::default();
    cluster.put(
        "arrayjobs",
        json!({"apiVersion": "arrayjob.dev/v1alpha1", "kind": "ArrayJob", "metadata": {"name": "odd"}, "spec": {"source": 3}}),
    );
    cluster.apply(&json!({}));
    let operator = Operator::start(&cluster);
    cluster.until_pods(3).await;
    assert_eq!((operator.health.readiness_problem(), operator.health.liveness_problem()), (None, None));
    assert!(operator.metrics.text().contains("arrayjob_operator_jobs{phase=\"Starting\"} 1"), "{}", operator.metrics.text());
}

#[tokio::test(start_paused = true)]
async fn pods_of_other_owners_are_not_deleted() {
    let cluster = Cluster::default();
    cluster.put("pods", pod("database-0", &json!({"app": "database"})));
    cluster.apply(&json!({}));
    let _operator = Operator::start(&cluster);
    cluster.until_pods(4).await;
    cluster.delete("arrayjobs", "stack");
    sleep(Duration::from_secs(10)).await;
    assert_eq!(cluster.names("pods"), ["database-0"]);
}

#[tokio::test(start_paused = true)]
async fn a_job_may_not_send_the_keys_of_arrayjob() {
    for own in [true, false] {
        let cluster = Cluster::default();
        cluster.apply(&json!({}));
        let secret = if own { names::own(&cluster.job()) } else { "arrayjob-operator-key".to_owned() };
        cluster.edit("arrayjobs", "stack", |job| job["spec"]["source"]["secretRef"] = json!({"name": secret}));
        let _operator = Operator::start(&cluster);
        cluster.until_phase("Failed").await;
        assert_eq!(cluster.condition("Failed").1, "InvalidSpec");
        assert!(cluster.message("Failed").contains("holds keys of ArrayJob, which no job may send"), "{}", cluster.message("Failed"));
        assert!(cluster.names("pods").is_empty());
    }
}
