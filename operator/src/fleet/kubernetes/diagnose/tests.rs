use super::*;
use serde_json::{Value, json};

const NOW: &str = "2026-01-01T00:01:00Z";

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

fn pod(name: &str, spec: Value, status: Value) -> Pod {
    serde_json::from_value(json!({"metadata": {"name": name}, "spec": spec, "status": status})).unwrap()
}

/// A pod whose container waits.
fn waiting(reason: &str, message: &str) -> Pod {
    let state = json!({"waiting": {"reason": reason, "message": message}});
    let container =
        json!({"name": "server", "image": "example.org/a/b:1", "imageID": "", "ready": false, "restartCount": 0, "state": state});
    pod("stack-0", json!({"containers": []}), json!({"phase": "Pending", "containerStatuses": [container]}))
}

fn unschedulable(message: &str) -> Pod {
    let scheduled = json!({"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message});
    pod("stack-1", json!({"containers": []}), json!({"phase": "Pending", "conditions": [scheduled]}))
}

/// A pod that is being made since `since`, with these volumes.
fn making(since: &str, volumes: Value) -> Pod {
    let state = json!({"waiting": {"reason": "ContainerCreating"}});
    let container = json!({"name": "server", "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": state});
    let scheduled = json!({"type": "PodScheduled", "status": "True", "lastTransitionTime": since});
    let status = json!({"phase": "Pending", "containerStatuses": [container], "conditions": [scheduled]});
    pod("stack-2", json!({"containers": [], "volumes": volumes}), status)
}

fn found(pods: &[Pod]) -> Option<(String, String)> {
    diagnose(pods, now()).map(|failure| (failure.reason, failure.message))
}

#[test]
fn each_obstacle_has_its_reason_and_names_its_fix() {
    let cases = [
        (
            waiting("ErrImagePull", "no such host"),
            reason::IMAGE_PULL_FAILED,
            "example.org/a/b:1 cannot be pulled; set servers.image in the Helm values",
        ),
        (waiting("ImagePullBackOff", "back-off"), reason::IMAGE_PULL_FAILED, "imagePullSecrets if it is private (stack-0: back-off)"),
        (waiting("ErrImageNeverPull", ""), reason::IMAGE_PULL_FAILED, "servers.image"),
        (waiting("InvalidImageName", ""), reason::IMAGE_PULL_FAILED, "servers.image"),
        (
            waiting("CreateContainerConfigError", "secret \"x\" not found"),
            reason::CANNOT_START,
            "secret \"x\" not found; see kubectl describe pod stack-0",
        ),
        (waiting("RunContainerError", "exec /chunkserver"), reason::CANNOT_START, "stack-0 cannot start: exec /chunkserver"),
        (
            unschedulable("0/3 nodes: insufficient memory"),
            reason::UNSCHEDULABLE,
            "0/3 nodes: insufficient memory; ask for less in servers.resources.requests",
        ),
    ];
    for (pod, reason, words) in cases {
        let (found, message) = found(&[pod]).unwrap_or_else(|| panic!("nothing wrong? {words}"));
        assert_eq!(found, reason);
        assert!(message.contains(words), "{message}");
    }
}

#[test]
fn what_merely_takes_its_time_is_no_obstacle() {
    let pods = [
        pod("a", json!({"containers": []}), json!({})),
        waiting("ContainerCreating", ""),
        waiting("PodInitializing", ""),
        making("2026-01-01T00:00:00Z", json!([{"name": "tls", "secret": {"secretName": "ours"}}])),
        Pod::default(),
    ];
    assert_eq!(found(&pods), None);
}

#[test]
fn a_missing_secret_is_suspected_only_after_a_while() {
    let source = || json!([{"name": "source", "secret": {"secretName": "creds"}}]);
    assert_eq!(found(&[making("2026-01-01T00:00:50Z", source())]), None, "ten seconds are not long");
    let (reason, message) = found(&[making("2026-01-01T00:00:40Z", source())]).unwrap();
    assert_eq!(reason, reason::CANNOT_START);
    assert!(message.contains("is there a Secret creds (source.secretRef)"), "{message}");
}

#[test]
fn what_cannot_mend_itself_comes_before_what_a_node_would_mend() {
    let (reason, _) = found(&[unschedulable("full"), waiting("ErrImagePull", "")]).unwrap();
    assert_eq!(reason, reason::IMAGE_PULL_FAILED);
    let (_, message) = found(&[unschedulable("first"), unschedulable("second")]).unwrap();
    assert!(message.contains("first"), "{message}");
}

#[test]
fn some_refusals_pass_and_some_last() {
    let refuse = |code, message: &str| refusal("stack-0", &kube::core::Status { code, message: message.into(), ..Default::default() });
    let passing = [
        (403, "pods \"stack-0\" is forbidden: exceeded quota: q, requested: pods=1", reason::QUOTA_EXCEEDED, "raise the quota"),
        (403, "failed quota: q: must specify limits.cpu", reason::QUOTA_EXCEEDED, "must specify limits.cpu"),
        (403, "violates PodSecurity \"restricted\"", reason::FORBIDDEN, "the operator's role have to allow it"),
        (429, "too many requests", reason::CANNOT_START, "tried again"),
        (500, "etcd is slow", reason::CANNOT_START, "tried again"),
        (503, "starting", reason::CANNOT_START, "tried again"),
    ];
    for (code, message, reason, words) in passing {
        let failure = refuse(code, message).unwrap();
        assert_eq!(failure.reason, reason, "{message}");
        assert!(failure.message.contains(words) && failure.message.contains("stack-0"), "{}", failure.message);
    }
    for code in [400, 422] {
        let failure = refuse(code, "spec.tolerations[0].effect: unsupported value").unwrap_err();
        assert_eq!(failure.reason, "InvalidSpec");
        assert!(failure.message.starts_with("spec.servers: ") && failure.message.contains("tolerations"), "{}", failure.message);
    }
}
