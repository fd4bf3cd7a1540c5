//! The operator under test: its pods and its log, and functions that end it.

use super::forward::Forward;
use super::node;
use super::tools::{helm, kubectl, tool};
use super::{seconds, until};
use serde_json::Value;
use std::sync::{Arc, Mutex, PoisonError};

/// The namespace of the Helm release.
pub const NAMESPACE: &str = "arrayjob-system";
/// The name of the Helm release.
pub const RELEASE: &str = "arrayjob";
/// Label selector of the pods of the operator.
pub const SELECTOR: &str = "app.kubernetes.io/name=arrayjob,app.kubernetes.io/component=operator,app.kubernetes.io/instance=arrayjob";
/// Warnings that the cluster causes: of etcd on a busy disk, and about the namespace of an earlier test that still ends.
const CLUSTER_WARNINGS: [&str; 3] = ["etcdserver: request timed out", "etcdserver: leader changed", "because it is being terminated"];

/// The operator during one test.
#[derive(Debug)]
pub struct Operator {
    api: Arc<Forward>,
    since: String,
    expected: Vec<&'static str>,
    /// The pods at the start of the test; `None` after the test has changed them.
    initial_pods: Mutex<Option<Vec<OperatorPod>>>,
    /// The log of deleted pods.
    earlier_log: Mutex<String>,
}

/// A pod of the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatorPod {
    /// The name of the pod.
    pub name: String,
    /// The node.
    pub node: String,
    /// The container id of the runtime: unique for each start.
    pub container: String,
    ready: bool,
}

/// The values of the release, for a later installation.
pub fn values() -> String {
    helm(["get", "values", RELEASE, "-n", NAMESPACE, "-o", "json"])
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

impl Operator {
    pub(super) fn since(since: &str, api: Arc<Forward>) -> Self {
        let operator =
            Self { api, since: since.to_owned(), expected: Vec::new(), initial_pods: Mutex::default(), earlier_log: Mutex::default() };
        *operator.initial_pods.lock().unwrap() = Some(operator.pods());
        operator
    }

    pub(super) fn expect(&mut self, warnings: &[&'static str]) {
        self.expected.extend(warnings);
    }

    fn list(&self, group: &str, kind: &str) -> Vec<Value> {
        let response = self.api.call("GET", &format!("{group}/namespaces/{NAMESPACE}/{kind}?labelSelector={SELECTOR}"), &[]);
        let found: Value = serde_json::from_slice(&response.body).unwrap_or_else(|_| panic!("{kind}: {}", response.text()));
        found["items"].as_array().cloned().unwrap_or_default()
    }

    /// The image of the operator, which servers and movies also use.
    pub fn image(&self) -> String {
        let found = self.list("/apis/apps/v1", "deployments");
        let image = found.first().map(|operator| text(&operator["spec"]["template"]["spec"]["containers"][0]["image"]));
        image.unwrap_or_else(|| panic!("the operator is not installed; tests/cluster/run installs it"))
    }

    /// The pods of the operator without terminating pods.
    pub fn pods(&self) -> Vec<OperatorPod> {
        let pod = |pod: &Value| OperatorPod {
            name: text(&pod["metadata"]["name"]),
            node: text(&pod["spec"]["nodeName"]),
            container: text(&pod["status"]["containerStatuses"][0]["containerID"]).rsplit('/').next().unwrap_or_default().to_owned(),
            ready: pod["status"]["containerStatuses"][0]["ready"] == true,
        };
        let found = self.list("/api/v1", "pods");
        found.iter().filter(|pod| pod["metadata"]["deletionTimestamp"].is_null()).map(pod).collect()
    }

    /// The log since the start of the test, including deleted pods.
    pub fn log(&self) -> String {
        let since = format!("--since-time={}", self.since);
        let logs = tool("kubectl", ["logs", "-n", NAMESPACE, "-l", SELECTOR, "--tail=-1", &since], "");
        self.earlier_log.lock().unwrap_or_else(PoisonError::into_inner).clone() + &logs.text()
    }

    /// Saves the log before the test changes the pods, and permits the change.
    pub fn allow_restart(&self) {
        let log = self.log();
        *self.earlier_log.lock().unwrap_or_else(PoisonError::into_inner) = log;
        *self.initial_pods.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Deletes the pod; the Deployment creates a new pod.
    pub fn delete_pod(&self) {
        self.allow_restart();
        for pod in self.pods() {
            kubectl(["delete", "pod", &pod.name, "-n", NAMESPACE, "--wait=false"]);
        }
    }

    /// Scales the Deployment, and waits until this number of pods is ready and no other pod is left.
    pub fn scale(&self, replicas: usize) {
        self.allow_restart();
        let number = format!("--replicas={replicas}");
        kubectl(["scale", "deployment", "-n", NAMESPACE, "-l", SELECTOR, &number]);
        until(&format!("{replicas} pods of the operator are ready"), seconds(60), || {
            // Terminating pods count, because they may still write.
            let left = self.list("/api/v1", "pods").len();
            let ready = self.pods().iter().filter(|pod| pod.ready).count();
            if (left, ready) == (replicas, replicas) { Ok(()) } else { Err(format!("{left} pods, {ready} ready")) }
        });
    }

    /// Kills the process with SIGKILL. If the node is not a local container, deletes the pod.
    pub fn crash(&self) {
        let pods = self.pods();
        match pods.first() {
            Some(pod) if node::is_local(&pod.node) && !pod.container.is_empty() => {
                self.allow_restart();
                node::kill_container(&pod.node, &pod.container);
            }
            _ => self.delete_pod(),
        }
    }

    /// Waits until exactly one pod exists and is ready.
    pub fn must_become_ready(&self) {
        until("the operator is ready", seconds(60), || match &self.pods()[..] {
            [one] if one.ready => Ok(()),
            others => Err(format!("{others:?}")),
        });
    }

    /// Checks that the operator did not restart unexpectedly, and logged no error and no unexpected warning.
    ///
    /// # Panics
    /// When a check fails.
    pub fn must_have_a_clean_log(&self) {
        if let Some(initial) = &*self.initial_pods.lock().unwrap_or_else(PoisonError::into_inner) {
            assert_eq!(&self.pods(), initial, "the operator restarted during the test; see kubectl logs --previous");
        }
        let log = self.log();
        let expected = |line: &str| self.expected.iter().chain(&CLUSTER_WARNINGS).any(|expected| line.contains(expected));
        let unexpected = |line: &&str| match line.split_whitespace().nth(1) {
            Some("ERROR") => true,
            Some("WARN") => !expected(line),
            _ => false,
        };
        let problems: Vec<&str> = log.lines().filter(unexpected).collect();
        assert!(problems.is_empty(), "unexpected errors or warnings in the log of the operator:\n{}", problems.join("\n"));
    }
}
