//! The fleet of pods against an API server, with caches that are as far behind as a test wants them.

use crate::answer::Refused;
use crate::api_server::Cluster;
use crate::operator::{container, ended, manifest, pod, settings};
use api::next_step::Step;
use api::phase::{Observed, Seen};
use api::plan::ServerId;
use crds::ArrayJob;
use k8s_openapi::api::core::v1::Pod;
use kube::runtime::reflector::{self, store::Writer};
use kube::runtime::watcher::Event;
use operator::carry_out::carry_out;
use operator::fleet::kubernetes::{Caches, KubernetesFleet, Recent, pod as pods};
use operator::fleet::{Fleet as _, ServerState};
use operator::servers::Servers;
use serde_json::{Value, json};
use std::sync::Arc;

/// One job's fleet, and the caches that it looks at.
struct Bench {
    cluster: Cluster,
    job: Arc<ArrayJob>,
    caches: Caches,
    pods: Writer<Pod>,
    jobs: Writer<ArrayJob>,
    recent: Arc<Recent>,
}

impl Bench {
    fn new() -> Self {
        let cluster = Cluster::default();
        cluster.apply(&json!({}));
        let job = cluster.job();
        let (pod_store, pods) = reflector::store();
        let (job_store, mut jobs) = reflector::store();
        jobs.apply_watcher_event(&Event::Apply(job.clone()));
        let caches = Caches { pods: pod_store, jobs: job_store };
        Self { cluster, job: Arc::new(job), caches, pods, jobs, recent: Arc::default() }
    }

    fn fleet(&self) -> KubernetesFleet {
        let options = settings().servers;
        let size = pods::size(&self.job, &options).unwrap();
        KubernetesFleet::new(self.cluster.client(), Arc::clone(&self.job), options, size, 0, &self.caches, Arc::clone(&self.recent))
    }

    /// The cache now shows what there is.
    fn catch_up(&mut self) {
        self.pods.apply_watcher_event(&Event::Init);
        for name in self.cluster.names("pods") {
            let pod = serde_json::from_value(self.cluster.get("pods", &name).unwrap()).unwrap();
            self.pods.apply_watcher_event(&Event::InitApply(pod));
        }
        self.pods.apply_watcher_event(&Event::InitDone);
    }

    async fn ensure(&self, ids: &[usize]) -> Result<(), String> {
        let ids: Vec<ServerId> = ids.iter().copied().map(ServerId).collect();
        self.fleet().ensure(&ids).await.map_err(|error| error.to_string())
    }

    async fn seen(&self) -> Vec<ServerState> {
        self.fleet().observe(3).await
    }

    /// All three servers, up.
    async fn all_up(&mut self) {
        self.ensure(&[0, 1, 2]).await.unwrap();
        for index in 0..3 {
            self.cluster.say(&format!("stack-{index}"), container("Running", &json!({"running": {}})));
        }
        self.catch_up();
        assert!(self.seen().await.iter().all(|seen| matches!(seen, ServerState::Up(_))));
    }

    fn creations(&self) -> usize {
        self.cluster.requests("create pods").len()
    }

    fn annotations(&self, pod: &str) -> Value {
        self.cluster.get("pods", pod).unwrap()["metadata"]["annotations"].clone()
    }
}

fn quota() -> Refused {
    Refused::new(403, "Forbidden", "pods is forbidden: exceeded quota: small, requested: pods=1, used: pods=2, limited: pods=2")
}

#[tokio::test(start_paused = true)]
async fn pods_that_the_cache_does_not_show_yet_are_starting_and_not_made_twice() {
    let mut bench = Bench::new();
    assert_eq!(bench.seen().await, [ServerState::Absent, ServerState::Absent, ServerState::Absent]);
    bench.ensure(&[0, 1, 2]).await.unwrap();
    assert_eq!(bench.cluster.names("pods"), ["stack-0", "stack-1", "stack-2"]);
    assert_eq!(bench.seen().await, [ServerState::Starting, ServerState::Starting, ServerState::Starting]);
    bench.ensure(&[0, 1, 2]).await.unwrap();
    assert_eq!(bench.creations(), 3);
    bench.catch_up();
    assert_eq!(bench.seen().await, [ServerState::Starting, ServerState::Starting, ServerState::Starting]);
    assert_eq!(bench.fleet().pods().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_an_earlier_operator_made_is_taken_as_made() {
    let mut bench = Bench::new();
    bench.ensure(&[0]).await.unwrap();
    bench.recent = Arc::default();
    bench.ensure(&[0]).await.unwrap();
    assert_eq!((bench.creations(), bench.cluster.names("pods").len()), (2, 1), "the second was refused, which is well");
    assert_eq!(bench.seen().await[0], ServerState::Starting);
    assert_eq!((bench.recent.launched(), bench.recent.counts(), bench.recent.troubled()), (1, (0, 0), None));
}

#[tokio::test(start_paused = true)]
async fn a_pod_of_somebody_else_is_left_alone_and_fails_the_job() {
    let bench = Bench::new();
    bench.cluster.put("pods", pod("stack-1", &json!({"app": "database"})));
    let plan_of_three = Observed { servers: vec![Seen::Absent; 3], restarts: 0 };
    let launch = Step::Launch((0..3).map(ServerId).collect());
    transport::crypto::install_crypto();
    let servers = Servers::new(String::new()).unwrap();
    let failure = carry_out(&bench.fleet(), &servers, &plan_of_three, &launch).await.unwrap_err();
    assert_eq!(failure.reason, "NameTaken");
    assert!(failure.message.contains("a pod stack-1 exists that is not this job's"), "{}", failure.message);
    assert!(bench.cluster.requests("delete pods").is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_pod_of_a_deleted_job_of_the_same_name_is_waited_for() {
    let bench = Bench::new();
    bench.cluster.put("pods", pod("stack-0", &json!({"arrayjob.dev/name": "stack", "arrayjob.dev/uid": "another"})));
    bench.ensure(&[0]).await.unwrap();
    assert_eq!(bench.seen().await[0], ServerState::Absent, "tried again");
    bench.cluster.delete("pods", "stack-0");
    bench.ensure(&[0]).await.unwrap();
    assert_eq!(bench.seen().await[0], ServerState::Starting);
}

#[tokio::test(start_paused = true)]
async fn a_quota_that_is_used_up_is_told_and_counts_as_no_failure() {
    let bench = Bench::new();
    bench.cluster.refuse(|request| (request.line() == "create pods stack-1").then(quota));
    for _ in 0..3 {
        bench.ensure(&[0, 1, 2]).await.unwrap();
        assert_eq!(bench.recent.troubled().unwrap().reason, "QuotaExceeded");
        assert_eq!(bench.seen().await, [ServerState::Starting, ServerState::Absent, ServerState::Starting], "it never was there");
    }
    assert_eq!(bench.recent.counts(), (0, 0));
    bench.cluster.accept();
    bench.ensure(&[1]).await.unwrap();
    assert_eq!((bench.cluster.names("pods").len(), bench.recent.troubled(), bench.recent.launched()), (3, None, 3));
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_the_api_server_cannot_accept_fails_the_job() {
    let bench = Bench::new();
    bench.cluster.refuse(|request| (request.verb == "create").then(|| Refused::new(422, "Invalid", "tolerations[0].effect: Unsupported")));
    let error = bench.ensure(&[0]).await.unwrap_err();
    assert_eq!(error, "spec.servers: the cluster refuses such a pod (tolerations[0].effect: Unsupported)");
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_ended_is_replaced_once_however_old_the_cache_is() {
    let mut bench = Bench::new();
    bench.all_up().await;
    let uid = bench.cluster.uid("pods", "stack-1");
    bench.cluster.say("stack-1", ended(137, "OOMKilled"));
    bench.catch_up();
    for _ in 0..3 {
        let seen = bench.seen().await;
        if matches!(seen[1], ServerState::Exited(_)) {
            bench.ensure(&[1]).await.unwrap();
        }
    }
    assert_eq!(bench.seen().await[1], ServerState::Starting, "the cache still shows the one that ended");
    bench.ensure(&[1]).await.unwrap();
    let deletions = bench.cluster.requests("delete pods");
    assert_eq!((deletions.len(), bench.creations()), (1, 4));
    assert_eq!(deletions[0].body["preconditions"]["uid"], uid);
    assert_eq!(deletions[0].body["gracePeriodSeconds"], 0);
    bench.catch_up();
    assert_eq!((bench.seen().await[1].clone(), bench.recent.counts()), (ServerState::Starting, (1, 0)));
    let last = bench.recent.last().unwrap();
    assert_eq!((last.server.as_str(), last.reason.as_str(), last.exit_code), ("stack-1", "OOMKilled", Some(137)));
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_was_deleted_is_replaced_and_does_not_count_as_a_failure() {
    let mut bench = Bench::new();
    bench.all_up().await;
    bench.cluster.delete("pods", "stack-2");
    bench.catch_up();
    assert_eq!(bench.seen().await[2], ServerState::Lost("its pod was deleted".into()));
    bench.ensure(&[2]).await.unwrap();
    assert_eq!((bench.seen().await[2].clone(), bench.recent.counts()), (ServerState::Starting, (0, 1)));
}

#[tokio::test(start_paused = true)]
async fn counts_stand_in_the_pods_for_the_next_operator() {
    let mut bench = Bench::new();
    bench.all_up().await;
    assert_eq!(bench.annotations("stack-1"), json!({"arrayjob.dev/failures": "0", "arrayjob.dev/disruptions": "0"}));
    bench.cluster.say("stack-1", ended(1, "Error"));
    bench.cluster.delete("pods", "stack-2");
    bench.catch_up();
    bench.ensure(&[1]).await.unwrap();
    bench.ensure(&[2]).await.unwrap();
    assert_eq!(bench.annotations("stack-1"), json!({"arrayjob.dev/failures": "1", "arrayjob.dev/disruptions": "0"}));
    assert_eq!(bench.annotations("stack-2"), json!({"arrayjob.dev/failures": "1", "arrayjob.dev/disruptions": "1"}));
    bench.recent = Arc::default();
    bench.catch_up();
    bench.seen().await;
    assert_eq!((bench.recent.counts(), bench.fleet().restarts()), ((1, 1), 1), "only failures count towards backoffLimit");
}

#[tokio::test(start_paused = true)]
async fn one_loss_counts_once_however_long_its_replacement_is_refused() {
    let mut bench = Bench::new();
    bench.all_up().await;
    bench.cluster.say("stack-0", ended(1, "Error"));
    bench.cluster.delete("pods", "stack-2");
    bench.catch_up();
    bench.cluster.refuse(|request| (request.line() == "create pods stack-2").then(quota));
    bench.cluster.refuse(|request| (request.line() == "delete pods stack-0").then(|| Refused::new(500, "InternalError", "etcd is slow")));
    for _ in 0..5 {
        bench.ensure(&[0, 2]).await.unwrap();
        bench.catch_up();
        bench.seen().await;
    }
    assert_eq!(bench.recent.counts(), (1, 1));
    bench.cluster.accept();
    bench.ensure(&[0, 2]).await.unwrap();
    assert_eq!((bench.recent.counts(), bench.cluster.names("pods").len()), ((1, 1), 3));
    bench.catch_up();
    bench.cluster.say("stack-0", ended(1, "Error"));
    bench.catch_up();
    bench.ensure(&[0]).await.unwrap();
    assert_eq!(bench.recent.counts(), (2, 1), "the next loss counts again");
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_somebody_else_replaced_meanwhile_is_not_deleted() {
    let mut bench = Bench::new();
    bench.all_up().await;
    bench.cluster.say("stack-1", ended(1, "Error"));
    bench.catch_up();
    let mut replacement = bench.cluster.get("pods", "stack-1").unwrap();
    bench.cluster.delete("pods", "stack-1");
    replacement["metadata"]["uid"] = Value::Null;
    replacement["status"] = json!({"phase": "Pending"});
    bench.cluster.put("pods", replacement);
    let uid = bench.cluster.uid("pods", "stack-1");
    bench.ensure(&[1]).await.unwrap();
    assert_eq!(bench.cluster.uid("pods", "stack-1"), uid);
    assert_eq!(bench.seen().await[1], ServerState::Starting);
}

#[tokio::test(start_paused = true)]
async fn a_job_that_is_gone_or_going_launches_nothing() {
    let mut bench = Bench::new();
    let mut going = (*bench.job).clone();
    going.metadata.deletion_timestamp = Some(serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap());
    bench.jobs.apply_watcher_event(&Event::Apply(going));
    bench.ensure(&[0]).await.unwrap();
    bench.jobs.apply_watcher_event(&Event::Delete((*bench.job).clone()));
    bench.ensure(&[0]).await.unwrap();
    let mut namesake: ArrayJob = serde_json::from_value(manifest(&json!({}))).unwrap();
    namesake.metadata.uid = Some("another".into());
    bench.jobs.apply_watcher_event(&Event::Apply(namesake));
    bench.ensure(&[0]).await.unwrap();
    assert_eq!(bench.creations(), 0);
}
