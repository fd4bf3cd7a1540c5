//! Chunk servers as bare pods, owned by their ArrayJob and named after it. Pods are seen through a watch's cache, which may
//! be behind the operator's own writes: [`Recent`] remembers those until the cache has caught up, and nothing else.

pub mod children;
pub mod diagnose;
pub mod names;
pub mod pod;
pub mod pod_state;
mod recent;

pub use recent::Recent;

use super::{Error, Fleet, SILENT, ServerState};
use crate::validate::Place;
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

/// Pods created or deleted at a time.
const AT_A_TIME: usize = 16;

/// The pods of one job.
#[derive(Clone)]
pub struct KubernetesFleet {
    job: Arc<ArrayJob>,
    options: pod::Options,
    size: pod::Size,
    scratch_bytes: u64,
    api: Api<Pod>,
    cache: Store<Pod>,
    jobs: Store<ArrayJob>,
    recent: Arc<Recent>,
}

impl std::fmt::Debug for KubernetesFleet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KubernetesFleet").field("job", &self.job.name_any()).finish_non_exhaustive()
    }
}

/// What the watches have seen.
#[derive(Clone)]
pub struct Caches {
    /// All chunk-server pods.
    pub pods: Store<Pod>,
    /// All ArrayJobs.
    pub jobs: Store<ArrayJob>,
}

impl std::fmt::Debug for Caches {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Caches({} pods, {} jobs)", self.pods.len(), self.jobs.len())
    }
}

/// The API of one namespace, or of all.
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
    /// The fleet of `job`, whose servers have `scratch_bytes` of disk each.
    pub fn new(
        client: Client,
        job: Arc<ArrayJob>,
        options: pod::Options,
        size: pod::Size,
        scratch_bytes: u64,
        caches: &Caches,
        recent: Arc<Recent>,
    ) -> Self {
        let api = Api::namespaced(client, &job.namespace().unwrap_or_default());
        Self { job, options, size, scratch_bytes, api, cache: caches.pods.clone(), jobs: caches.jobs.clone(), recent }
    }

    /// The job's pods as the cache has them, less those that were deleted meanwhile.
    pub fn pods(&self) -> BTreeMap<usize, Arc<Pod>> {
        let uid = self.job.uid();
        let own = |pod: &Pod| pod.namespace() == self.job.namespace() && pod.labels().get(names::UID) == uid.as_ref();
        let pods = self.cache.state_filter(own);
        self.recent.settle(&pods);
        pods.into_iter().filter(|pod| !self.recent.is_gone(pod)).filter_map(|pod| Some((pod_state::index(&pod)?, pod))).collect()
    }

    fn state(&self, index: usize, pods: &BTreeMap<usize, Arc<Pod>>) -> ServerState {
        match pods.get(&index) {
            Some(pod) => pod_state::server_state(pod),
            None if self.recent.is_coming(&names::pod(&self.job.name_any(), index)) => ServerState::Starting,
            None if index < self.recent.launched() => ServerState::Lost("its pod was deleted".into()),
            None => ServerState::Absent,
        }
    }

    /// Deletes a pod at once: it holds nothing that it could put away, and one on a lost node would stay for ever.
    async fn delete(&self, pod: &Pod) -> Result<(), kube::Error> {
        let preconditions = Preconditions { uid: pod.uid(), resource_version: None };
        let how = DeleteParams { grace_period_seconds: Some(0), preconditions: Some(preconditions), ..DeleteParams::default() };
        self.recent.deleted(pod);
        match self.api.delete(&pod.name_any(), &how).await {
            Ok(_) => Ok(()),
            // Gone already, or another pod by now.
            Err(kube::Error::Api(status)) if status.code == 404 || status.code == 409 => Ok(()),
            Err(error) => {
                self.recent.not_deleted(pod);
                Err(error)
            }
        }
    }

    /// Replaces what there is of server `id`.
    async fn replace(&self, id: ServerId, found: Option<Arc<Pod>>, seen: &ServerState) -> Result<(), Error> {
        let name = names::pod(&self.job.name_any(), id.0);
        let after = match seen {
            ServerState::Starting => return Ok(()),
            ServerState::Absent => None,
            ServerState::Exited(why) | ServerState::Lost(why) => Some(why.as_str()),
            // It was asked to be replaced because it does not answer.
            ServerState::Up(_) => Some(SILENT),
        };
        if let Some(why) = after {
            let counts = matches!(seen, ServerState::Exited(_));
            let uid = found.as_ref().and_then(|pod| pod.uid());
            self.recent.count(&name, uid, counts, last_failure(&name, found.as_deref(), why, counts));
        }
        if let Some(pod) = found
            && let Err(error) = self.delete(&pod).await
        {
            self.recent.trouble(unavailable(&name, &error));
            return Ok(());
        }
        let start = pod::Start { index: id.0, counts: self.recent.counts(), after };
        let pod = pod::build(&self.job, &self.options, &self.size, self.scratch_bytes, start)
            .map_err(|invalid| Error::Refused(Failure { reason: reason::INVALID_SPEC.into(), message: invalid.to_string() }))?;
        match self.api.create(&PostParams::default(), &pod).await {
            Ok(created) => {
                self.recent.created(&created);
                self.recent.launch(id.0);
                tracing::info!(job = self.job.name_any(), pod = name, "server launched");
                Ok(())
            }
            Err(kube::Error::Api(status)) if status.code == 409 => self.taken(&name).await,
            Err(kube::Error::Api(status)) => match diagnose::refusal(&name, &status) {
                Ok(passing) => {
                    self.recent.trouble(passing);
                    Ok(())
                }
                Err(lasting) => Err(Error::Refused(lasting)),
            },
            Err(error) => {
                self.recent.trouble(unavailable(&name, &error));
                Ok(())
            }
        }
    }

    /// A pod of that name exists: ours from before, ending, or somebody else's.
    async fn taken(&self, name: &str) -> Result<(), Error> {
        let Ok(Some(pod)) = self.api.get_opt(name).await else { return Ok(()) };
        let ours = pod.labels().get(names::UID) == self.job.uid().as_ref();
        if ours {
            if pod.metadata.deletion_timestamp.is_none() && !self.recent.is_gone(&pod) {
                self.recent.created(&pod);
                pod_state::index(&pod).into_iter().for_each(|index| self.recent.launch(index));
            }
            return Ok(());
        }
        let earlier = pod.labels().get(names::JOB) == Some(&self.job.name_any());
        if !earlier {
            return Err(Error::Refused(Failure {
                reason: diagnose::reason::NAME_TAKEN.into(),
                message: format!("a pod {name} exists that is not this job's; delete it, or give the ArrayJob another name"),
            }));
        }
        // A job of the same name was deleted just now, and its pods are on their way out.
        Ok(())
    }

    /// Deletes those of the job's pods that `which` says.
    pub async fn remove_if(&self, which: impl Fn(&Pod) -> bool) {
        let doomed: Vec<Arc<Pod>> = self.pods().into_values().filter(|pod| which(pod)).collect();
        stream::iter(doomed)
            .for_each_concurrent(AT_A_TIME, |pod| async move {
                if let Err(error) = self.delete(&pod).await {
                    tracing::warn!(pod = pod.name_any(), %error, "cannot be deleted; tried again");
                }
            })
            .await;
    }
}

impl Fleet for KubernetesFleet {
    fn place(&self) -> Place {
        Place::Cluster
    }

    async fn observe(&self, servers: usize) -> Vec<ServerState> {
        let pods = self.pods();
        for (index, pod) in &pods {
            self.recent.learn(pod_state::counts(pod));
            self.recent.launch(*index);
        }
        (0..servers).map(|index| self.state(index, &pods)).collect()
    }

    fn restarts(&self) -> u32 {
        self.recent.counts().0
    }

    fn silent(&self) -> Seen {
        // Its node may be gone, which is not its failure; a job that hangs for good ends by its deadline.
        Seen::Lost(SILENT.into())
    }

    async fn ensure(&self, servers: &[ServerId]) -> Result<(), Error> {
        let exists = |job: &ArrayJob| job.uid() == self.job.uid() && job.metadata.deletion_timestamp.is_none();
        if self.jobs.find(exists).is_none() {
            return Ok(());
        }
        self.recent.no_trouble();
        let pods = self.pods();
        let results = stream::iter(servers.iter().copied())
            .map(|id| {
                let (found, seen) = (pods.get(&id.0).cloned(), self.state(id.0, &pods));
                async move { self.replace(id, found, &seen).await }
            })
            .buffered(AT_A_TIME)
            .collect::<Vec<_>>()
            .await;
        results.into_iter().collect()
    }

    async fn remove(&self) {
        self.remove_if(|_| true).await;
    }
}

fn unavailable(pod: &str, error: &kube::Error) -> Failure {
    Failure { reason: diagnose::reason::CANNOT_START.into(), message: format!("{pod} cannot be made now: {error}; tried again") }
}

fn last_failure(name: &str, pod: Option<&Pod>, why: &str, counted: bool) -> LastFailure {
    let end = pod.and_then(pod_state::terminated);
    LastFailure {
        server: name.to_owned(),
        reason: end.as_ref().map_or_else(|| if counted { "Error".into() } else { "Lost".into() }, pod_state::reason),
        message: why.to_owned(),
        exit_code: end.map(|end| end.exit_code),
        node: pod.and_then(|pod| pod.spec.as_ref()?.node_name.clone()),
        at: Timestamp::now().round(jiff::Unit::Second).unwrap_or_default().to_string(),
    }
}
