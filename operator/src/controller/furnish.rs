//! Applies what a job has beside its pods. Idempotent; done once by each operator, before the first pod.

use super::case::Error;
use super::context::{Context, Memory};
use crate::fleet::kubernetes::diagnose::reason::NAME_TAKEN;
use crate::fleet::kubernetes::{children, names};
use api::phase::Failure;
use crds::ArrayJob;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{Secret, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::api::{Api, Patch, PatchParams, PostParams};
use kube::{Resource, ResourceExt as _};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::sync::atomic::Ordering;

/// Applies Secret, Service and NetworkPolicy.
///
/// # Errors
/// When the API refuses; a name that is somebody else's is the job's failure.
pub(super) async fn furnish(context: &Context, memory: &Memory, job: &ArrayJob) -> Result<Result<(), Failure>, Error> {
    if memory.furnished.load(Ordering::Relaxed) {
        return Ok(Ok(()));
    }
    let namespace = job.namespace().unwrap_or_default();
    let services: Api<Service> = Api::namespaced(context.client.clone(), &namespace);
    if let Some(found) = services.get_opt(&job.name_any()).await?
        && !found.owner_references().iter().any(|owner| Some(&owner.uid) == job.uid().as_ref())
    {
        // A job of the same name that was deleted just now still has its Service for a moment.
        if found.labels().get(names::JOB) == Some(&job.name_any()) {
            return Err(Error::Predecessor);
        }
        return Ok(Err(Failure {
            reason: NAME_TAKEN.into(),
            message: format!("a Service {} exists that is not this job's; give the ArrayJob another name", job.name_any()),
        }));
    }
    apply(&services, children::service(job)).await?;
    let secrets: Api<Secret> = Api::namespaced(context.client.clone(), &namespace);
    create(&secrets, children::secret(job, &memory.identities)).await?;
    if context.settings.network_policies {
        let policies: Api<NetworkPolicy> = Api::namespaced(context.client.clone(), &namespace);
        apply(&policies, children::network_policy(job, &context.settings.namespace)).await?;
    }
    memory.furnished.store(true, Ordering::Relaxed);
    Ok(Ok(()))
}

/// Creates what never changes. The answer to a patch would show the object, and the operator may not read Secrets.
async fn create(api: &Api<Secret>, secret: Secret) -> Result<(), Error> {
    match api.create(&PostParams::default(), &secret).await {
        Ok(_) => Ok(()),
        // From before: its name carries the job's uid, and its content follows from it.
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
        Err(error) => Err(error.into()),
    }
}

async fn apply<K>(api: &Api<K>, object: K) -> Result<(), Error>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + Serialize + DeserializeOwned,
{
    let name = object.name_any();
    api.patch(&name, &PatchParams::apply(names::MANAGER).force(), &Patch::Apply(&object)).await?;
    Ok(())
}
