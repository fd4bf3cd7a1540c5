//! The state of a server, from its pod. Pure.

use super::names;
use super::pod::CONTAINER;
use crate::fleet::ServerState;
use k8s_openapi::api::core::v1::{ContainerState, ContainerStateTerminated, Pod};

/// Exit code of a container that was killed by SIGKILL: 128 + 9.
const KILLED: i32 = 137;
/// Longest part of a termination message in a sentence, in characters.
const MESSAGE_CHARS: usize = 300;

/// The state of the server in a pod.
pub fn server_state(pod: &Pod) -> ServerState {
    let status = pod.status.clone().unwrap_or_default();
    if let Some(disruption) = disruption(pod) {
        return ServerState::Lost(disruption);
    }
    if pod.metadata.deletion_timestamp.is_some() {
        return ServerState::Lost("its pod was deleted".into());
    }
    match (status.phase.as_deref(), terminated(pod)) {
        (_, Some(end)) => ServerState::Exited(describe(&end, &memory_limit(pod))),
        // The node was lost before the kubelet reported the end of the container.
        (Some("Failed" | "Succeeded"), None) => {
            ServerState::Lost(status.message.or(status.reason).unwrap_or_else(|| "its pod ended without a message".into()))
        }
        (Some("Running"), None) => match status.pod_ip {
            Some(ip) if state(pod).is_some_and(|state| state.running.is_some()) => ServerState::Up(address(&ip)),
            _ => ServerState::Starting,
        },
        _ => ServerState::Starting,
    }
}

/// Why the pod was removed from outside: eviction, preemption, a drained or lost node.
fn disruption(pod: &Pod) -> Option<String> {
    let status = pod.status.as_ref()?;
    let target = status.conditions.iter().flatten().find(|condition| condition.type_ == "DisruptionTarget" && condition.status == "True");
    if let Some(target) = target {
        let reason = target.reason.clone().unwrap_or_else(|| "disrupted".into());
        return Some(target.message.as_ref().map_or_else(|| reason.clone(), |message| format!("{reason}: {message}")));
    }
    let reason = status.reason.as_deref()?;
    let disruptions = ["Evicted", "Preempting", "NodeLost", "NodeShutdown", "Terminated", "UnexpectedAdmissionError", "NodeAffinity"];
    disruptions
        .contains(&reason)
        .then(|| status.message.as_ref().map_or_else(|| reason.to_owned(), |message| format!("{reason}: {message}")))
}

fn state(pod: &Pod) -> Option<&ContainerState> {
    let containers = pod.status.as_ref()?.container_statuses.as_ref()?;
    containers.iter().find(|container| container.name == CONTAINER)?.state.as_ref()
}

/// The end of the server's container; `None` while it runs.
pub fn terminated(pod: &Pod) -> Option<ContainerStateTerminated> {
    state(pod)?.terminated.clone()
}

/// The reason of a container's end, as one CamelCase word.
pub fn reason(end: &ContainerStateTerminated) -> String {
    end.reason.clone().unwrap_or_else(|| if end.exit_code == KILLED { "Killed".into() } else { "Error".into() })
}

fn describe(end: &ContainerStateTerminated, limit: &str) -> String {
    if end.reason.as_deref() == Some("OOMKilled") {
        return format!(
            "OOMKilled: the server used more memory than its limit{limit}; raise servers.resources.limits.memory, or use more replicas"
        );
    }
    let message = end.message.as_deref().map(str::trim).filter(|message| !message.is_empty()).map(last_line);
    match message {
        Some(message) => format!("{}, exit code {}: {message}", reason(end), end.exit_code),
        None => format!("{}, exit code {}", reason(end), end.exit_code),
    }
}

/// The end of the last line of a text.
fn last_line(text: &str) -> String {
    let line = text.lines().last().unwrap_or_default();
    let skip = line.chars().count().saturating_sub(MESSAGE_CHARS);
    line.chars().skip(skip).collect()
}

fn memory_limit(pod: &Pod) -> String {
    let container = pod.spec.as_ref().and_then(|spec| spec.containers.first());
    let limits = container.and_then(|container| container.resources.as_ref()).and_then(|resources| resources.limits.as_ref());
    limits.and_then(|limits| limits.get("memory")).map_or_else(String::new, |limit| format!(" of {}", limit.0))
}

/// `host:port` for peers; an IPv6 address is in brackets.
fn address(ip: &str) -> String {
    if ip.contains(':') { format!("[{ip}]:{}", names::PEER_PORT) } else { format!("{ip}:{}", names::PEER_PORT) }
}

/// The index of the server in this pod.
pub fn index(pod: &Pod) -> Option<usize> {
    pod.metadata.labels.as_ref()?.get(names::INDEX)?.parse().ok()
}

/// Failures and disruptions of the job when this pod was created.
pub fn counts(pod: &Pod) -> (u32, u32) {
    let annotations = pod.metadata.annotations.as_ref();
    let number = |key| annotations.and_then(|annotations| annotations.get(key)).and_then(|text: &String| text.parse().ok()).unwrap_or(0);
    (number(names::FAILURES), number(names::DISRUPTIONS))
}

#[cfg(test)]
mod tests;
