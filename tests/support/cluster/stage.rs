//! A namespace for one test, which enforces the restricted Pod Security Standard. The test deletes the namespace at its end.

use super::applied::Applied;
use super::forward::Forward;
use super::operator::Operator;
use super::tools::{kubectl, tool};
use super::{seconds, until};
use crate::http::Response;
use crate::job::Job;
use crate::place::CommandOutput;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The API of ArrayJobs.
pub(super) const JOBS: &str = "/apis/arrayjob.dev/v1alpha1";
/// Time limit for the controllers of the cluster, which may wait for a Lease after a restart.
const CONTROLLERS_TIMEOUT: Duration = seconds(90);
/// Time limit for the deletion of a namespace.
const DELETION_TIMEOUT: Duration = seconds(60);
/// A label of all test namespaces, for the cleanup after a killed test.
const LABEL: &str = "arrayjob.dev/test";
/// Namespaces with a pending deletion, and the time of the request.
static TERMINATING: Mutex<Vec<(String, Instant)>> = Mutex::new(Vec::new());

/// A namespace for a test. The test calls [`end`](Self::end); otherwise, dropping the value prints the state of the namespace.
#[derive(Debug)]
pub struct Stage {
    /// The namespace.
    pub namespace: String,
    /// The operator during this test.
    pub operator: Operator,
    api: Arc<Forward>,
    ended: bool,
}

/// A movie behind a Service.
#[derive(Clone, Debug)]
pub struct Source {
    /// The URL template of the frames.
    pub url: String,
}

impl Stage {
    /// Creates the namespace `aj-NAME-…`.
    pub fn new(name: &str) -> Self {
        let api = Arc::new(Forward::to_api());
        let namespace = format!("aj-{name}-{}", std::process::id());
        let labels = json!({LABEL: "true", "pod-security.kubernetes.io/enforce": "restricted"});
        let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": labels}});
        tool("kubectl", ["create", "-f", "-"], &object.to_string()).must_succeed();
        let get = |path: &str| api.call("GET", path, &[]);
        // The API server refuses pods before the service account exists.
        until("the namespace has its service account", CONTROLLERS_TIMEOUT, || {
            let response = get(&format!("/api/v1/namespaces/{namespace}/serviceaccounts/default"));
            if response.status == 200 { Ok(()) } else { Err(response.text()) }
        });
        let since: Value = serde_json::from_slice(&get(&format!("/api/v1/namespaces/{namespace}")).body).unwrap();
        let since = since["metadata"]["creationTimestamp"].as_str().unwrap();
        Self { operator: Operator::since(since, Arc::clone(&api)), namespace, api, ended: false }
    }

    /// Sets the warnings of the operator that this test causes: parts of log lines.
    #[must_use]
    pub fn expecting(mut self, warnings: &[&'static str]) -> Self {
        self.operator.expect(warnings);
        self
    }

    /// Runs kubectl in this namespace; returns standard output.
    ///
    /// # Panics
    /// When kubectl fails.
    pub fn kubectl(&self, arguments: &[&str]) -> String {
        kubectl([&["-n", &self.namespace], arguments].concat())
    }

    /// Applies a manifest; returns the result of `kubectl apply`.
    pub fn try_apply(&self, manifest: &str) -> CommandOutput {
        tool("kubectl", ["apply", "-n", &self.namespace, "-f", "-"], manifest)
    }

    /// Applies an object.
    pub fn apply(&self, object: &Value) {
        self.try_apply(&object.to_string()).must_succeed();
    }

    /// Applies a job.
    pub fn start(&self, name: &str, job: &Job) -> Applied<'_> {
        self.try_apply(&job.manifest(name)).must_succeed();
        self.job(name)
    }

    /// An existing job.
    pub fn job(&self, name: &str) -> Applied<'_> {
        Applied { stage: self, name: name.to_owned() }
    }

    /// Starts `arrayjob movie` with these arguments, and waits until the pod is ready.
    pub fn movie(&self, arguments: &[&str]) -> Source {
        self.movie_on(arguments, None)
    }

    /// As [`movie`](Self::movie), on the named node.
    pub fn movie_on(&self, arguments: &[&str], node: Option<&str>) -> Source {
        let command: Vec<&str> = [&["/arrayjob", "movie", "--listen", "0.0.0.0:8000"], arguments].concat();
        let labels = json!({"app": "movie"});
        let container = json!({
            "name": "movie", "image": self.operator.image(), "imagePullPolicy": "IfNotPresent", "command": command,
            "ports": [{"containerPort": 8000}],
            "readinessProbe": {"tcpSocket": {"port": 8000}, "periodSeconds": 1},
            "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}},
            "securityContext": {"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]}},
        });
        let pod = json!({
            "containers": [container], "terminationGracePeriodSeconds": 0, "automountServiceAccountToken": false, "nodeName": node,
            "securityContext": {"runAsNonRoot": true, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
        });
        let template = json!({"metadata": {"labels": labels}, "spec": pod});
        self.apply(&json!({"apiVersion": "v1", "kind": "List", "items": [
            {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "movie"},
             "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}},
            {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "movie"},
             "spec": {"selector": labels, "ports": [{"port": 8000}]}},
        ]}));
        // A job would also wait for the movie, but with growing intervals between retries.
        self.until_available("movie");
        Source { url: format!("http://movie.{}.svc:8000/{{index}}.png", self.namespace) }
    }

    /// Sends a request about this namespace to the API server: `call("GET", "/api/v1", "pods")`.
    pub fn call(&self, method: &str, group: &str, path: &str) -> Response {
        self.api.call(method, &format!("{group}/namespaces/{}/{path}", self.namespace), &[])
    }

    /// Reads an object or a list; null if it does not exist.
    pub fn get(&self, group: &str, path: &str) -> Value {
        let response = self.call("GET", group, path);
        if response.status == 200 { serde_json::from_slice(&response.body).unwrap() } else { Value::Null }
    }

    /// Reads all objects of a kind.
    pub fn list(&self, group: &str, kind: &str) -> Vec<Value> {
        let found = self.get(group, kind);
        found["items"].as_array().unwrap_or_else(|| panic!("no list of {kind}")).clone()
    }

    /// Reasons and counts of the events about an ArrayJob.
    pub(super) fn events(&self, about: &str) -> Vec<(String, u64)> {
        let events = self.list("/apis/events.k8s.io/v1", "events");
        let own = events.iter().filter(|event| event["regarding"]["name"] == about && event["regarding"]["kind"] == "ArrayJob");
        own.map(|event| (event["reason"].as_str().unwrap_or_default().to_owned(), event["series"]["count"].as_u64().unwrap_or(1))).collect()
    }

    /// Ends the test: deletes the namespace, and checks the log of the operator.
    ///
    /// # Panics
    /// When the log has unexpected lines, or when an earlier namespace still exists after a minute.
    pub fn end(mut self) {
        self.remove_jobs();
        self.operator.must_have_a_clean_log();
        self.delete();
        self.ended = true;
        self.check_terminating();
    }

    /// Deletes the jobs before the namespace: pods that disappear from an active job would count as lost servers.
    fn remove_jobs(&self) {
        self.call("DELETE", JOBS, "arrayjobs");
        until("no ArrayJob is left", seconds(10), || {
            let left = self.list(JOBS, "arrayjobs");
            if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
        });
    }

    fn delete(&self) {
        self.api.call("DELETE", &format!("/api/v1/namespaces/{}", self.namespace), &[]);
        TERMINATING.lock().unwrap_or_else(PoisonError::into_inner).push((self.namespace.clone(), Instant::now()));
    }

    /// Kubernetes deletes namespaces while the next test runs. `tests/cluster/run` waits for the last namespaces.
    fn check_terminating(&self) {
        let mut terminating = TERMINATING.lock().unwrap_or_else(PoisonError::into_inner);
        terminating.retain(|(namespace, since)| {
            let found = self.api.call("GET", &format!("/api/v1/namespaces/{namespace}"), &[]);
            assert!(
                found.status == 404 || since.elapsed() < DELETION_TIMEOUT,
                "{namespace} still exists after {DELETION_TIMEOUT:?}: {}",
                found.text()
            );
            found.status != 404
        });
    }

    /// Prints the state of the namespace.
    #[expect(clippy::print_stderr, reason = "libtest captures standard error and shows it with the failure")]
    fn dump(&self) {
        let show = |title: &str, arguments: &[&str]| {
            let ended = tool("kubectl", [&["-n", &self.namespace], arguments].concat(), "");
            eprintln!("---- {title}\n{}{}", ended.text(), ended.stderr);
        };
        show("ArrayJobs", &["get", "arrayjobs", "-o", "yaml"]);
        show("pods", &["get", "pods,services,networkpolicies", "-o", "wide"]);
        show("events", &["get", "events", "--sort-by=.metadata.creationTimestamp"]);
        show("servers", &["logs", "-l", "app.kubernetes.io/component=chunk-server", "--prefix", "--tail=40"]);
        eprintln!("---- operator\n{}", self.operator.log());
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if !self.ended {
            self.dump();
            if std::env::var_os("ARRAYJOB_TEST_KEEP").is_none() {
                self.call("DELETE", JOBS, "arrayjobs");
                self.delete();
            }
        }
    }
}
