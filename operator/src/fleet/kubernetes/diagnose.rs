//! Why servers do not start: one reason, and one sentence that names the fix. Pure.

use super::pod::SOURCE;
use api::phase::Failure;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;

/// After this time in `ContainerCreating`, a missing volume is reported.
const VOLUME_TIMEOUT: SignedDuration = SignedDuration::from_secs(15);

/// Reasons that only a cluster has. Programs read them.
pub mod reason {
    /// No node has the resources for a server.
    pub const UNSCHEDULABLE: &str = "Unschedulable";
    /// A node cannot pull the image.
    pub const IMAGE_PULL_FAILED: &str = "ImagePullFailed";
    /// A container cannot be created, often because a Secret is missing.
    pub const CANNOT_START: &str = "ServerCannotStart";
    /// The quota of the namespace is exhausted.
    pub const QUOTA_EXCEEDED: &str = "QuotaExceeded";
    /// The admission control of the cluster refuses the pods.
    pub const FORBIDDEN: &str = "Forbidden";
    /// A server used more memory than its limit.
    pub const OOM_KILLED: &str = "OOMKilled";
    /// The servers have certificates of another key than the operator's.
    pub const KEY_LOST: &str = "OperatorKeyLost";
    /// An object of the same name belongs to another owner.
    pub const NAME_TAKEN: &str = "NameTaken";
}

/// The first reason why one of these pods does not start; `None` if all start normally.
pub fn diagnose<'a>(pods: impl IntoIterator<Item = &'a Pod>, now: Timestamp) -> Option<Failure> {
    let mut unschedulable = None;
    for pod in pods {
        if let Some(failure) = container(pod).or_else(|| volumes(pod, now)) {
            return Some(failure);
        }
        unschedulable = unschedulable.or_else(|| scheduling(pod));
    }
    unschedulable
}

/// Servers that another key has certified: the operator's key was lost, and the operator created another key. `None` for no such server.
pub fn key_lost(untrusted: usize) -> Option<Failure> {
    (untrusted > 0).then(|| Failure {
        reason: reason::KEY_LOST.into(),
        message: format!(
            "{untrusted} servers have certificates of another key, so the operator cannot connect to them: the Secret {} of the operator's \
             namespace was deleted or replaced; restore that Secret and restart the operator, or delete the job and apply it again (until \
             then, results stay readable with the token of the job)",
            crate::key::SECRET
        ),
    })
}

fn name(pod: &Pod) -> &str {
    pod.metadata.name.as_deref().unwrap_or_default()
}

fn container(pod: &Pod) -> Option<Failure> {
    let status = pod.status.as_ref()?;
    let container = status.container_statuses.iter().flatten().next()?;
    let waiting = container.state.as_ref()?.waiting.as_ref()?;
    let message = waiting.message.clone().unwrap_or_default();
    let pod = name(pod);
    let (reason, message) = match waiting.reason.as_deref()? {
        "ErrImagePull" | "ImagePullBackOff" | "ErrImageNeverPull" | "InvalidImageName" | "ImageInspectError" => (
            reason::IMAGE_PULL_FAILED,
            format!(
                "cannot pull the servers' image {}; set servers.image in the Helm values to an image that the nodes can pull, with \
                 imagePullSecrets if the image is private ({pod}: {message})",
                container.image
            ),
        ),
        "CreateContainerConfigError" | "CreateContainerError" | "RunContainerError" => {
            (reason::CANNOT_START, format!("{pod} cannot start: {message}; see kubectl describe pod {pod}"))
        }
        _ => return None,
    };
    Some(Failure { reason: reason.into(), message })
}

/// Kubernetes reports only `ContainerCreating` for a pod whose volumes cannot be mounted. The Secret of the user is the likely cause, if
/// the pod has one.
fn volumes(pod: &Pod, now: Timestamp) -> Option<Failure> {
    let volumes = pod.spec.as_ref()?.volumes.as_ref()?;
    let secret = volumes.iter().find(|volume| volume.name == SOURCE)?.secret.as_ref()?.secret_name.clone()?;
    let status = pod.status.as_ref()?;
    let waiting = status.container_statuses.iter().flatten().next()?.state.as_ref()?.waiting.as_ref()?;
    let scheduled = status.conditions.iter().flatten().find(|condition| condition.type_ == "PodScheduled" && condition.status == "True")?;
    let since = now.duration_since(scheduled.last_transition_time.as_ref()?.0);
    (waiting.reason.as_deref() == Some("ContainerCreating") && since > VOLUME_TIMEOUT).then(|| Failure {
        reason: reason::CANNOT_START.into(),
        message: format!(
            "the container of {} is not created yet; check that the Secret {secret} (source.secretRef) exists in the namespace; \
             kubectl describe pod {} shows the cause",
            name(pod),
            name(pod)
        ),
    })
}

fn scheduling(pod: &Pod) -> Option<Failure> {
    let conditions = pod.status.as_ref()?.conditions.iter().flatten();
    let refused = |condition: &&k8s_openapi::api::core::v1::PodCondition| {
        condition.type_ == "PodScheduled" && condition.status == "False" && condition.reason.as_deref() == Some("Unschedulable")
    };
    let message = conditions.into_iter().find(refused)?.message.clone().unwrap_or_default();
    Some(Failure {
        reason: reason::UNSCHEDULABLE.into(),
        message: format!("no node can run {}: {message}; lower servers.resources.requests, use fewer replicas, or add nodes", name(pod)),
    })
}

/// The API server refused to create a pod. `Ok`: the refusal is temporary. `Err`: the refusal is permanent.
pub fn refusal(pod: &str, status: &kube::core::Status) -> Result<Failure, Failure> {
    let message = &status.message;
    match status.code {
        403 if message.contains("exceeded quota") || message.contains("failed quota") => Ok(Failure {
            reason: reason::QUOTA_EXCEEDED.into(),
            message: format!(
                "the namespace's quota does not allow {pod} ({message}); raise the quota, use fewer replicas, or lower \
                 servers.resources"
            ),
        }),
        403 => Ok(Failure {
            reason: reason::FORBIDDEN.into(),
            message: format!("the cluster refuses {pod} ({message}); change its policies or the operator's role to allow the pod"),
        }),
        400 | 422 => Err(Failure {
            reason: api::phase::reason::INVALID_SPEC.into(),
            message: format!("spec.servers: the cluster refuses a pod with these fields ({message})"),
        }),
        _ => Ok(Failure { reason: reason::CANNOT_START.into(), message: format!("cannot create {pod}: {message}; the operator retries") }),
    }
}

#[cfg(test)]
mod tests;
