//! An ArrayJob on the cluster: its status, pods and progress, and functions that end a server.

use super::forward::{Forward, Reader};
use super::node;
use super::stage::{JOBS, Stage};
use super::{seconds, until, until_fast};
use crate::place::CommandOutput;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

const METRICS_PORT: u16 = 9090;
/// API groups and kinds of the objects that a job owns.
const CHILDREN: [(&str, &str); 4] =
    [("/api/v1", "pods"), ("/api/v1", "services"), ("/api/v1", "secrets"), ("/apis/networking.k8s.io/v1", "networkpolicies")];

/// A job in the cluster.
#[derive(Debug)]
pub struct Applied<'a> {
    pub(super) stage: &'a Stage,
    /// The name of the job.
    pub name: String,
}

/// A condition of a job's status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Condition {
    /// Whether the status of the condition is True.
    pub is: bool,
    /// The reason in CamelCase.
    pub reason: String,
    /// The message.
    pub message: String,
}

/// The pod of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    /// The name of the pod.
    pub name: String,
    /// The uid, unique among all pods.
    pub uid: String,
    /// The node; empty before scheduling.
    pub node: String,
    /// The container id of the runtime: unique for each start of the server. Empty before the start.
    pub container: String,
}

/// Progress of one server in one phase, from the metrics of the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Completed units.
    pub done: u64,
    /// Total units.
    pub total: u64,
    /// Bytes fetched or written.
    pub bytes: u64,
}

/// How a test deletes the pod of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deletion {
    /// With the pod's grace period.
    Graceful,
    /// At once, without a grace period.
    Forced,
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

impl Applied<'_> {
    /// The whole object; null if it does not exist.
    pub fn object(&self) -> Value {
        self.stage.get(JOBS, &format!("arrayjobs/{}", self.name))
    }

    /// The status.
    pub fn status(&self) -> Value {
        self.object()["status"].clone()
    }

    /// A condition of the status; the default value if the condition is missing.
    pub fn condition(&self, type_: &str) -> Condition {
        condition(&self.status(), type_)
    }

    /// Waits until a condition is True.
    pub fn until_is(&self, type_: &str, limit: Duration) -> Condition {
        until(&format!("{} is {type_}", self.name), limit, || {
            let status = self.status();
            let found = condition(&status, type_);
            if found.is { Ok(found) } else { Err(summary(&status)) }
        })
    }

    /// Waits until the job is complete; returns the status.
    pub fn must_complete(&self, limit: Duration) -> Value {
        until(&format!("{} is complete", self.name), limit, || {
            let status = self.status();
            let failed = condition(&status, "Failed");
            assert!(!failed.is, "{} failed: {}: {}", self.name, failed.reason, failed.message);
            if condition(&status, "Complete").is { Ok(status) } else { Err(summary(&status)) }
        })
    }

    /// Waits until the job fails with this reason; returns the message.
    pub fn must_fail(&self, reason: &str, limit: Duration) -> String {
        let failed = self.until_is("Failed", limit);
        assert_eq!(failed.reason, reason, "{}", failed.message);
        let all = ["Finished", "Stalled", "Complete", "Progressing"].map(|type_| self.condition(type_).is);
        assert_eq!(all, [true, true, false, false], "Finished, Stalled, Complete, Progressing of a failed job");
        failed.message
    }

    /// Waits until the job stalls with this reason; returns the message.
    pub fn must_stall(&self, reason: &str, limit: Duration) -> String {
        until(&format!("{} is stalled with {reason}", self.name), limit, || {
            let status = self.status();
            let stalled = condition(&status, "Stalled");
            if stalled.is && stalled.reason == reason { Ok(stalled.message) } else { Err(summary(&status)) }
        })
    }

    /// The pods of the servers without terminating pods, by index.
    pub fn pods(&self) -> BTreeMap<usize, Pod> {
        let all = self.stage.list("/api/v1", &format!("pods?labelSelector=arrayjob.dev/name={}", self.name));
        let kept = all.iter().filter(|pod| pod["metadata"]["deletionTimestamp"].is_null());
        let entry = |pod: &Value| {
            let index = text(&pod["metadata"]["labels"]["arrayjob.dev/server-index"]).parse().unwrap();
            let container = text(&pod["status"]["containerStatuses"][0]["containerID"]);
            let container = container.rsplit('/').next().unwrap_or_default().to_owned();
            let (name, uid) = (text(&pod["metadata"]["name"]), text(&pod["metadata"]["uid"]));
            (index, Pod { name, uid, node: text(&pod["spec"]["nodeName"]), container })
        };
        kept.map(entry).collect()
    }

    /// Waits until the containers of this number of servers have started, ready or not; returns the pods.
    pub fn until_started(&self, servers: usize, limit: Duration) -> BTreeMap<usize, Pod> {
        until(&format!("{servers} servers of {} are started", self.name), limit, || {
            let pods = self.pods();
            let started = pods.values().filter(|pod| !pod.container.is_empty()).count();
            if started == servers { Ok(pods) } else { Err(format!("{pods:?}")) }
        })
    }

    /// Waits until this number of servers is ready; returns the pods.
    pub fn until_ready(&self, servers: usize, limit: Duration) -> BTreeMap<usize, Pod> {
        until(&format!("{servers} servers of {} are ready", self.name), limit, || {
            let (status, pods) = (self.status(), self.pods());
            if status["servers"]["ready"] == servers && pods.len() == servers { Ok(pods) } else { Err(summary(&status)) }
        })
    }

    /// Progress in each phase from the metrics of a server; empty while the server does not respond.
    pub fn work(&self, server: usize) -> BTreeMap<String, Work> {
        let path = format!("pods/{}-{server}:{METRICS_PORT}/proxy/metrics", self.name);
        let response = self.stage.call("GET", "/api/v1", &path);
        let mut work = BTreeMap::<String, Work>::new();
        if response.status != 200 {
            return work;
        }
        for line in response.text().lines().filter(|line| line.starts_with("arrayjob_server_phase_")) {
            let parts: Vec<&str> = line.split(['{', '"', ' ']).collect();
            let [name, _, phase, _, value] = parts[..] else { continue };
            let (entry, value) = (work.entry(phase.to_owned()).or_default(), value.parse().unwrap_or(0));
            match name.trim_start_matches("arrayjob_server_phase_") {
                "done" => entry.done = value,
                "total" => entry.total = value,
                "bytes_total" => entry.bytes = value,
                _ => {}
            }
        }
        work
    }

    /// Waits until a server has done a part of a phase.
    ///
    /// # Panics
    /// When the phase ends before the first poll during the phase.
    pub fn until_in_phase(&self, phase: &str, server: usize, limit: Duration) {
        until_fast(&format!("server {server} of {} is in {phase}", self.name), limit, || {
            let work = self.work(server);
            let found = work.get(phase).copied().unwrap_or_default();
            assert!(found.total == 0 || found.done < found.total, "{phase} of server {server} ended between two polls");
            if found.done > 0 { Ok(()) } else { Err(format!("{work:?}")) }
        });
    }

    /// Deletes the pod of a server.
    pub fn delete_pod(&self, server: usize, how: Deletion) {
        let pod = format!("{}-{server}", self.name);
        let how: &[&str] = if how == Deletion::Forced { &["--grace-period=0", "--force"] } else { &[] };
        self.stage.kubectl(&[&["delete", "pod", &pod, "--wait=false"], how].concat());
    }

    /// Lets the kernel kill a server for lack of memory, as soon as the server uses 1 MiB more than now.
    pub fn limit_memory(&self, server: usize) {
        let pod = &self.pods()[&server];
        node::limit_memory(&pod.node, &pod.container);
    }

    /// Kills the process of a server in its node.
    pub fn kill(&self, server: usize) {
        let pod = &self.pods()[&server];
        node::kill_container(&pod.node, &pod.container);
    }

    /// Patches the spec; returns the result of `kubectl patch`.
    pub fn patch(&self, spec: &Value) -> CommandOutput {
        let patch = serde_json::json!({"spec": spec}).to_string();
        super::tool("kubectl", ["patch", "-n", &self.stage.namespace, "aj", &self.name, "--type=merge", "-p", &patch], "")
    }

    /// Patches the status, as another version of the operator would.
    pub fn patch_status(&self, status: &Value) {
        let patch = serde_json::json!({"status": status}).to_string();
        self.stage.kubectl(&["patch", "aj", &self.name, "--subresource=status", "--type=merge", "-p", &patch]);
    }

    /// A reader of the job's arrays through the Service.
    pub fn reader(&self) -> Reader {
        let secret = text(&self.status()["endpoint"]["tokenSecret"]);
        let token = self.stage.kubectl(&["get", "secret", &secret, "-o", "go-template={{.data.token | base64decode}}"]);
        Reader { forward: Forward::to(&self.stage.namespace, &format!("service/{}", self.name), 80), token }
    }

    /// Reasons and counts of the job's events.
    pub fn events(&self) -> Vec<(String, u64)> {
        self.stage.events(&self.name)
    }

    /// Deletes the job, and waits until all its objects are deleted.
    pub fn delete(&self) {
        self.stage.kubectl(&["delete", "aj", &self.name, "--wait=false"]);
        self.must_be_gone();
    }

    /// Waits until all objects of the job are deleted.
    pub fn must_be_gone(&self) {
        until(&format!("all objects of {} are deleted", self.name), seconds(30), || {
            let left = self.children();
            if left.is_empty() && self.object().is_null() { Ok(()) } else { Err(format!("{left:?}")) }
        });
    }

    /// Kinds and names of the existing objects of the job.
    pub fn children(&self) -> Vec<String> {
        let of_kind = |(group, kind): (&str, &str)| {
            let found = self.stage.list(group, &format!("{kind}?labelSelector=arrayjob.dev/name={}", self.name));
            found.iter().map(|child| format!("{kind}/{}", text(&child["metadata"]["name"]))).collect::<Vec<_>>()
        };
        CHILDREN.into_iter().flat_map(of_kind).collect()
    }
}

/// A condition of a status.
fn condition(status: &Value, type_: &str) -> Condition {
    let found = status["conditions"].as_array().and_then(|all| all.iter().find(|condition| condition["type"] == type_));
    found.map_or_else(Condition::default, |found| Condition {
        is: found["status"] == "True",
        reason: text(&found["reason"]),
        message: text(&found["message"]),
    })
}

/// A status in one line.
fn summary(status: &Value) -> String {
    let all = status["conditions"].as_array().into_iter().flatten();
    let of = |condition: &Value| format!("{}={} {}: {}", condition["type"], condition["status"], condition["reason"], condition["message"]);
    format!("{} {} {:?}", status["phase"], status["progress"], all.map(of).collect::<Vec<_>>())
}
