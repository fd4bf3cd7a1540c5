//! Ensures the objects of a job that are not pods: Secret, Service and NetworkPolicy. Each operator applies them before the first pod, and
//! again from time to time, because a user may delete them by hand. The operator may not watch them: a watch of Secrets would read them.

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
use std::sync::PoisonError;
use std::time::Duration;
use tokio::time::Instant;

/// Interval of the checks while every server responds.
const INTERVAL: Duration = Duration::from_secs(30);
/// Interval of the checks while servers start, because a new pod waits for the Secret.
const STARTING_INTERVAL: Duration = Duration::from_secs(10);

/// Applies the objects, if a check is due. A Service of the same name that belongs to another owner fails a job that has not started.
pub(super) async fn ensure_children(ctx: &ReconcileContext<'_>) -> Result<(), StepError> {
    let last = *ctx.cache.children_ensured.lock().unwrap_or_else(PoisonError::into_inner);
    let all_up = ctx.ready_before().is_some_and(|ready| ready.is_true);
    let interval = if all_up { INTERVAL } else { STARTING_INTERVAL };
    match last {
        None => ensure(ctx, true).await?,
        Some(last) if last.elapsed() < interval => return Ok(()),
        Some(_) => match ensure(ctx, false).await {
            Err(StepError::JobFailed(failure)) => {
                tracing::warn!(job = ctx.job.name_any(), message = failure.message, "an object of a working job is missing");
            }
            other => other?,
        },
    }
    *ctx.cache.children_ensured.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    Ok(())
}

/// `first`: the first time of this operator. The objects may then have the form of an earlier version.
async fn ensure(ctx: &ReconcileContext<'_>, first: bool) -> Result<(), StepError> {
    let (client, job) = (&ctx.shared.client, &*ctx.job);
    let namespace = job.namespace().unwrap_or_default();
    let services: Api<Service> = Api::namespaced(client.clone(), &namespace);
    let service = services.get_opt(&job.name_any()).await?;
    let missing = service.is_none();
    check_owner(ctx, service)?;
    if first || missing {
        apply(&services, children::service(job)).await?;
    }
    let secrets: Api<Secret> = Api::namespaced(client.clone(), &namespace);
    let created = create(&secrets, children::secret(job, &ctx.cache.identities)).await?;
    if ctx.shared.settings.network_policies {
        let policies: Api<NetworkPolicy> = Api::namespaced(client.clone(), &namespace);
        apply(&policies, children::network_policy(job, &ctx.shared.settings.namespace, &ctx.shared.settings.servers.egress)).await?;
    }
    if !first && (missing || created) {
        tracing::warn!(job = job.name_any(), service = missing, secret = created, "deleted objects of a working job are created again");
    }
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
/// Returns whether the Secret did not exist.
async fn create(api: &Api<Secret>, secret: Secret) -> Result<bool, Error> {
    match api.create(&PostParams::default(), &secret).await {
        Ok(_) => Ok(true),
        // The name contains the uid of the job, and the content is derived from the uid: the existing Secret is the same.
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
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
