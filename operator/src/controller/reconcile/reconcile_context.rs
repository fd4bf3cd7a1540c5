//! The first step: reads the object, and keeps what all later steps read.

use super::error::Error;
use crate::controller::context::{Context, JobCache};
use crate::fleet::kubernetes::{KubernetesFleet, pod};
use crate::metrics::Timer;
use crate::report::conditions::ConditionState;
use crate::validate::Invalid;
use crds::v1alpha1::status::{Condition, PlanStatus};
use crds::{ArrayJob, ArrayJobStatus};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use std::sync::Arc;

/// One job during one reconciliation.
pub(super) struct ReconcileContext<'a> {
    /// Shared by all reconciliations.
    pub(super) shared: &'a Context,
    /// Kept between the reconciliations of this job.
    pub(super) cache: Arc<JobCache>,
    /// The object, with the latest status that this operator wrote.
    pub(super) job: Arc<ArrayJob>,
    /// The status at the start of the reconciliation.
    pub(super) before: ArrayJobStatus,
    /// The start of the reconciliation.
    pub(super) now: Timestamp,
    /// Measures the reconciliation and its waits.
    pub(super) timer: Timer<'a>,
}

/// Reads the object from the watch's cache. If this operator wrote a newer status, that status replaces the cached one.
pub(super) fn read_object<'a>(mut job: Arc<ArrayJob>, shared: &'a Context, mut timer: Timer<'a>) -> Result<ReconcileContext<'a>, Error> {
    let cache = shared.job_cache(&job)?;
    timer.watch(cache.servers.client.waits());
    if let Some(status) = cache.last_status() {
        Arc::make_mut(&mut job).status = Some(status);
    }
    let before = job.status.clone().unwrap_or_default();
    Ok(ReconcileContext { shared, cache, job, before, now: Timestamp::now(), timer })
}

impl ReconcileContext<'_> {
    /// The manifest, completed with the probed frame or array and the planned generation. Later generations do not change a field that
    /// servers read.
    pub(super) fn manifest(&self) -> ArrayJob {
        let mut manifest = (*self.job).clone();
        if manifest.spec.source.frame.is_none() {
            manifest.spec.source.frame.clone_from(&self.before.frame);
        }
        manifest.status.get_or_insert_default().array.clone_from(&self.before.array);
        if let Some(plan) = &self.before.plan {
            manifest.metadata.generation = Some(plan.generation);
        }
        manifest
    }

    /// The resources of one pod, from the manifest and the defaults of the installation.
    pub(super) fn pod_size(&self) -> Result<pod::Size, Invalid> {
        pod::size(&self.job, &self.shared.settings.servers)
    }

    /// The resources of one pod, with the memory and threads of the recorded plan.
    pub(super) fn planned_size(&self, planned: &PlanStatus) -> Result<pod::Size, Invalid> {
        let size = self.pod_size()?;
        Ok(pod::Size { memory_bytes: planned.memory_limit_bytes, threads: planned.threads as usize, ..size })
    }

    /// The parts of a pod that are equal for all servers of the job.
    pub(super) fn pod_template(&self, size: pod::Size) -> pod::Template {
        let scratch_bytes = self.before.plan.as_ref().map_or(0, |plan| plan.scratch_bytes);
        pod::Template { options: self.shared.settings.servers.clone(), size, scratch_bytes }
    }

    /// The pods of the job.
    pub(super) fn fleet(&self, size: pod::Size) -> KubernetesFleet {
        let (client, recent) = (self.shared.client.clone(), Arc::clone(&self.cache.recent));
        KubernetesFleet::new(client, Arc::clone(&self.job), self.pod_template(size), &self.shared.caches, recent)
    }

    /// The pods of the job that the cache shows.
    pub(super) fn cached_pods(&self) -> Vec<Arc<Pod>> {
        self.shared.caches.pods.of_job(&self.job.uid().unwrap_or_default())
    }

    /// Whether every server responded earlier. Servers that are missing since then were lost; they are not late.
    pub(super) fn was_ready(&self) -> bool {
        self.ready_condition().is_some_and(|ready| ready.status == "True" || ready.reason == "ServerLost")
    }

    /// The state of the condition `Ready` in the status before this reconciliation.
    pub(super) fn ready_before(&self) -> Option<ConditionState> {
        self.ready_condition().map(|ready| ConditionState {
            is_true: ready.status == "True",
            reason: ready.reason.clone(),
            message: ready.message.clone(),
        })
    }

    fn ready_condition(&self) -> Option<&Condition> {
        self.before.conditions.iter().find(|condition| condition.type_ == "Ready")
    }
}
