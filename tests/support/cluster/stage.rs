//! A namespace of its own for one test, which enforces the restricted Pod Security Standard; nothing outlives it.

use super::applied::Applied;
use super::forward::Forward;
use super::operator::Operator;
use super::tools::{kubectl, tool};
use super::{seconds, until};
use crate::http::Answer;
use crate::job::Job;
use crate::place::Ended;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The API of ArrayJobs.
pub(super) const JOBS: &str = "/apis/arrayjob.dev/v1alpha1";
/// How long a namespace may take to go.
const GOING: Duration = seconds(60);
/// Of all namespaces of tests, for whoever has to clear up after a test that was killed.
const LABEL: &str = "arrayjob.dev/test";
/// Namespaces that were deleted and not yet seen gone.
static LEAVING: Mutex<Vec<(String, Instant)>> = Mutex::new(Vec::new());

/// A namespace for a test. To be ended with [`end`](Self::end); dropped without, it tells all that is known of it.
#[derive(Debug)]
pub struct Stage {
    /// The namespace.
    pub namespace: String,
    /// The operator, as this test sees it.
    pub operator: Operator,
    api: Arc<Forward>,
    ended: bool,
}

/// A movie behind a Service.
#[derive(Clone, Debug)]
pub struct Source {
    /// Template of its frames' URLs.
    pub url: String,
}

impl Stage {
    /// Makes the namespace `aj-NAME-…`.
    pub fn new(name: &str) -> Self {
        let api = Arc::new(Forward::to_api());
        let namespace = format!("aj-{name}-{}", std::process::id());
        let labels = json!({LABEL: "true", "pod-security.kubernetes.io/enforce": "restricted"});
        let made = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": labels}});
        tool("kubectl", ["create", "-f", "-"], &made.to_string()).must_succeed();
        let get = |path: &str| api.call("GET", path, &[]);
        // Pods are refused before.
        until("the namespace has its service account", seconds(10), || {
            let answer = get(&format!("/api/v1/namespaces/{namespace}/serviceaccounts/default"));
            if answer.status == 200 { Ok(()) } else { Err(answer.text()) }
        });
        let since: Value = serde_json::from_slice(&get(&format!("/api/v1/namespaces/{namespace}")).body).unwrap();
        let since = since["metadata"]["creationTimestamp"].as_str().unwrap();
        Self { operator: Operator::since(since, Arc::clone(&api)), namespace, api, ended: false }
    }

    /// Warnings of the operator that this test brings about: each a part of a line.
    #[must_use]
    pub fn expecting(mut self, warnings: &[&'static str]) -> Self {
        self.operator.expect(warnings);
        self
    }

    /// What kubectl prints, in this namespace.
    ///
    /// # Panics
    /// When it fails.
    pub fn kubectl(&self, arguments: &[&str]) -> String {
        kubectl([&["-n", &self.namespace], arguments].concat())
    }

    /// Applies a manifest, as `kubectl apply` ends.
    pub fn try_apply(&self, manifest: &str) -> Ended {
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

    /// A job that is there already.
    pub fn job(&self, name: &str) -> Applied<'_> {
        Applied { stage: self, name: name.to_owned() }
    }

    /// Serves a movie with these arguments of `arrayjob movie`, and waits until it does.
    pub fn movie(&self, arguments: &[&str]) -> Source {
        self.movie_on(arguments, None)
    }

    /// As [`movie`](Self::movie), on the node of that name.
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
        // A job would wait, too, but longer the longer it has waited.
        self.until_available("movie");
        Source { url: format!("http://movie.{}.svc:8000/{{index}}.png", self.namespace) }
    }

    /// An answer of the API server about something in this namespace: `call("GET", "/api/v1", "pods")`.
    pub fn call(&self, method: &str, group: &str, path: &str) -> Answer {
        self.api.call(method, &format!("{group}/namespaces/{}/{path}", self.namespace), &[])
    }

    /// What is there; null where nothing is.
    pub fn get(&self, group: &str, path: &str) -> Value {
        let answer = self.call("GET", group, path);
        if answer.status == 200 { serde_json::from_slice(&answer.body).unwrap() } else { Value::Null }
    }

    /// All objects of a kind.
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

    /// Ends the test: what it leaves goes, in time, and the operator had nothing to complain of.
    ///
    /// # Panics
    /// When it had, or when an earlier namespace is still there after a minute.
    pub fn end(mut self) {
        self.remove_jobs();
        self.operator.must_be_content();
        self.leave();
        self.ended = true;
        self.must_have_left();
    }

    /// Jobs go before their namespace does: pods that vanish from a living job would be lost servers.
    fn remove_jobs(&self) {
        self.call("DELETE", JOBS, "arrayjobs");
        until("no ArrayJob is left", seconds(10), || {
            let left = self.list(JOBS, "arrayjobs");
            if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
        });
    }

    fn leave(&self) {
        self.api.call("DELETE", &format!("/api/v1/namespaces/{}", self.namespace), &[]);
        LEAVING.lock().unwrap_or_else(PoisonError::into_inner).push((self.namespace.clone(), Instant::now()));
    }

    /// Namespaces go while the next test runs; `tests/cluster/run` waits for the last ones.
    fn must_have_left(&self) {
        let mut leaving = LEAVING.lock().unwrap_or_else(PoisonError::into_inner);
        leaving.retain(|(namespace, since)| {
            let found = self.api.call("GET", &format!("/api/v1/namespaces/{namespace}"), &[]);
            assert!(found.status == 404 || since.elapsed() < GOING, "{namespace} is not gone after {GOING:?}: {}", found.text());
            found.status != 404
        });
    }

    /// All that is known, on standard error, where libtest shows it.
    #[expect(clippy::print_stderr, reason = "libtest takes it from there and shows it with the failure")]
    fn dump(&self) {
        let show = |title: &str, arguments: &[&str]| {
            let said = tool("kubectl", [&["-n", &self.namespace], arguments].concat(), "");
            eprintln!("---- {title}\n{}{}", said.text(), said.stderr);
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
                self.leave();
            }
        }
    }
}
