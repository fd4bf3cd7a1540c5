//! Ensures the objects of a job that are not pods: Secret, Service and NetworkPolicy. Each operator applies them once, before the first
//! pod.

use super::error::{Error, StepError};
use super::reconcile_context::ReconcileContext;
use crate::fleet::kubernetes::diagnose::reason::NAME_TAKEN;
use crate::fleet::kubernetes::{children, names};
use api::phase::Failure;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{Secret, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::api::{Api, Patch, PatchParams, PostParams};
use kube::{Resource, ResourceExt as _};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::sync::atomic::Ordering;

/// Applies the objects. A Service of the same name that belongs to another owner fails the job.
pub(super) async fn ensure_children(ctx: &ReconcileContext<'_>) -> Result<(), StepError> {
    if ctx.cache.children_ensured.load(Ordering::Relaxed) {
        return Ok(());
    }
    let (client, job) = (&ctx.shared.client, &*ctx.job);
    let namespace = job.namespace().unwrap_or_default();
    let services: Api<Service> = Api::namespaced(client.clone(), &namespace);
    check_owner(ctx, services.get_opt(&job.name_any()).await?)?;
    apply(&services, children::service(job)).await?;
    let secrets: Api<Secret> = Api::namespaced(client.clone(), &namespace);
    create(&secrets, children::secret(job, &ctx.cache.identities)).await?;
    if ctx.shared.settings.network_policies {
        let policies: Api<NetworkPolicy> = Api::namespaced(client.clone(), &namespace);
        apply(&policies, children::network_policy(job, &ctx.shared.settings.namespace)).await?;
    }
    ctx.cache.children_ensured.store(true, Ordering::Relaxed);
    Ok(())
}

fn check_owner(ctx: &ReconcileContext<'_>, found: Option<Service>) -> Result<(), StepError> {
    let name = ctx.job.name_any();
    let Some(found) = found else { return Ok(()) };
    if found.owner_references().iter().any(|owner| Some(&owner.uid) == ctx.job.uid().as_ref()) {
        return Ok(());
    }
    // The garbage collector deletes the Service of a deleted job some time after the job.
    if found.labels().get(names::JOB) == Some(&name) {
        return Err(Error::OldService.into());
    }
    let message = format!("the Service {name} exists and does not belong to this job; give the ArrayJob another name");
    Err(Failure { reason: NAME_TAKEN.into(), message }.into())
}

/// Creates the Secret, which never changes. A patch would return the object, and the operator may not read Secrets.
async fn create(api: &Api<Secret>, secret: Secret) -> Result<(), Error> {
    match api.create(&PostParams::default(), &secret).await {
        Ok(_) => Ok(()),
        // The name contains the uid of the job, and the content is derived from the uid: the existing Secret is the same.
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
