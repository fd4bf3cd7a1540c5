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

/// A pod in `ContainerCreating` since `since`, with these volumes.
fn creating(since: &str, volumes: Value) -> Pod {
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
fn each_obstacle_has_a_reason_and_names_the_fix() {
    let cases = [
        (
            waiting("ErrImagePull", "no such host"),
            reason::IMAGE_PULL_FAILED,
            "cannot pull the servers' image example.org/a/b:1; set servers.image in the Helm values",
        ),
        (
            waiting("ImagePullBackOff", "back-off"),
            reason::IMAGE_PULL_FAILED,
            "imagePullSecrets if the image is private (stack-0: back-off)",
        ),
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
            "0/3 nodes: insufficient memory; lower servers.resources.requests",
        ),
    ];
    for (pod, reason, words) in cases {
        let (found, message) = found(&[pod]).unwrap_or_else(|| panic!("no failure found: {words}"));
        assert_eq!(found, reason);
        assert!(message.contains(words), "{message}");
    }
}

#[test]
fn a_normal_start_is_no_obstacle() {
    let pods = [
        pod("a", json!({"containers": []}), json!({})),
        waiting("ContainerCreating", ""),
        waiting("PodInitializing", ""),
        creating("2026-01-01T00:00:00Z", json!([{"name": "tls", "secret": {"secretName": "ours"}}])),
        Pod::default(),
    ];
    assert_eq!(found(&pods), None);
}

#[test]
fn a_missing_secret_is_reported_after_fifteen_seconds() {
    let source = || json!([{"name": "source", "secret": {"secretName": "creds"}}]);
    assert_eq!(found(&[creating("2026-01-01T00:00:50Z", source())]), None, "10 s are within the timeout");
    let (reason, message) = found(&[creating("2026-01-01T00:00:40Z", source())]).unwrap();
    assert_eq!(reason, reason::CANNOT_START);
    assert!(message.contains("check that the Secret creds (source.secretRef) exists"), "{message}");
}

#[test]
fn a_failed_container_is_reported_before_an_unschedulable_pod() {
    let (reason, _) = found(&[unschedulable("full"), waiting("ErrImagePull", "")]).unwrap();
    assert_eq!(reason, reason::IMAGE_PULL_FAILED);
    let (_, message) = found(&[unschedulable("first"), unschedulable("second")]).unwrap();
    assert!(message.contains("first"), "{message}");
}

#[test]
fn refusals_are_temporary_or_permanent() {
    let refuse = |code, message: &str| refusal("stack-0", &kube::core::Status { code, message: message.into(), ..Default::default() });
    let temporary = [
        (403, "pods \"stack-0\" is forbidden: exceeded quota: q, requested: pods=1", reason::QUOTA_EXCEEDED, "raise the quota"),
        (403, "failed quota: q: must specify limits.cpu", reason::QUOTA_EXCEEDED, "must specify limits.cpu"),
        (403, "violates PodSecurity \"restricted\"", reason::FORBIDDEN, "the operator's role to allow the pod"),
        (429, "too many requests", reason::CANNOT_START, "the operator retries"),
        (500, "etcd is slow", reason::CANNOT_START, "the operator retries"),
        (503, "starting", reason::CANNOT_START, "the operator retries"),
    ];
    for (code, message, reason, words) in temporary {
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
