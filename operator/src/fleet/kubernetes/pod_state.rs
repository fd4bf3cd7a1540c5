//! One pod in, what it is as a server out. Pure.

use super::names;
use super::pod::CONTAINER;
use crate::fleet::ServerState;
use k8s_openapi::api::core::v1::{ContainerState, ContainerStateTerminated, Pod};

/// Exit code of a container that the kernel killed.
const KILLED: i32 = 137;
/// Longest part of a server's last words that a sentence takes, in characters.
const LAST_WORDS: usize = 300;

/// What a pod is as a server.
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
        // Its node went away before it could say how it ended.
        (Some("Failed" | "Succeeded"), None) => {
            ServerState::Lost(status.message.or(status.reason).unwrap_or_else(|| "its pod ended without a word".into()))
        }
        (Some("Running"), None) => match status.pod_ip {
            Some(ip) if state(pod).is_some_and(|state| state.running.is_some()) => ServerState::Up(address(&ip)),
            _ => ServerState::Starting,
        },
        _ => ServerState::Starting,
    }
}

/// Who took the pod away, when somebody did: eviction, preemption, a drained or lost node.
fn disruption(pod: &Pod) -> Option<String> {
    let status = pod.status.as_ref()?;
    let target = status.conditions.iter().flatten().find(|condition| condition.type_ == "DisruptionTarget" && condition.status == "True");
    if let Some(target) = target {
        let reason = target.reason.clone().unwrap_or_else(|| "disrupted".into());
        return Some(target.message.as_ref().map_or_else(|| reason.clone(), |message| format!("{reason}: {message}")));
    }
    let reason = status.reason.as_deref()?;
    let taken = ["Evicted", "Preempting", "NodeLost", "NodeShutdown", "Terminated", "UnexpectedAdmissionError", "NodeAffinity"];
    taken.contains(&reason).then(|| status.message.as_ref().map_or_else(|| reason.to_owned(), |message| format!("{reason}: {message}")))
}

fn state(pod: &Pod) -> Option<&ContainerState> {
    let containers = pod.status.as_ref()?.container_statuses.as_ref()?;
    containers.iter().find(|container| container.name == CONTAINER)?.state.as_ref()
}

/// How the server's container ended, if it has.
pub fn terminated(pod: &Pod) -> Option<ContainerStateTerminated> {
    state(pod)?.terminated.clone()
}

/// The reason of a container's end, in one word.
pub fn reason(end: &ContainerStateTerminated) -> String {
    end.reason.clone().unwrap_or_else(|| if end.exit_code == KILLED { "Killed".into() } else { "Error".into() })
}

fn describe(end: &ContainerStateTerminated, limit: &str) -> String {
    if end.reason.as_deref() == Some("OOMKilled") {
        return format!(
            "OOMKilled: it took more memory than its limit{limit}; raise servers.resources.limits.memory, or use more replicas"
        );
    }
    let words = end.message.as_deref().map(str::trim).filter(|words| !words.is_empty()).map(last_words);
    match words {
        Some(words) => format!("{}, exit code {}: {words}", reason(end), end.exit_code),
        None => format!("{}, exit code {}", reason(end), end.exit_code),
    }
}

/// The end of a text, on one line.
fn last_words(text: &str) -> String {
    let line = text.lines().last().unwrap_or_default();
    let skip = line.chars().count().saturating_sub(LAST_WORDS);
    line.chars().skip(skip).collect()
}

fn memory_limit(pod: &Pod) -> String {
    let container = pod.spec.as_ref().and_then(|spec| spec.containers.first());
    let limits = container.and_then(|container| container.resources.as_ref()).and_then(|resources| resources.limits.as_ref());
    limits.and_then(|limits| limits.get("memory")).map_or_else(String::new, |limit| format!(" of {}", limit.0))
}

/// `host:port` of peers; IPv6 in brackets.
fn address(ip: &str) -> String {
    if ip.contains(':') { format!("[{ip}]:{}", names::PEER_PORT) } else { format!("{ip}:{}", names::PEER_PORT) }
}

/// The number of the server whose pod this is.
pub fn index(pod: &Pod) -> Option<usize> {
    pod.metadata.labels.as_ref()?.get(names::INDEX)?.parse().ok()
}

/// Failures and disruptions of the job when this pod was made.
pub fn counts(pod: &Pod) -> (u32, u32) {
    let annotations = pod.metadata.annotations.as_ref();
    let number = |key| annotations.and_then(|annotations| annotations.get(key)).and_then(|text: &String| text.parse().ok()).unwrap_or(0);
    (number(names::FAILURES), number(names::DISRUPTIONS))
}

#[cfg(test)]
mod tests;
