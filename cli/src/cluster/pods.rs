//! The pods of a job.

use super::access::{Action, Cluster, request};
use crate::error::Error;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams};

/// Port for readers.
pub(crate) const HTTP_PORT: u16 = 8080;
/// Port for metrics.
pub(crate) const METRICS_PORT: u16 = 9090;
/// Name of the chunk server's container.
pub(crate) const CONTAINER: &str = "server";
/// Label with the index of the server.
const INDEX: &str = "arrayjob.dev/server-index";

/// Pods of the namespace.
pub(crate) fn api(cluster: &Cluster) -> Api<Pod> {
    Api::namespaced(cluster.client.clone(), &cluster.namespace)
}

/// The job's pods, by server index.
///
/// # Errors
/// The API server refuses the request.
pub(crate) async fn list(cluster: &Cluster, job: &str) -> Result<Vec<Pod>, Error> {
    let selector =
        format!("arrayjob.dev/name={job},app.kubernetes.io/component=chunk-server,app.kubernetes.io/managed-by=arrayjob-operator");
    let name_of_action = format!("list pods in namespace {}", cluster.namespace);
    let action = Action { name: &name_of_action, role: "apiGroups [\"\"], resources [pods], verbs [get, list]" };
    let (api, params) = (api(cluster), ListParams::default().labels(&selector));
    let mut pods = request(action, api.list(&params)).await?.items;
    pods.sort_by_key(|pod| (index(pod), name(pod)));
    Ok(pods)
}

/// The pod's name.
pub(crate) fn name(pod: &Pod) -> String {
    pod.metadata.name.clone().unwrap_or_default()
}

fn index(pod: &Pod) -> u64 {
    pod.metadata.labels.as_ref().and_then(|labels| labels.get(INDEX)?.parse().ok()).unwrap_or(u64::MAX)
}

/// Whether the pod accepts readers, by its last known status.
pub(crate) fn is_ready(pod: &Pod) -> bool {
    let Some(status) = &pod.status else { return false };
    let ready = status.conditions.iter().flatten().any(|condition| condition.type_ == "Ready" && condition.status == "True");
    ready && status.phase.as_deref() == Some("Running") && pod.metadata.deletion_timestamp.is_none()
}

/// Names of the ready pods: first the pod that responded last, then the others by server index.
pub(crate) fn ready_names(pods: &[Pod], last: Option<&str>) -> Vec<String> {
    let mut names: Vec<String> = pods.iter().filter(|pod| is_ready(pod)).map(name).collect();
    // The sort is stable.
    names.sort_by_key(|name| Some(name.as_str()) != last);
    names
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use serde_json::json;

    pub(crate) fn pod(index: usize, phase: &str, ready: &str) -> Pod {
        serde_json::from_value(json!({
            "metadata": {"name": format!("j-{index}"), "labels": {INDEX: index.to_string()}},
            "status": {"phase": phase, "conditions": [{"type": "Ready", "status": ready}]},
        }))
        .unwrap()
    }

    #[test]
    fn ready_pods_are_listed_and_the_last_responding_first() {
        let mut leaving = pod(3, "Running", "True");
        leaving.metadata.deletion_timestamp = serde_json::from_value(json!("2026-01-01T00:00:00Z")).ok();
        assert!(leaving.metadata.deletion_timestamp.is_some());
        let pods = [pod(0, "Running", "False"), pod(1, "Running", "True"), pod(2, "Failed", "True"), leaving, pod(4, "Running", "True")];
        assert_eq!(ready_names(&pods, None), ["j-1", "j-4"]);
        assert_eq!(ready_names(&pods, Some("j-4")), ["j-4", "j-1"]);
        assert_eq!(ready_names(&pods, Some("j-3")), ["j-1", "j-4"]);
        assert!(ready_names(&[Pod::default()], None).is_empty());
        assert!(index(&pods[1]) < index(&pods[4]) && index(&pods[4]) < index(&Pod::default()));
    }
}
