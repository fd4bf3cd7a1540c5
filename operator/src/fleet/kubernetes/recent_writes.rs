//! The operator's own writes that the caches may not show yet, and counts that never decrease. Each job has one record. A restarted
//! operator starts from the status and from the annotations of the pods.

use api::phase::Failure;
use crds::ArrayJobStatus;
use crds::v1alpha1::status::LastFailure;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// After this time, a created pod that the cache does not show was deleted between two events of the watch.
const CACHE_LAG: Duration = Duration::from_secs(30);

/// Recent writes to the pods of one job.
#[derive(Debug, Default)]
pub struct RecentWrites {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Uids of deleted pods that the cache may still show.
    deleted: HashSet<String>,
    /// By name: uid and time of creation of pods that the cache may not show yet.
    created: HashMap<String, (String, Instant)>,
    /// All servers below this index were launched.
    launched: usize,
    /// Launched servers from that index on. Pods are created concurrently, and the cluster may refuse some of them.
    launched_beyond: BTreeSet<usize>,
    /// Uids of pods whose loss is counted and that the cache still shows.
    counted: HashSet<String>,
    /// Names of pods whose loss is counted and whose replacement is not created yet.
    awaiting_replacement: HashSet<String>,
    failures: u32,
    disruptions: u32,
    last: Option<LastFailure>,
    create_error: Option<Failure>,
}

impl RecentWrites {
    /// The record of a job that another operator may have started.
    pub fn from_status(status: &ArrayJobStatus) -> Self {
        let failures = status.failures.clone().unwrap_or_default();
        Self {
            inner: Mutex::new(Inner {
                launched: status.servers.as_ref().map_or(0, |servers| servers.launched as usize),
                failures: failures.counted,
                disruptions: failures.uncounted,
                last: failures.last,
                ..Inner::default()
            }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes writes that the cache shows. `pods` are the cached pods of the job.
    pub(super) fn forget_shown(&self, pods: &[Arc<Pod>]) {
        let mut inner = self.lock();
        let Inner { deleted, counted, awaiting_replacement, .. } = &mut *inner;
        let shown: HashSet<String> = pods.iter().filter_map(|pod| pod.uid()).collect();
        deleted.retain(|uid| shown.contains(uid));
        counted.retain(|uid| shown.contains(uid));
        for pod in pods.iter().filter(|pod| pod.uid().is_some_and(|uid| !deleted.contains(&uid) && !counted.contains(&uid))) {
            awaiting_replacement.remove(&pod.name_any());
        }
        inner.created.retain(|_, (uid, since)| !shown.contains(uid) && since.elapsed() < CACHE_LAG);
    }

    pub(super) fn was_deleted(&self, pod: &Pod) -> bool {
        pod.uid().is_some_and(|uid| self.lock().deleted.contains(&uid))
    }

    pub(super) fn was_created(&self, name: &str) -> bool {
        self.lock().created.get(name).is_some_and(|(_, since)| since.elapsed() < CACHE_LAG)
    }

    pub(super) fn deleted(&self, pod: &Pod) {
        let mut inner = self.lock();
        inner.deleted.extend(pod.uid());
        inner.created.remove(&pod.name_any());
    }

    pub(super) fn deletion_failed(&self, pod: &Pod) {
        if let Some(uid) = pod.uid() {
            self.lock().deleted.remove(&uid);
        }
    }

    pub(super) fn created(&self, pod: &Pod) {
        let mut inner = self.lock();
        inner.awaiting_replacement.remove(&pod.name_any());
        pod.uid().into_iter().for_each(|uid| drop(inner.created.insert(pod.name_any(), (uid, Instant::now()))));
    }

    /// Server `index` was launched.
    pub(super) fn mark_launched(&self, index: usize) {
        let mut inner = self.lock();
        inner.launched_beyond.insert(index);
        while inner.launched_beyond.contains(&inner.launched) {
            inner.launched += 1;
        }
    }

    /// Number of servers that were launched at least once.
    pub fn launched(&self) -> usize {
        self.lock().launched
    }

    /// The operator stops all servers. The next launches are first launches again.
    pub fn reset(&self) {
        let mut inner = self.lock();
        inner.launched = 0;
        inner.launched_beyond.clear();
        inner.created.clear();
        inner.counted.clear();
        inner.awaiting_replacement.clear();
    }

    /// Counts the loss of a server, as a failure or as a disruption. `uid` is the uid of its pod, if the pod exists. A loss counts once,
    /// even if the replacement is retried.
    pub(super) fn count_loss(&self, name: &str, uid: Option<String>, is_failure: bool, last: LastFailure) {
        let mut inner = self.lock();
        let known = uid.is_some_and(|uid| !inner.counted.insert(uid));
        if !inner.awaiting_replacement.insert(name.to_owned()) || known {
            return;
        }
        tracing::warn!(pod = name, reason = last.reason, message = last.message, "server lost");
        if is_failure {
            inner.failures += 1;
        } else {
            inner.disruptions += 1;
        }
        inner.last = Some(last);
    }

    /// Raises the counts to those of a pod's annotations. The annotations are written before the status.
    pub(super) fn raise_counts(&self, (failures, disruptions): (u32, u32)) {
        let mut inner = self.lock();
        inner.failures = inner.failures.max(failures);
        inner.disruptions = inner.disruptions.max(disruptions);
    }

    /// Failures and disruptions so far.
    pub fn counts(&self) -> (u32, u32) {
        let inner = self.lock();
        (inner.failures, inner.disruptions)
    }

    /// The last lost server.
    pub fn last(&self) -> Option<LastFailure> {
        self.lock().last.clone()
    }

    pub(super) fn set_create_error(&self, failure: Failure) {
        self.lock().create_error = Some(failure);
    }

    pub(super) fn clear_create_error(&self) {
        self.lock().create_error = None;
    }

    /// Why the cluster did not create pods at the last attempt.
    pub fn create_error(&self) -> Option<Failure> {
        self.lock().create_error.clone()
    }
}
