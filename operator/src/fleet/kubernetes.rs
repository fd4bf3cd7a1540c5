//! Chunk servers as pods without a controller; the ArrayJob owns the pods, and the pods' names start with its name. The fleet reads pods
//! from a watch's cache, which may be older than the operator's own writes: [`RecentWrites`] covers these writes until the cache shows
//! them.

pub mod children;
pub mod diagnose;
pub mod names;
pub mod pod;
pub mod pod_cache;
pub mod pod_state;
mod recent_writes;
pub mod secret_names;

pub use pod_cache::PodCache;
pub use recent_writes::RecentWrites;

use super::{Error, Fleet, NO_RESPONSE, ServerState};
use crate::validate::Invalid;
use api::phase::{Failure, Seen, reason};
use api::plan::ServerId;
use crds::ArrayJob;
use crds::v1alpha1::status::LastFailure;
use futures_util::{StreamExt as _, stream};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DeleteParams, PostParams, Preconditions};
use kube::runtime::reflector::Store;
use kube::{Client, ResourceExt as _};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Concurrent creations or deletions of pods.
const CONCURRENCY: usize = 16;

/// The pods of one job.
#[derive(Clone)]
pub struct KubernetesFleet {
    job: Arc<ArrayJob>,
    template: pod::Template,
    api: Api<Pod>,
    cache: PodCache,
    jobs: Store<ArrayJob>,
    recent: Arc<RecentWrites>,
}

impl std::fmt::Debug for KubernetesFleet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KubernetesFleet").field("job", &self.job.name_any()).finish_non_exhaustive()
    }
}

/// The caches of the watches.
#[derive(Clone)]
pub struct Caches {
    /// All chunk-server pods.
    pub pods: PodCache,
    /// All ArrayJobs.
    pub jobs: Store<ArrayJob>,
}

impl std::fmt::Debug for Caches {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Caches({} pods, {} jobs)", self.pods.len(), self.jobs.len())
    }
}

/// The API of one namespace, or of all namespaces.
pub(crate) fn scope<K>(client: &Client, namespace: Option<&str>) -> Api<K>
where
    K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
{
    match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}

impl KubernetesFleet {
    /// The fleet of `job`.
    pub fn new(client: Client, job: Arc<ArrayJob>, template: pod::Template, caches: &Caches, recent: Arc<RecentWrites>) -> Self {
        let api = Api::namespaced(client, &job.namespace().unwrap_or_default());
        Self { job, template, api, cache: caches.pods.clone(), jobs: caches.jobs.clone(), recent }
    }

    /// The cached pods of the job by server index, without pods that the operator has deleted.
    pub fn pods(&self) -> BTreeMap<usize, Arc<Pod>> {
        let mut pods = self.cache.of_job(&self.job.uid().unwrap_or_default());
        pods.retain(|pod| pod.metadata.namespace == self.job.metadata.namespace);
        self.recent.forget_shown(&pods);
        pods.into_iter().filter(|pod| !self.recent.was_deleted(pod)).filter_map(|pod| Some((pod_state::index(&pod)?, pod))).collect()
    }

    fn state(&self, index: usize, pods: &BTreeMap<usize, Arc<Pod>>) -> ServerState {
        match pods.get(&index) {
            Some(pod) => pod_state::server_state(pod),
            None if self.recent.was_created(&names::pod(&self.job.name_any(), index)) => ServerState::Starting,
            None if index < self.recent.launched() => ServerState::Lost("its pod was deleted".into()),
            None => ServerState::Absent,
        }
    }

    /// Deletes a pod without grace period: a server has nothing to save, and a pod on a lost node would not terminate.
    async fn delete(&self, pod: &Pod) -> Result<(), kube::Error> {
        let preconditions = Preconditions { uid: pod.uid(), resource_version: None };
        let how = DeleteParams { grace_period_seconds: Some(0), preconditions: Some(preconditions), ..DeleteParams::default() };
        self.recent.deleted(pod);
        match self.api.delete(&pod.name_any(), &how).await {
            Ok(_) => Ok(()),
            // The pod is deleted, or another pod has its name.
            Err(kube::Error::Api(status)) if status.code == 404 || status.code == 409 => Ok(()),
            Err(error) => {
                self.recent.deletion_failed(pod);
                Err(error)
            }
        }
    }

    /// Replaces the pod of server `id`.
    async fn replace(&self, id: ServerId, found: Option<Arc<Pod>>, seen: &ServerState) -> Result<(), Error> {
        let name = names::pod(&self.job.name_any(), id.0);
        let previous_end = match seen {
            ServerState::Starting => return Ok(()),
            ServerState::Absent => None,
            ServerState::Exited(why) | ServerState::Lost(why) => Some(why.as_str()),
            // The loop replaces a running server only if the server does not respond.
            ServerState::Up(_) => Some(NO_RESPONSE),
        };
        if let Some(why) = previous_end {
            let is_failure = matches!(seen, ServerState::Exited(_));
            let uid = found.as_ref().and_then(|pod| pod.uid());
            self.recent.count_loss(&name, uid, is_failure, last_failure(&name, found.as_deref(), why, is_failure));
        }
        if let Some(pod) = found
            && let Err(error) = self.delete(&pod).await
        {
            self.recent.set_create_error(unavailable(&name, &error));
            return Ok(());
        }
        let start = pod::Start { index: id.0, counts: self.recent.counts(), previous_end };
        let pod = self.check_identities().and_then(|()| pod::build(&self.job, &self.template, start));
        let pod = pod.map_err(|invalid| Error::Refused(Failure { reason: reason::INVALID_SPEC.into(), message: invalid.to_string() }))?;
        self.create(id, &name, &pod).await
    }

    /// Checks that the source's Secret is not the identity of a job, which would leave the cluster as a header.
    fn check_identities(&self) -> Result<(), Invalid> {
        let Some(secret) = self.job.spec.source.secret_ref.as_ref().map(|secret| &secret.name) else { return Ok(()) };
        let is_identity = |job: &ArrayJob| job.namespace() == self.job.namespace() && names::own(job) == *secret;
        if *secret != crate::key::SECRET && self.jobs.find(is_identity).is_none() {
            return Ok(());
        }
        let rule = format!("the Secret '{secret}' holds keys of ArrayJob, which no job may send");
        Err(Invalid { field: "spec.source.secretRef".into(), rule })
    }

    /// Creates the pod of server `id`. A temporary refusal is recorded, and the next turn retries.
    async fn create(&self, id: ServerId, name: &str, pod: &Pod) -> Result<(), Error> {
        match self.api.create(&PostParams::default(), pod).await {
            Ok(created) => {
                self.recent.created(&created);
                self.recent.mark_launched(id.0);
                tracing::info!(job = self.job.name_any(), pod = name, "server launched");
            }
            Err(kube::Error::Api(status)) if status.code == 409 => self.name_conflict(name).await?,
            Err(kube::Error::Api(status)) => self.recent.set_create_error(diagnose::refusal(name, &status).map_err(Error::Refused)?),
            Err(error) => self.recent.set_create_error(unavailable(name, &error)),
        }
        Ok(())
    }

    /// A pod of that name exists: a pod of this job, of a deleted job of the same name, or of another owner.
    async fn name_conflict(&self, name: &str) -> Result<(), Error> {
        let Ok(Some(pod)) = self.api.get_opt(name).await else { return Ok(()) };
        let own = pod.labels().get(names::UID) == self.job.uid().as_ref();
        if own {
            if pod.metadata.deletion_timestamp.is_none() && !self.recent.was_deleted(&pod) {
                self.recent.created(&pod);
                pod_state::index(&pod).into_iter().for_each(|index| self.recent.mark_launched(index));
            }
            return Ok(());
        }
        let earlier = pod.labels().get(names::JOB) == Some(&self.job.name_any());
        if !earlier {
            return Err(Error::Refused(Failure {
                reason: diagnose::reason::NAME_TAKEN.into(),
                message: format!(
                    "the pod {name} exists and does not belong to this job; delete the pod, or give the ArrayJob another name"
                ),
            }));
        }
        // The garbage collector deletes the pods of the earlier job.
        Ok(())
    }

    /// Deletes the pods of the job for which `which` is true.
    pub async fn remove_if(&self, which: impl Fn(&Pod) -> bool) {
        let selected: Vec<Arc<Pod>> = self.pods().into_values().filter(|pod| which(pod)).collect();
        stream::iter(selected)
            .for_each_concurrent(CONCURRENCY, |pod| async move {
                if let Err(error) = self.delete(&pod).await {
                    tracing::warn!(pod = pod.name_any(), %error, "cannot delete the pod; the deletion is retried");
                }
            })
            .await;
    }
}

impl Fleet for KubernetesFleet {
    async fn observe(&self, servers: usize) -> Vec<ServerState> {
        let pods = self.pods();
        for (index, pod) in &pods {
            self.recent.raise_counts(pod_state::counts(pod));
            self.recent.mark_launched(*index);
        }
        (0..servers).map(|index| self.state(index, &pods)).collect()
    }

    fn restarts(&self) -> u32 {
        self.recent.counts().0
    }

    fn unresponsive(&self) -> Seen {
        // The node may be lost, which is not a failure of the server. A job that hangs ends by its deadline.
        Seen::Lost(NO_RESPONSE.into())
    }

    async fn ensure(&self, servers: &[ServerId]) -> Result<(), Error> {
        let exists = |job: &ArrayJob| job.uid() == self.job.uid() && job.metadata.deletion_timestamp.is_none();
        if self.jobs.find(exists).is_none() {
            return Ok(());
        }
        self.recent.clear_create_error();
        let pods = self.pods();
        let results = stream::iter(servers.iter().copied())
            .map(|id| {
                let (found, seen) = (pods.get(&id.0).cloned(), self.state(id.0, &pods));
                async move { self.replace(id, found, &seen).await }
            })
            .buffered(CONCURRENCY)
            .collect::<Vec<_>>()
            .await;
        results.into_iter().collect()
    }

    async fn remove(&self) {
        self.remove_if(|_| true).await;
    }
}

fn unavailable(pod: &str, error: &kube::Error) -> Failure {
    Failure {
        reason: diagnose::reason::CANNOT_START.into(),
        message: format!("cannot create or delete {pod} now: {error}; the operator retries"),
    }
}

fn last_failure(name: &str, pod: Option<&Pod>, why: &str, is_failure: bool) -> LastFailure {
    let end = pod.and_then(pod_state::terminated);
    LastFailure {
        server: name.to_owned(),
        reason: end.as_ref().map_or_else(|| if is_failure { "Error".into() } else { "Lost".into() }, pod_state::reason),
        message: why.to_owned(),
        exit_code: end.map(|end| end.exit_code),
        node: pod.and_then(|pod| pod.spec.as_ref()?.node_name.clone()),
        at: Timestamp::now().round(jiff::Unit::Second).unwrap_or_default().to_string(),
    }
}
