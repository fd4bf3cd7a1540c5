//! An ArrayJob of the cluster: the object, its state in words, its endpoint and its token.

use super::access::{Action, Cluster, request};
use super::target::is_job_name;
use crate::error::Error;
use crds::ArrayJob;
use crds::v1alpha1::ArrayJobStatus;
use crds::v1alpha1::status::Endpoint;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, ApiResource, ListParams, Object};
use serde_json::Value;

/// An ArrayJob with its spec as JSON: the definition of a newer operator may have more fields than this program knows.
pub(crate) type Found = Object<Value, ArrayJobStatus>;

/// The rule of a Role that allows the verbs to read ArrayJobs.
pub(crate) const ROLE: &str = "apiGroups [arrayjob.dev], resources [arrayjobs], verbs [get, list, watch]";

/// ArrayJobs of the namespace.
pub(crate) fn api(cluster: &Cluster) -> Api<Found> {
    Api::namespaced_with(cluster.client.clone(), &cluster.namespace, &ApiResource::erase::<ArrayJob>(&()))
}

/// The ArrayJob of that name.
///
/// # Errors
/// No such ArrayJob exists, or the API server refuses the request.
pub(crate) async fn find(cluster: &Cluster, name: &str) -> Result<Found, Error> {
    if !is_job_name(name) {
        return Err(Error::Refused(format!("'{name}' is not a valid ArrayJob name: use a-z, 0-9 and inner hyphens")));
    }
    let action = format!("read ArrayJob {name} in namespace {}", cluster.namespace);
    let get = async {
        match api(cluster).get(name).await {
            // The API server sends 404 for an unknown kind too.
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
            response => response.map(Some),
        }
    };
    match request(Action { name: &action, role: ROLE }, get).await? {
        Some(job) => Ok(job),
        None => Err(Error::Refused(format!("no ArrayJob '{name}' in namespace '{}'{}", cluster.namespace, others(cluster).await))),
    }
}

/// The ArrayJobs of the namespace, as the end of an error text.
async fn others(cluster: &Cluster) -> String {
    let action = Action { name: "list ArrayJobs", role: "" };
    let listed = request(action, api(cluster).list(&ListParams::default().limit(20))).await;
    match listed {
        Ok(list) => listing(list.items.into_iter().filter_map(|job| job.metadata.name).collect()),
        // The API server does not know the kind.
        Err(Error::Refused(text)) if text.contains("not found") => {
            "; the cluster has no definition of ArrayJob: install the charts arrayjob-crds and arrayjob".into()
        }
        Err(_) => String::new(),
    }
}

fn listing(names: Vec<String>) -> String {
    if names.is_empty() {
        "; the namespace has no ArrayJobs, --namespace selects another namespace".into()
    } else {
        format!("; ArrayJobs of the namespace: {}", names.join(", "))
    }
}

/// The state of a job in words: phase, and reason and message of its most important condition.
pub(crate) fn state(status: Option<&ArrayJobStatus>) -> String {
    let Some(status) = status.filter(|status| status.phase.is_some() || !status.conditions.is_empty()) else {
        return "not reconciled yet; check that the operator is running".into();
    };
    let phase = status.phase.as_deref().unwrap_or("Pending");
    let is_true = |name: &str| status.conditions.iter().find(|condition| condition.type_ == name && condition.status == "True");
    let important = ["Failed", "Stalled", "Suspended", "Complete"].iter().find_map(|name| is_true(name));
    let important = important.or_else(|| status.conditions.iter().find(|condition| condition.type_ == "Progressing"));
    match important {
        Some(condition) if condition.message.is_empty() => format!("{phase} ({})", condition.reason),
        Some(condition) => format!("{phase} ({}: {})", condition.reason, condition.message),
        None => phase.to_owned(),
    }
}

/// Whether all servers were up at least once.
pub(crate) fn has_run(status: &ArrayJobStatus) -> bool {
    matches!(status.phase.as_deref(), Some("Running" | "Recovering" | "Complete"))
}

/// The endpoint of the job's results.
///
/// # Errors
/// The job has no endpoint yet; the error contains the state.
pub(crate) fn endpoint(job: &Found) -> Result<&Endpoint, Error> {
    let status = job.status.as_ref();
    status.and_then(|status| status.endpoint.as_ref()).filter(|endpoint| !endpoint.token_secret.is_empty()).ok_or_else(|| {
        Error::Refused(format!(
            "ArrayJob '{}' has no arrays to read yet; state: {}",
            job.metadata.name.as_deref().unwrap_or_default(),
            state(status)
        ))
    })
}

/// The token of the job's servers.
///
/// # Errors
/// The Secret is missing or not readable, or has no token.
pub(crate) async fn token(cluster: &Cluster, endpoint: &Endpoint) -> Result<String, Error> {
    let name = &endpoint.token_secret;
    let action = format!("read Secret {name} in namespace {}, which contains the job's token", cluster.namespace);
    let role = format!("apiGroups [\"\"], resources [secrets], resourceNames [{name}], verbs [get]");
    let secrets: Api<Secret> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let secret = request(Action { name: &action, role: &role }, secrets.get(name)).await?;
    let token = secret.data.unwrap_or_default().remove("token").and_then(|bytes| String::from_utf8(bytes.0).ok());
    token
        .map(|token| token.trim().to_owned())
        .filter(|token| !token.is_empty())
        .ok_or_else(|| Error::Refused(format!("Secret {name} has no key 'token'; delete the Secret, and the operator creates it again")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crds::v1alpha1::status::Condition;

    fn condition(type_: &str, status: &str, reason: &str, message: &str) -> Condition {
        Condition { type_: type_.into(), status: status.into(), reason: reason.into(), message: message.into(), ..Condition::default() }
    }

    #[test]
    fn the_most_important_condition_is_shown() {
        assert!(state(None).contains("operator"));
        assert!(state(Some(&ArrayJobStatus::default())).contains("operator"));
        let mut status = ArrayJobStatus { phase: Some("Starting".into()), ..ArrayJobStatus::default() };
        assert_eq!(state(Some(&status)), "Starting");
        status.conditions = vec![condition("Progressing", "True", "Starting", "1/2 servers")];
        assert_eq!(state(Some(&status)), "Starting (Starting: 1/2 servers)");
        status.conditions.push(condition("Stalled", "True", "Unschedulable", "0/1 nodes"));
        assert_eq!(state(Some(&status)), "Starting (Unschedulable: 0/1 nodes)");
        status.conditions.push(condition("Failed", "False", "Running", ""));
        assert_eq!(state(Some(&status)), "Starting (Unschedulable: 0/1 nodes)");
    }

    #[test]
    fn a_job_without_an_endpoint_reports_its_state() {
        let job: Found = serde_json::from_value(serde_json::json!({
            "apiVersion": "arrayjob.dev/v1alpha1", "kind": "ArrayJob", "metadata": {"name": "j"},
            "spec": {"a field of a later version": 1}, "status": {"phase": "Pending", "another": 2},
        }))
        .unwrap();
        assert_eq!(endpoint(&job).unwrap_err().sentence(), "ArrayJob 'j' has no arrays to read yet; state: Pending");
        assert!(listing(vec![]).contains("--namespace"));
        assert_eq!(listing(vec!["a".into(), "b".into()]), "; ArrayJobs of the namespace: a, b");
    }
}
