//! An operator that runs on the fake cluster, and helper functions for jobs and pods.

use crate::api_server::{Cluster, NAMESPACE};
use api::egress::EgressPolicy;
use crds::{ArrayJob, ArrayJobStatus};
use operator::controller::{self, Settings};
use operator::fleet::kubernetes::pod;
use operator::health::Health;
use operator::identity::MasterKey;
use operator::metrics::Metrics;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// The key of all operators.
pub(crate) const KEY: [u8; 32] = [7; 32];

pub(crate) fn settings() -> Settings {
    let servers = pod::Options {
        image: "chunkserver:test".into(),
        image_pull_policy: None,
        image_pull_secrets: vec![],
        service_account: None,
        cpu: "1".into(),
        memory: "1Gi".into(),
        egress: EgressPolicy::default(),
        source_secrets: "*".parse().unwrap(),
    };
    Settings { servers, network_policies: true, namespace: "arrayjob-system".into() }
}

/// A running operator. A dropped operator stops without cleanup, like on a lost node.
pub(crate) struct Operator {
    task: JoinHandle<()>,
    stop: Option<oneshot::Sender<()>>,
    pub(crate) health: Arc<Health>,
    pub(crate) metrics: Arc<Metrics>,
}

impl Operator {
    pub(crate) fn start(cluster: &Cluster) -> Self {
        Self::with_key(cluster, &KEY)
    }

    /// An operator with this key.
    pub(crate) fn with_key(cluster: &Cluster, key: &[u8; 32]) -> Self {
        transport::crypto::install_crypto();
        let (health, metrics) = (Arc::new(Health::default()), Arc::new(Metrics::default()));
        health.lead();
        let (stop, stopped) = oneshot::channel::<()>();
        let options = controller::Options { settings: settings(), watch: None, instance: "test".into() };
        let shutdown = async move { drop(stopped.await) };
        let work = controller::run(cluster.client(), options, MasterKey::new(key), Arc::clone(&health), Arc::clone(&metrics), shutdown);
        Self { task: tokio::spawn(work), stop: Some(stop), health, metrics }
    }

    /// Stops as after SIGTERM.
    pub(crate) async fn stop(mut self) {
        drop(self.stop.take());
        (&mut self.task).await.unwrap();
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A manifest of 100 small frames on three servers, with more fields in its spec.
pub(crate) fn manifest(more: &Value) -> Value {
    let images = json!({"urlTemplate": "http://images.invalid/{index}", "count": 100});
    let mut spec = json!({
        "source": {"images": images, "frame": {"height": 60, "width": 80, "dtype": "uint8"}},
        "fft": {},
        "servers": {"replicas": 3},
    });
    for (field, value) in more.as_object().unwrap() {
        spec[field] = value.clone();
    }
    json!({"apiVersion": "arrayjob.dev/v1alpha1", "kind": "ArrayJob", "metadata": {"name": "stack"}, "spec": spec})
}

impl Cluster {
    /// Applies a manifest.
    pub(crate) fn apply(&self, more: &Value) {
        self.put("arrayjobs", manifest(more));
    }

    pub(crate) fn job(&self) -> ArrayJob {
        serde_json::from_value(self.get("arrayjobs", "stack").unwrap()).unwrap()
    }

    pub(crate) fn status(&self) -> ArrayJobStatus {
        self.get("arrayjobs", "stack").and_then(|job| serde_json::from_value(job["status"].clone()).ok()).unwrap_or_default()
    }

    pub(crate) fn phase(&self) -> String {
        self.status().phase.unwrap_or_default()
    }

    /// Status and reason of a condition.
    pub(crate) fn condition(&self, type_: &str) -> (String, String) {
        let conditions = self.status().conditions;
        conditions.into_iter().find(|condition| condition.type_ == type_).map(|found| (found.status, found.reason)).unwrap_or_default()
    }

    pub(crate) fn message(&self, type_: &str) -> String {
        self.status().conditions.into_iter().find(|condition| condition.type_ == type_).map(|found| found.message).unwrap_or_default()
    }

    /// Reasons of all events so far, in order. A repeated event within minutes is a patch of the first event.
    pub(crate) fn events(&self) -> Vec<String> {
        let events = self.log().into_iter().filter(|request| request.kind == "events" && request.code == 200);
        events.map(|request| request.body["reason"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// Sets the status of a pod, as the kubelet does.
    pub(crate) fn set_pod_status(&self, pod: &str, status: Value) {
        self.edit("pods", pod, |pod| pod["status"] = status);
    }

    /// Waits until the cluster has this number of pods.
    pub(crate) async fn until_pods(&self, count: usize) {
        self.until(&format!("{count} pods"), |cluster| cluster.names("pods").len() == count).await;
    }

    pub(crate) async fn until_phase(&self, phase: &str) {
        self.until(phase, |cluster| cluster.phase() == phase).await;
    }

    pub(crate) fn uid(&self, kind: &str, name: &str) -> String {
        self.get(kind, name).unwrap()["metadata"]["uid"].as_str().unwrap().to_owned()
    }
}

/// The status of a pod whose container is in this state.
pub(crate) fn container(phase: &str, state: &Value) -> Value {
    json!({"phase": phase, "podIP": "127.0.0.9", "containerStatuses":
        [{"name": "server", "state": state, "image": "i", "imageID": "", "ready": false, "restartCount": 0}]})
}

pub(crate) fn ended(code: i32, reason: &str) -> Value {
    container("Failed", &json!({"terminated": {"exitCode": code, "reason": reason}}))
}

pub(crate) fn unschedulable(message: &str) -> Value {
    json!({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}]})
}

/// A pod that another owner creates.
pub(crate) fn pod(name: &str, labels: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": NAMESPACE, "labels": labels}, "spec": {"containers": []}})
}
