//! The operator that is under test: its pods, its log, its end.

use super::forward::Forward;
use super::node;
use super::tools::{helm, kubectl, tool};
use super::{seconds, until};
use serde_json::Value;
use std::sync::{Arc, Mutex, PoisonError};

/// The release's namespace.
pub const NAMESPACE: &str = "arrayjob-system";
/// The release.
pub const RELEASE: &str = "arrayjob";
const SELECTOR: &str = "app.kubernetes.io/name=arrayjob,app.kubernetes.io/component=operator,app.kubernetes.io/instance=arrayjob";
/// Warnings that are none of the operator's doing: a cluster on a busy disk has them.
const OF_THE_CLUSTER: [&str; 2] = ["etcdserver: request timed out", "etcdserver: leader changed"];

/// The operator during one test.
#[derive(Debug)]
pub struct Operator {
    api: Arc<Forward>,
    since: String,
    expected: Vec<&'static str>,
    /// Its pods when the test began; nothing once the test has done something to them.
    found: Mutex<Option<Vec<OperatorPod>>>,
    /// The log of pods that are no more.
    earlier: Mutex<String>,
}

/// One of its pods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatorPod {
    /// Its name.
    pub name: String,
    /// Its node.
    pub node: String,
    /// Its container, which no later start shares.
    pub container: String,
    ready: bool,
}

/// The release's values, for installing it once more.
pub fn values() -> String {
    helm(["get", "values", RELEASE, "-n", NAMESPACE, "-o", "json"])
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

impl Operator {
    pub(super) fn since(since: &str, api: Arc<Forward>) -> Self {
        let operator = Self { api, since: since.to_owned(), expected: Vec::new(), found: Mutex::default(), earlier: Mutex::default() };
        *operator.found.lock().unwrap() = Some(operator.pods());
        operator
    }

    pub(super) fn expect(&mut self, warnings: &[&'static str]) {
        self.expected.extend(warnings);
    }

    fn list(&self, group: &str, kind: &str) -> Vec<Value> {
        let answer = self.api.call("GET", &format!("{group}/namespaces/{NAMESPACE}/{kind}?labelSelector={SELECTOR}"), &[]);
        let found: Value = serde_json::from_slice(&answer.body).unwrap_or_else(|_| panic!("{kind}: {}", answer.text()));
        found["items"].as_array().cloned().unwrap_or_default()
    }

    /// Its image, which servers and movies run, too.
    pub fn image(&self) -> String {
        let found = self.list("/apis/apps/v1", "deployments");
        let image = found.first().map(|operator| text(&operator["spec"]["template"]["spec"]["containers"][0]["image"]));
        image.unwrap_or_else(|| panic!("there is no operator; tests/cluster/run installs it"))
    }

    /// Its pods that are not on their way out.
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

    /// All that it has logged since the test began, in the pods that were lost as well.
    pub fn log(&self) -> String {
        let since = format!("--since-time={}", self.since);
        let said = tool("kubectl", ["logs", "-n", NAMESPACE, "-l", SELECTOR, "--tail=-1", &since], "");
        self.earlier.lock().unwrap_or_else(PoisonError::into_inner).clone() + &said.text()
    }

    /// Its pods are about to change: what they have logged is kept.
    pub fn touch(&self) {
        let log = self.log();
        *self.earlier.lock().unwrap_or_else(PoisonError::into_inner) = log;
        *self.found.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Deletes its pod; the Deployment makes another.
    pub fn lose(&self) {
        self.touch();
        for pod in self.pods() {
            kubectl(["delete", "pod", &pod.name, "-n", NAMESPACE, "--wait=false"]);
        }
    }

    /// Sets the number of the Deployment's pods, and waits until so many are ready and no other is left.
    pub fn scale(&self, replicas: usize) {
        self.touch();
        let number = format!("--replicas={replicas}");
        kubectl(["scale", "deployment", "-n", NAMESPACE, "-l", SELECTOR, &number]);
        until(&format!("{replicas} pods of the operator are ready"), seconds(60), || {
            // Pods on their way out count: they may still write.
            let left = self.list("/api/v1", "pods").len();
            let ready = self.pods().iter().filter(|pod| pod.ready).count();
            if (left, ready) == (replicas, replicas) { Ok(()) } else { Err(format!("{left} pods, {ready} ready")) }
        });
    }

    /// Kills its process, which has no time to put anything away; deletes its pod where its node is no container here.
    pub fn crash(&self) {
        let pods = self.pods();
        match pods.first() {
            Some(pod) if node::is_here(&pod.node) && !pod.container.is_empty() => {
                self.touch();
                node::kill_container(&pod.node, &pod.container);
            }
            _ => self.lose(),
        }
    }

    /// Waits until one operator is there and ready.
    pub fn must_come_back(&self) {
        until("the operator is ready", seconds(60), || match &self.pods()[..] {
            [one] if one.ready => Ok(()),
            others => Err(format!("{others:?}")),
        });
    }

    /// Panics when it ended without the test's doing, or logged an error, or a warning that the test does not bring about.
    ///
    /// # Panics
    /// Then.
    pub fn must_be_content(&self) {
        if let Some(found) = &*self.found.lock().unwrap_or_else(PoisonError::into_inner) {
            assert_eq!(&self.pods(), found, "the operator has ended during the test; is there more in kubectl logs --previous?");
        }
        let log = self.log();
        let expected = |line: &str| self.expected.iter().chain(&OF_THE_CLUSTER).any(|expected| line.contains(expected));
        let complaint = |line: &&str| match line.split_whitespace().nth(1) {
            Some("ERROR") => true,
            Some("WARN") => !expected(line),
            _ => false,
        };
        let complaints: Vec<&str> = log.lines().filter(complaint).collect();
        assert!(complaints.is_empty(), "the operator complains:\n{}", complaints.join("\n"));
    }
}
