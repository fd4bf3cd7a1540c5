//! The fleet of pods against the fake API server. The test decides when the caches are updated.

use crate::api_server::Cluster;
use crate::operator::{container, ended, manifest, pod, settings};
use crate::responses::Refused;
use api::next_step::Step;
use api::phase::{Observed, Seen};
use api::plan::ServerId;
use crds::ArrayJob;
use kube::runtime::reflector::{self, store::Writer};
use kube::runtime::watcher::Event;
use operator::carry_out::carry_out;
use operator::fleet::kubernetes::{Caches, KubernetesFleet, PodCache, RecentWrites, pod as pods};
use operator::fleet::{Fleet as _, ServerState};
use operator::server_client::ServerClient;
use operator::servers::Servers;
use serde_json::{Value, json};
use std::sync::Arc;

/// The fleet of one job, and its caches.
struct Fixture {
    cluster: Cluster,
    job: Arc<ArrayJob>,
    caches: Caches,
    jobs: Writer<ArrayJob>,
    recent: Arc<RecentWrites>,
}

impl Fixture {
    fn new() -> Self {
        let cluster = Cluster::default();
        cluster.apply(&json!({}));
        let job = cluster.job();
        let (job_store, mut jobs) = reflector::store();
        jobs.apply_watcher_event(&Event::Apply(job.clone()));
        let caches = Caches { pods: PodCache::default(), jobs: job_store };
        Self { cluster, job: Arc::new(job), caches, jobs, recent: Arc::default() }
    }

    fn fleet(&self) -> KubernetesFleet {
        let options = settings().servers;
        let size = pods::size(&self.job, &options).unwrap();
        let template = pods::Template { options, size, scratch_bytes: 0 };
        KubernetesFleet::new(self.cluster.client(), Arc::clone(&self.job), template, &self.caches, Arc::clone(&self.recent))
    }

    /// Updates the cache to all existing pods.
    fn update_cache(&mut self) {
        self.caches.pods.apply(&Event::Init);
        for name in self.cluster.names("pods") {
            let pod = serde_json::from_value(self.cluster.get("pods", &name).unwrap()).unwrap();
            self.caches.pods.apply(&Event::InitApply(pod));
        }
        self.caches.pods.apply(&Event::InitDone);
    }

    async fn ensure(&self, ids: &[usize]) -> Result<(), String> {
        let ids: Vec<ServerId> = ids.iter().copied().map(ServerId).collect();
        self.fleet().ensure(&ids).await.map_err(|error| error.to_string())
    }

    async fn states(&self) -> Vec<ServerState> {
        self.fleet().observe(3).await
    }

    /// All three servers, up.
    async fn all_up(&mut self) {
        self.ensure(&[0, 1, 2]).await.unwrap();
        for index in 0..3 {
            self.cluster.set_pod_status(&format!("stack-{index}"), container("Running", &json!({"running": {}})));
        }
        self.update_cache();
        assert!(self.states().await.iter().all(|state| matches!(state, ServerState::Up(_))));
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
async fn pods_that_the_cache_does_not_show_are_starting_and_not_created_twice() {
    let mut fixture = Fixture::new();
    assert_eq!(fixture.states().await, [ServerState::Absent, ServerState::Absent, ServerState::Absent]);
    fixture.ensure(&[0, 1, 2]).await.unwrap();
    assert_eq!(fixture.cluster.names("pods"), ["stack-0", "stack-1", "stack-2"]);
    assert_eq!(fixture.states().await, [ServerState::Starting, ServerState::Starting, ServerState::Starting]);
    fixture.ensure(&[0, 1, 2]).await.unwrap();
    assert_eq!(fixture.creations(), 3);
    fixture.update_cache();
    assert_eq!(fixture.states().await, [ServerState::Starting, ServerState::Starting, ServerState::Starting]);
    assert_eq!(fixture.fleet().pods().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_an_earlier_operator_created_is_adopted() {
    let mut fixture = Fixture::new();
    fixture.ensure(&[0]).await.unwrap();
    fixture.recent = Arc::default();
    fixture.ensure(&[0]).await.unwrap();
    assert_eq!((fixture.creations(), fixture.cluster.names("pods").len()), (2, 1), "the second creation is refused");
    assert_eq!(fixture.states().await[0], ServerState::Starting);
    assert_eq!((fixture.recent.launched(), fixture.recent.counts(), fixture.recent.create_error()), (1, (0, 0), None));
}

#[tokio::test(start_paused = true)]
async fn a_pod_of_another_owner_is_not_deleted_and_fails_the_job() {
    let fixture = Fixture::new();
    fixture.cluster.put("pods", pod("stack-1", &json!({"app": "database"})));
    let plan_of_three = Observed { servers: vec![Seen::Absent; 3], restarts: 0, oom_kills: 0, untrusted: 0 };
    let launch = Step::Launch((0..3).map(ServerId).collect());
    transport::crypto::install_crypto();
    let servers = Servers::new(ServerClient::new(String::new()).unwrap());
    let failure = carry_out(&fixture.fleet(), &servers, &plan_of_three, &launch).await.unwrap_err();
    assert_eq!(failure.reason, "NameTaken");
    assert!(failure.message.contains("the pod stack-1 exists and does not belong to this job"), "{}", failure.message);
    assert!(fixture.cluster.requests("delete pods").is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_fleet_waits_for_the_deletion_of_the_pod_of_an_earlier_job() {
    let fixture = Fixture::new();
    fixture.cluster.put("pods", pod("stack-0", &json!({"arrayjob.dev/name": "stack", "arrayjob.dev/uid": "another"})));
    fixture.ensure(&[0]).await.unwrap();
    assert_eq!(fixture.states().await[0], ServerState::Absent, "the next turn retries");
    fixture.cluster.delete("pods", "stack-0");
    fixture.ensure(&[0]).await.unwrap();
    assert_eq!(fixture.states().await[0], ServerState::Starting);
}

#[tokio::test(start_paused = true)]
async fn an_exhausted_quota_is_reported_and_is_not_a_failure() {
    let fixture = Fixture::new();
    fixture.cluster.refuse(|request| (request.line() == "create pods stack-1").then(quota));
    for _ in 0..3 {
        fixture.ensure(&[0, 1, 2]).await.unwrap();
        assert_eq!(fixture.recent.create_error().unwrap().reason, "QuotaExceeded");
        assert_eq!(
            fixture.states().await,
            [ServerState::Starting, ServerState::Absent, ServerState::Starting],
            "the pod was never created"
        );
    }
    assert_eq!(fixture.recent.counts(), (0, 0));
    fixture.cluster.accept();
    fixture.ensure(&[1]).await.unwrap();
    assert_eq!((fixture.cluster.names("pods").len(), fixture.recent.create_error(), fixture.recent.launched()), (3, None, 3));
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_the_api_server_refuses_as_invalid_fails_the_job() {
    let fixture = Fixture::new();
    fixture
        .cluster
        .refuse(|request| (request.verb == "create").then(|| Refused::new(422, "Invalid", "tolerations[0].effect: Unsupported")));
    let error = fixture.ensure(&[0]).await.unwrap_err();
    assert_eq!(error, "spec.servers: the cluster refuses a pod with these fields (tolerations[0].effect: Unsupported)");
}

#[tokio::test(start_paused = true)]
async fn an_ended_pod_is_replaced_once_even_with_an_old_cache() {
    let mut fixture = Fixture::new();
    fixture.all_up().await;
    let uid = fixture.cluster.uid("pods", "stack-1");
    fixture.cluster.set_pod_status("stack-1", ended(137, "OOMKilled"));
    fixture.update_cache();
    for _ in 0..3 {
        let states = fixture.states().await;
        if matches!(states[1], ServerState::Exited(_)) {
            fixture.ensure(&[1]).await.unwrap();
        }
    }
    assert_eq!(fixture.states().await[1], ServerState::Starting, "the cache still shows the ended pod");
    fixture.ensure(&[1]).await.unwrap();
    let deletions = fixture.cluster.requests("delete pods");
    assert_eq!((deletions.len(), fixture.creations()), (1, 4));
    assert_eq!(deletions[0].body["preconditions"]["uid"], uid);
    assert_eq!(deletions[0].body["gracePeriodSeconds"], 0);
    fixture.update_cache();
    assert_eq!((fixture.states().await[1].clone(), fixture.recent.counts()), (ServerState::Starting, (1, 0)));
    let last = fixture.recent.last().unwrap();
    assert_eq!((last.server.as_str(), last.reason.as_str(), last.exit_code), ("stack-1", "OOMKilled", Some(137)));
}

#[tokio::test(start_paused = true)]
async fn a_deleted_pod_is_replaced_and_is_not_a_failure() {
    let mut fixture = Fixture::new();
    fixture.all_up().await;
    fixture.cluster.delete("pods", "stack-2");
    fixture.update_cache();
    assert_eq!(fixture.states().await[2], ServerState::Lost("its pod was deleted".into()));
    fixture.ensure(&[2]).await.unwrap();
    assert_eq!((fixture.states().await[2].clone(), fixture.recent.counts()), (ServerState::Starting, (0, 1)));
}

#[tokio::test(start_paused = true)]
async fn annotations_of_pods_carry_the_counts_to_the_next_operator() {
    let mut fixture = Fixture::new();
    fixture.all_up().await;
    assert_eq!(fixture.annotations("stack-1"), json!({"arrayjob.dev/failures": "0", "arrayjob.dev/disruptions": "0"}));
    fixture.cluster.set_pod_status("stack-1", ended(1, "Error"));
    fixture.cluster.delete("pods", "stack-2");
    fixture.update_cache();
    fixture.ensure(&[1]).await.unwrap();
    fixture.ensure(&[2]).await.unwrap();
    assert_eq!(fixture.annotations("stack-1"), json!({"arrayjob.dev/failures": "1", "arrayjob.dev/disruptions": "0"}));
    assert_eq!(fixture.annotations("stack-2"), json!({"arrayjob.dev/failures": "1", "arrayjob.dev/disruptions": "1"}));
    fixture.recent = Arc::default();
    fixture.update_cache();
    fixture.states().await;
    assert_eq!((fixture.recent.counts(), fixture.fleet().restarts()), ((1, 1), 1), "only failures count towards backoffLimit");
}

#[tokio::test(start_paused = true)]
async fn one_loss_counts_once_while_its_replacement_is_refused() {
    let mut fixture = Fixture::new();
    fixture.all_up().await;
    fixture.cluster.set_pod_status("stack-0", ended(1, "Error"));
    fixture.cluster.delete("pods", "stack-2");
    fixture.update_cache();
    fixture.cluster.refuse(|request| (request.line() == "create pods stack-2").then(quota));
    fixture.cluster.refuse(|request| (request.line() == "delete pods stack-0").then(|| Refused::new(500, "InternalError", "etcd is slow")));
    for _ in 0..5 {
        fixture.ensure(&[0, 2]).await.unwrap();
        fixture.update_cache();
        fixture.states().await;
    }
    assert_eq!(fixture.recent.counts(), (1, 1));
    fixture.cluster.accept();
    fixture.ensure(&[0, 2]).await.unwrap();
    assert_eq!((fixture.recent.counts(), fixture.cluster.names("pods").len()), ((1, 1), 3));
    fixture.update_cache();
    fixture.cluster.set_pod_status("stack-0", ended(1, "Error"));
    fixture.update_cache();
    fixture.ensure(&[0]).await.unwrap();
    assert_eq!(fixture.recent.counts(), (2, 1), "the next loss counts too");
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_another_client_replaced_is_not_deleted() {
    let mut fixture = Fixture::new();
    fixture.all_up().await;
    fixture.cluster.set_pod_status("stack-1", ended(1, "Error"));
    fixture.update_cache();
    let mut replacement = fixture.cluster.get("pods", "stack-1").unwrap();
    fixture.cluster.delete("pods", "stack-1");
    replacement["metadata"]["uid"] = Value::Null;
    replacement["status"] = json!({"phase": "Pending"});
    fixture.cluster.put("pods", replacement);
    let uid = fixture.cluster.uid("pods", "stack-1");
    fixture.ensure(&[1]).await.unwrap();
    assert_eq!(fixture.cluster.uid("pods", "stack-1"), uid);
    assert_eq!(fixture.states().await[1], ServerState::Starting);
}

#[tokio::test(start_paused = true)]
async fn a_deleted_or_terminating_job_launches_nothing() {
    let mut fixture = Fixture::new();
    let mut terminating = (*fixture.job).clone();
    terminating.metadata.deletion_timestamp = Some(serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap());
    fixture.jobs.apply_watcher_event(&Event::Apply(terminating));
    fixture.ensure(&[0]).await.unwrap();
    fixture.jobs.apply_watcher_event(&Event::Delete((*fixture.job).clone()));
    fixture.ensure(&[0]).await.unwrap();
    let mut namesake: ArrayJob = serde_json::from_value(manifest(&json!({}))).unwrap();
    namesake.metadata.uid = Some("another".into());
    fixture.jobs.apply_watcher_event(&Event::Apply(namesake));
    fixture.ensure(&[0]).await.unwrap();
    assert_eq!(fixture.creations(), 0);
}
