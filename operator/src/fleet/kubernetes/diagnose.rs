//! Why servers do not start, as one reason and one sentence that names the fix. Pure.

use api::phase::Failure;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;

/// How long a container may be in the making before its volumes are suspected.
const PATIENCE: SignedDuration = SignedDuration::from_secs(15);

/// Reasons that only a cluster has, as programs read them.
pub mod reason {
    /// No node takes a server.
    pub const UNSCHEDULABLE: &str = "Unschedulable";
    /// The image cannot be pulled.
    pub const IMAGE_PULL_FAILED: &str = "ImagePullFailed";
    /// A container cannot be made: a Secret that is not there, most often.
    pub const CANNOT_START: &str = "ServerCannotStart";
    /// The namespace's quota is used up.
    pub const QUOTA_EXCEEDED: &str = "QuotaExceeded";
    /// The cluster's admission refuses the pods.
    pub const FORBIDDEN: &str = "Forbidden";
    /// A server took more memory than its limit.
    pub const OOM_KILLED: &str = "OOMKilled";
    /// An object of that name belongs to somebody else.
    pub const NAME_TAKEN: &str = "NameTaken";
}

/// The first reason why one of these pods does not start; none while nothing is wrong.
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
                "the servers' image {} cannot be pulled; set servers.image in the Helm values to one that the nodes can pull, with \
                 imagePullSecrets if it is private ({pod}: {message})",
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

/// A pod whose volumes do not come says nothing but that it is being made. Only one with a Secret of the user's is worth a
/// guess, and only after a while.
fn volumes(pod: &Pod, now: Timestamp) -> Option<Failure> {
    let volumes = pod.spec.as_ref()?.volumes.as_ref()?;
    let secret = volumes.iter().find(|volume| volume.name == "source")?.secret.as_ref()?.secret_name.clone()?;
    let status = pod.status.as_ref()?;
    let waiting = status.container_statuses.iter().flatten().next()?.state.as_ref()?.waiting.as_ref()?;
    let scheduled = status.conditions.iter().flatten().find(|condition| condition.type_ == "PodScheduled" && condition.status == "True")?;
    let since = now.duration_since(scheduled.last_transition_time.as_ref()?.0);
    (waiting.reason.as_deref() == Some("ContainerCreating") && since > PATIENCE).then(|| Failure {
        reason: reason::CANNOT_START.into(),
        message: format!(
            "{} is still being made; is there a Secret {secret} (source.secretRef) in the namespace? kubectl describe pod {} says more",
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
        message: format!(
            "no node takes {}: {message}; ask for less in servers.resources.requests, use fewer replicas, or add nodes",
            name(pod)
        ),
    })
}

/// What the API server's refusal to create a pod means: `Ok` for one that may pass, `Err` for one that will not.
pub fn refusal(pod: &str, status: &kube::core::Status) -> Result<Failure, Failure> {
    let message = &status.message;
    match status.code {
        403 if message.contains("exceeded quota") || message.contains("failed quota") => Ok(Failure {
            reason: reason::QUOTA_EXCEEDED.into(),
            message: format!(
                "the namespace's quota does not allow {pod} ({message}); raise the quota, use fewer replicas, or ask for less in \
                 servers.resources"
            ),
        }),
        403 => Ok(Failure {
            reason: reason::FORBIDDEN.into(),
            message: format!("the cluster refuses {pod} ({message}); its policies or the operator's role have to allow it"),
        }),
        400 | 422 => Err(Failure {
            reason: api::phase::reason::INVALID_SPEC.into(),
            message: format!("spec.servers: the cluster refuses such a pod ({message})"),
        }),
        _ => Ok(Failure { reason: reason::CANNOT_START.into(), message: format!("{pod} cannot be created: {message}; tried again") }),
    }
}

#[cfg(test)]
mod tests;
