//! An ArrayJob of the cluster: found, or told why not; and what it says of itself.

use super::place::{Cluster, answer, is_name};
use crate::error::Error;
use crds::ArrayJob;
use crds::v1alpha1::ArrayJobStatus;
use crds::v1alpha1::status::Endpoint;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, ApiResource, ListParams, Object};
use serde_json::Value;

/// An ArrayJob whose spec stays as it was applied: a newer operator's may hold more than is known here.
pub(crate) type Found = Object<Value, ArrayJobStatus>;

/// What one who uses these verbs has to be allowed.
pub(crate) const VERBS: &str = "get, list, watch";

/// ArrayJobs of the namespace.
pub(crate) fn api(cluster: &Cluster) -> Api<Found> {
    Api::namespaced_with(cluster.client.clone(), &cluster.namespace, &ApiResource::erase::<ArrayJob>(&()))
}

/// The ArrayJob of that name.
///
/// # Errors
/// When there is none, or it may not be read.
pub(crate) async fn find(cluster: &Cluster, name: &str) -> Result<Found, Error> {
    if !is_name(name) {
        return Err(Error::Refused(format!("'{name}' is no name of an ArrayJob: a-z, 0-9 and - only")));
    }
    let doing = format!("read ArrayJob {name} in namespace {}", cluster.namespace);
    let get = async {
        match api(cluster).get(name).await {
            // Also when the API server does not know the kind.
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
            answer => answer.map(Some),
        }
    };
    match answer(&doing, &format!("apiGroups [arrayjob.dev], resources [arrayjobs], verbs [{VERBS}]"), get).await? {
        Some(job) => Ok(job),
        None => Err(Error::Refused(format!("no ArrayJob '{name}' in namespace '{}'{}", cluster.namespace, others(cluster).await))),
    }
}

/// What there is instead of a job that is not there.
async fn others(cluster: &Cluster) -> String {
    let listed = answer("list ArrayJobs", "", api(cluster).list(&ListParams::default().limit(20))).await;
    match listed {
        Ok(list) => known(list.items.into_iter().filter_map(|job| job.metadata.name).collect()),
        // The API server has never heard of them.
        Err(Error::Refused(text)) if text.contains("not found") => {
            "; this cluster does not know ArrayJobs at all: install the charts arrayjob-crds and arrayjob".into()
        }
        Err(_) => String::new(),
    }
}

fn known(names: Vec<String>) -> String {
    if names.is_empty() { "; there are none in it, --namespace names another".into() } else { format!("; there are {}", names.join(", ")) }
}

/// How a job stands, as the end of "it is".
pub(crate) fn standing(status: Option<&ArrayJobStatus>) -> String {
    let Some(status) = status.filter(|status| status.phase.is_some() || !status.conditions.is_empty()) else {
        return "not looked at by the operator yet; is that running?".into();
    };
    let phase = status.phase.as_deref().unwrap_or("Pending");
    let is_true = |name: &str| status.conditions.iter().find(|condition| condition.type_ == name && condition.status == "True");
    let telling = ["Failed", "Stalled", "Suspended", "Complete"].iter().find_map(|name| is_true(name));
    let telling = telling.or_else(|| status.conditions.iter().find(|condition| condition.type_ == "Progressing"));
    match telling {
        Some(condition) if condition.message.is_empty() => format!("{phase} ({})", condition.reason),
        Some(condition) => format!("{phase} ({}: {})", condition.reason, condition.message),
        None => phase.to_owned(),
    }
}

/// Whether all servers have been up once.
pub(crate) fn has_run(status: &ArrayJobStatus) -> bool {
    matches!(status.phase.as_deref(), Some("Running" | "Recovering" | "Complete"))
}

/// Where the job's results are read.
///
/// # Errors
/// When it has not come that far, with how far it is.
pub(crate) fn endpoint(job: &Found) -> Result<&Endpoint, Error> {
    let status = job.status.as_ref();
    status.and_then(|status| status.endpoint.as_ref()).filter(|endpoint| !endpoint.token_secret.is_empty()).ok_or_else(|| {
        Error::Refused(format!(
            "ArrayJob '{}' has nothing to read yet: it is {}",
            job.metadata.name.as_deref().unwrap_or_default(),
            standing(status)
        ))
    })
}

/// The token that opens the job's servers.
///
/// # Errors
/// When the Secret is not there, may not be read, or holds none.
pub(crate) async fn token(cluster: &Cluster, endpoint: &Endpoint) -> Result<String, Error> {
    let name = &endpoint.token_secret;
    let doing = format!("read Secret {name} in namespace {}, which holds the job's token", cluster.namespace);
    let role = format!("apiGroups [\"\"], resources [secrets], resourceNames [{name}], verbs [get]");
    let secrets: Api<Secret> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let secret = answer(&doing, &role, secrets.get(name)).await?;
    let token = secret.data.unwrap_or_default().remove("token").and_then(|bytes| String::from_utf8(bytes.0).ok());
    token
        .map(|token| token.trim().to_owned())
        .filter(|token| !token.is_empty())
        .ok_or_else(|| Error::Refused(format!("Secret {name} has no key token; the operator writes it anew once it is deleted")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crds::v1alpha1::status::Condition;

    fn condition(type_: &str, status: &str, reason: &str, message: &str) -> Condition {
        Condition { type_: type_.into(), status: status.into(), reason: reason.into(), message: message.into(), ..Condition::default() }
    }

    #[test]
    fn the_most_telling_condition_is_told() {
        assert!(standing(None).contains("operator"));
        assert!(standing(Some(&ArrayJobStatus::default())).contains("operator"));
        let mut status = ArrayJobStatus { phase: Some("Starting".into()), ..ArrayJobStatus::default() };
        assert_eq!(standing(Some(&status)), "Starting");
        status.conditions = vec![condition("Progressing", "True", "Starting", "1/2 servers")];
        assert_eq!(standing(Some(&status)), "Starting (Starting: 1/2 servers)");
        status.conditions.push(condition("Stalled", "True", "Unschedulable", "0/1 nodes"));
        assert_eq!(standing(Some(&status)), "Starting (Unschedulable: 0/1 nodes)");
        status.conditions.push(condition("Failed", "False", "Running", ""));
        assert_eq!(standing(Some(&status)), "Starting (Unschedulable: 0/1 nodes)");
    }

    #[test]
    fn a_job_without_an_endpoint_says_how_far_it_is() {
        let job: Found = serde_json::from_value(serde_json::json!({
            "apiVersion": "arrayjob.dev/v1alpha1", "kind": "ArrayJob", "metadata": {"name": "j"},
            "spec": {"a field of a later version": 1}, "status": {"phase": "Pending", "another": 2},
        }))
        .unwrap();
        assert_eq!(endpoint(&job).unwrap_err().sentence(), "ArrayJob 'j' has nothing to read yet: it is Pending");
        assert!(known(vec![]).contains("--namespace"));
        assert_eq!(known(vec!["a".into(), "b".into()]), "; there are a, b");
    }
}
