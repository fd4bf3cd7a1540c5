//! An ArrayJob on the cluster: what its status says, its pods, how far they are, and how to lose one.

use super::forward::{Forward, Reader};
use super::node;
use super::stage::{JOBS, Stage};
use super::{hastily, seconds, until};
use crate::place::Ended;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

const METRICS_PORT: u16 = 9090;
/// Kinds of what a job owns.
const CHILDREN: [(&str, &str); 4] =
    [("/api/v1", "pods"), ("/api/v1", "services"), ("/api/v1", "secrets"), ("/apis/networking.k8s.io/v1", "networkpolicies")];

/// A job that was applied.
#[derive(Debug)]
pub struct Applied<'a> {
    pub(super) stage: &'a Stage,
    /// Its name.
    pub name: String,
}

/// A condition of its status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Condition {
    /// Whether it is True.
    pub is: bool,
    /// One word.
    pub reason: String,
    /// One sentence.
    pub message: String,
}

/// One server's pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    /// Its name.
    pub name: String,
    /// Its uid, which no later pod shares.
    pub uid: String,
    /// Its node; empty while it has none.
    pub node: String,
    /// Its container, as the runtime knows it: one start of the server. Empty while there is none.
    pub container: String,
}

/// How far one server is with one phase, as its metrics say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Units done.
    pub done: u64,
    /// Units in all.
    pub total: u64,
    /// Bytes fetched or made.
    pub bytes: u64,
}

/// How a server is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HowLost {
    /// Its pod is deleted, with time to end.
    Deleted,
    /// Its pod is deleted at once.
    Forced,
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

impl Applied<'_> {
    /// The whole object; null when it is gone.
    pub fn object(&self) -> Value {
        self.stage.get(JOBS, &format!("arrayjobs/{}", self.name))
    }

    /// Its status.
    pub fn status(&self) -> Value {
        self.object()["status"].clone()
    }

    /// One of its conditions, with no words while there is none.
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

    /// Waits until it completes; gives its status.
    pub fn must_complete(&self, limit: Duration) -> Value {
        until(&format!("{} completes", self.name), limit, || {
            let status = self.status();
            let failed = condition(&status, "Failed");
            assert!(!failed.is, "{} failed: {}: {}", self.name, failed.reason, failed.message);
            if condition(&status, "Complete").is { Ok(status) } else { Err(summary(&status)) }
        })
    }

    /// Waits until it fails for this reason; gives the sentence.
    pub fn must_fail(&self, reason: &str, limit: Duration) -> String {
        let failed = self.until_is("Failed", limit);
        assert_eq!(failed.reason, reason, "{}", failed.message);
        let all = ["Finished", "Stalled", "Complete", "Progressing"].map(|type_| self.condition(type_).is);
        assert_eq!(all, [true, true, false, false], "a failed job is finished, stalled, and neither complete nor progressing");
        failed.message
    }

    /// Waits until something stands in its way for this reason; gives the sentence.
    pub fn must_stall(&self, reason: &str, limit: Duration) -> String {
        until(&format!("{} says {reason}", self.name), limit, || {
            let status = self.status();
            let stalled = condition(&status, "Stalled");
            if stalled.is && stalled.reason == reason { Ok(stalled.message) } else { Err(summary(&status)) }
        })
    }

    /// The pods of its servers that are not on their way out, by number.
    pub fn pods(&self) -> BTreeMap<usize, Pod> {
        let all = self.stage.list("/api/v1", &format!("pods?labelSelector=arrayjob.dev/name={}", self.name));
        let staying = all.iter().filter(|pod| pod["metadata"]["deletionTimestamp"].is_null());
        let entry = |pod: &Value| {
            let index = text(&pod["metadata"]["labels"]["arrayjob.dev/server-index"]).parse().unwrap();
            let container = text(&pod["status"]["containerStatuses"][0]["containerID"]);
            let container = container.rsplit('/').next().unwrap_or_default().to_owned();
            let (name, uid) = (text(&pod["metadata"]["name"]), text(&pod["metadata"]["uid"]));
            (index, Pod { name, uid, node: text(&pod["spec"]["nodeName"]), container })
        };
        staying.map(entry).collect()
    }

    /// Waits until so many servers have been started, whether they answer or not; gives their pods.
    pub fn until_started(&self, servers: usize, limit: Duration) -> BTreeMap<usize, Pod> {
        until(&format!("{servers} servers of {} are started", self.name), limit, || {
            let pods = self.pods();
            let started = pods.values().filter(|pod| !pod.container.is_empty()).count();
            if started == servers { Ok(pods) } else { Err(format!("{pods:?}")) }
        })
    }

    /// Waits until so many servers answer; gives their pods.
    pub fn until_up(&self, servers: usize, limit: Duration) -> BTreeMap<usize, Pod> {
        until(&format!("{servers} servers of {} are up", self.name), limit, || {
            let (status, pods) = (self.status(), self.pods());
            if status["servers"]["ready"] == servers && pods.len() == servers { Ok(pods) } else { Err(summary(&status)) }
        })
    }

    /// What a server's metrics say of each phase; nothing while it does not answer.
    pub fn work(&self, server: usize) -> BTreeMap<String, Work> {
        let path = format!("pods/{}-{server}:{METRICS_PORT}/proxy/metrics", self.name);
        let answer = self.stage.call("GET", "/api/v1", &path);
        let mut work = BTreeMap::<String, Work>::new();
        if answer.status != 200 {
            return work;
        }
        for line in answer.text().lines().filter(|line| line.starts_with("arrayjob_server_phase_")) {
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

    /// Waits until a server is in the middle of a phase.
    ///
    /// # Panics
    /// When the phase is over before it could be seen.
    pub fn until_at(&self, phase: &str, server: usize, limit: Duration) {
        hastily(&format!("server {server} of {} is at {phase}", self.name), limit, || {
            let work = self.work(server);
            let found = work.get(phase).copied().unwrap_or_default();
            assert!(found.total == 0 || found.done < found.total, "{phase} of server {server} was over before it could be seen");
            if found.done > 0 { Ok(()) } else { Err(format!("{work:?}")) }
        });
    }

    /// Loses a server.
    pub fn lose(&self, server: usize, how: HowLost) {
        let pod = format!("{}-{server}", self.name);
        let how: &[&str] = if how == HowLost::Forced { &["--grace-period=0", "--force"] } else { &[] };
        self.stage.kubectl(&[&["delete", "pod", &pod, "--wait=false"], how].concat());
    }

    /// Kills a server's process in its node.
    pub fn kill(&self, server: usize) {
        let pod = &self.pods()[&server];
        node::kill_container(&pod.node, &pod.container);
    }

    /// Changes its spec, as `kubectl patch` ends.
    pub fn patch(&self, spec: &Value) -> Ended {
        let patch = serde_json::json!({"spec": spec}).to_string();
        super::tool("kubectl", ["patch", "-n", &self.stage.namespace, "aj", &self.name, "--type=merge", "-p", &patch], "")
    }

    /// Changes its status, as another version of the operator would.
    pub fn patch_status(&self, status: &Value) {
        let patch = serde_json::json!({"status": status}).to_string();
        self.stage.kubectl(&["patch", "aj", &self.name, "--subresource=status", "--type=merge", "-p", &patch]);
    }

    /// What reads its arrays through the front door.
    pub fn reader(&self) -> Reader {
        let secret = text(&self.status()["endpoint"]["tokenSecret"]);
        let token = self.stage.kubectl(&["get", "secret", &secret, "-o", "go-template={{.data.token | base64decode}}"]);
        Reader { forward: Forward::to(&self.stage.namespace, &format!("service/{}", self.name), 80), token }
    }

    /// Reasons and counts of the events about it.
    pub fn events(&self) -> Vec<(String, u64)> {
        self.stage.events(&self.name)
    }

    /// Deletes it; within half a minute nothing of it is left.
    pub fn delete(&self) {
        self.stage.kubectl(&["delete", "aj", &self.name, "--wait=false"]);
        self.must_be_gone();
    }

    /// Waits until nothing of it is left.
    pub fn must_be_gone(&self) {
        until(&format!("nothing of {} is left", self.name), seconds(30), || {
            let left = self.children();
            if left.is_empty() && self.object().is_null() { Ok(()) } else { Err(format!("{left:?}")) }
        });
    }

    /// Kinds and names of what is there of it.
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

/// A status in a line.
fn summary(status: &Value) -> String {
    let all = status["conditions"].as_array().into_iter().flatten();
    let of = |condition: &Value| format!("{}={} {}: {}", condition["type"], condition["status"], condition["reason"], condition["message"]);
    format!("{} {} {:?}", status["phase"], status["progress"], all.map(of).collect::<Vec<_>>())
}
