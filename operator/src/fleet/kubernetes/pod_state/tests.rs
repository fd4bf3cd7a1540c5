use super::*;
use serde_json::{Value, json};

/// A pod of 2Gi with this status.
fn pod(status: Value) -> Pod {
    let resources = json!({"limits": {"memory": "2Gi"}});
    serde_json::from_value(json!({
        "metadata": {"name": "stack-3", "labels": {"arrayjob.dev/server-index": "3"}},
        "spec": {"containers": [{"name": "server", "resources": resources}]},
        "status": status,
    }))
    .unwrap()
}

/// The state of a server whose pod has `phase` and whose container has `state`.
fn seen(phase: &str, state: Value) -> ServerState {
    let container = json!({"name": "server", "state": state, "image": "i", "imageID": "", "ready": false, "restartCount": 0});
    server_state(&pod(json!({"phase": phase, "podIP": "10.0.0.7", "containerStatuses": [container]})))
}

fn ended(code: i32, reason: &str, message: &str) -> Value {
    json!({"terminated": {"exitCode": code, "reason": reason, "message": message}})
}

fn up(address: &str) -> ServerState {
    ServerState::Up(address.into())
}

fn exited(why: &str) -> ServerState {
    ServerState::Exited(why.into())
}

fn lost(why: &str) -> ServerState {
    ServerState::Lost(why.into())
}

#[test]
fn the_state_follows_from_phase_and_container() {
    let oom = "OOMKilled: the server used more memory than its limit of 2Gi; raise servers.resources.limits.memory, or use more replicas";
    let cases = [
        (seen("Pending", json!({"waiting": {"reason": "ContainerCreating"}})), ServerState::Starting),
        (seen("Pending", json!({"waiting": {"reason": "ImagePullBackOff"}})), ServerState::Starting),
        (seen("Running", json!({"running": {}})), up("10.0.0.7:7443")),
        (seen("Running", json!({"waiting": {"reason": "PodInitializing"}})), ServerState::Starting),
        // The phase changes some time after the end of the container.
        (seen("Running", ended(1, "Error", "no port")), exited("Error, exit code 1: no port")),
        (seen("Failed", ended(137, "OOMKilled", "")), exited(oom)),
        (seen("Failed", ended(2, "Error", "first\nlast line  \n")), exited("Error, exit code 2: last line")),
        (seen("Failed", json!({"terminated": {"exitCode": 137}})), exited("Killed, exit code 137")),
        (seen("Failed", json!({"terminated": {"exitCode": 5}})), exited("Error, exit code 5")),
        (seen("Succeeded", ended(0, "Completed", "")), exited("Completed, exit code 0")),
    ];
    for (index, (found, expected)) in cases.into_iter().enumerate() {
        assert_eq!(found, expected, "case {index}");
    }
}

#[test]
fn a_pod_without_a_container_status_is_starting_or_lost() {
    let cases = [
        (json!({}), ServerState::Starting),
        (json!({"phase": "Pending"}), ServerState::Starting),
        (json!({"phase": "Pending", "containerStatuses": []}), ServerState::Starting),
        (json!({"phase": "Running", "podIP": "10.0.0.7", "containerStatuses": []}), ServerState::Starting),
        (json!({"phase": "Unknown"}), ServerState::Starting),
        (json!({"phase": "Failed"}), lost("its pod ended without a message")),
        (json!({"phase": "Failed", "containerStatuses": [], "reason": "Odd"}), lost("Odd")),
        (json!({"phase": "Failed", "reason": "Odd", "message": "very odd"}), lost("very odd")),
    ];
    for (status, expected) in cases {
        assert_eq!(server_state(&pod(status.clone())), expected, "{status}");
    }
    assert_eq!(server_state(&Pod::default()), ServerState::Starting, "a new pod has no status");
}

#[test]
fn a_disrupted_pod_is_lost_despite_its_exit_code() {
    let killed =
        json!([{"name": "server", "state": ended(137, "Error", ""), "image": "", "imageID": "", "ready": false, "restartCount": 0}]);
    let target = |status: &str, reason: &str, message: &str| {
        json!({"phase": "Failed", "containerStatuses": killed, "conditions": [
            {"type": "PodScheduled", "status": "True"},
            {"type": "DisruptionTarget", "status": status, "reason": reason, "message": message},
        ]})
    };
    let evicted = json!({"phase": "Failed", "reason": "Evicted", "message": "low on memory", "containerStatuses": killed});
    let gone = json!({"phase": "Failed", "reason": "NodeLost", "containerStatuses": killed});
    let cases = [
        (target("True", "PreemptionByScheduler", "a higher priority"), lost("PreemptionByScheduler: a higher priority")),
        (target("True", "DeletionByTaintManager", "node n2"), lost("DeletionByTaintManager: node n2")),
        (target("False", "PreemptionByScheduler", "not yet"), exited("Error, exit code 137")),
        (evicted, lost("Evicted: low on memory")),
        (gone, lost("NodeLost")),
    ];
    for (status, expected) in cases {
        assert_eq!(server_state(&pod(status.clone())), expected, "{status}");
    }
}

#[test]
fn a_terminating_pod_is_lost_while_its_container_runs() {
    let mut pod = pod(json!({"phase": "Running", "podIP": "10.0.0.7",
        "containerStatuses": [{"name": "server", "state": {"running": {}}, "image": "", "imageID": "", "ready": true, "restartCount": 0}]}));
    assert_eq!(server_state(&pod), up("10.0.0.7:7443"));
    pod.metadata.deletion_timestamp = Some(serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap());
    assert_eq!(server_state(&pod), lost("its pod was deleted"));
}

#[test]
fn an_ipv6_address_is_in_brackets() {
    let container = json!({"name": "server", "state": {"running": {}}, "image": "", "imageID": "", "ready": true, "restartCount": 0});
    let pod = pod(json!({"phase": "Running", "podIP": "fd00::7", "containerStatuses": [container]}));
    assert_eq!(server_state(&pod), up("[fd00::7]:7443"));
}

#[test]
fn a_sidecar_container_does_not_affect_the_state() {
    let state =
        |name: &str, state: Value| json!({"name": name, "state": state, "image": "", "imageID": "", "ready": true, "restartCount": 0});
    let sidecar = state("istio-proxy", ended(1, "Error", "x"));
    let both = json!([sidecar, state("server", json!({"running": {}}))]);
    assert_eq!(server_state(&pod(json!({"phase": "Running", "podIP": "10.0.0.7", "containerStatuses": both}))), up("10.0.0.7:7443"));
}

#[test]
fn a_long_last_line_is_cut_to_its_end() {
    let ServerState::Exited(why) = seen("Failed", ended(1, "Error", &"ä".repeat(1000))) else { panic!("the container ended") };
    assert_eq!(why, format!("Error, exit code 1: {}", "ä".repeat(300)));
}

#[test]
fn index_and_counts_are_read_from_labels_and_annotations() {
    let mut pod = pod(json!({}));
    assert_eq!((index(&pod), counts(&pod)), (Some(3), (0, 0)));
    pod.metadata.annotations = Some([(names::FAILURES.to_owned(), "2".to_owned()), (names::DISRUPTIONS.to_owned(), "x".to_owned())].into());
    assert_eq!(counts(&pod), (2, 0), "an invalid number counts as 0");
    pod.metadata.labels = None;
    assert_eq!(index(&pod), None);
}
