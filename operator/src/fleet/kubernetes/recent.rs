//! The operator's own writes that the caches may not show yet, and counts that only grow. One for each job; a restarted
//! operator begins with the status and the pods' annotations instead.

use api::phase::Failure;
use crds::ArrayJobStatus;
use crds::v1alpha1::status::LastFailure;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A cache that has not shown a pod for so long never will: it came and went unseen.
const CACHE_LAG: Duration = Duration::from_secs(30);

/// What was done to one job's pods lately.
#[derive(Debug, Default)]
pub struct Recent {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Uids of pods that were deleted and that the cache may still show.
    gone: HashSet<String>,
    /// Names and uids of pods that were created and that the cache may not show yet.
    coming: HashMap<String, (String, Instant)>,
    /// Servers below this number have been started once.
    launched: usize,
    /// Servers from that number on that have been started once: pods are made side by side, and some may be refused.
    beyond: BTreeSet<usize>,
    /// Uids of pods whose loss is counted and that the cache still shows.
    counted: HashSet<String>,
    /// Names of pods whose loss is counted and that are not made again yet.
    vacant: HashSet<String>,
    failures: u32,
    disruptions: u32,
    last: Option<LastFailure>,
    trouble: Option<Failure>,
}

impl Recent {
    /// What the status remembers.
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

    /// Forgets what the cache shows by now. `pods` are the job's in the cache.
    pub(super) fn settle(&self, pods: &[Arc<Pod>]) {
        let mut inner = self.lock();
        let Inner { gone, counted, vacant, .. } = &mut *inner;
        let shown: HashSet<String> = pods.iter().filter_map(|pod| pod.uid()).collect();
        gone.retain(|uid| shown.contains(uid));
        counted.retain(|uid| shown.contains(uid));
        for pod in pods.iter().filter(|pod| pod.uid().is_some_and(|uid| !gone.contains(&uid) && !counted.contains(&uid))) {
            vacant.remove(&pod.name_any());
        }
        inner.coming.retain(|_, (uid, since)| !shown.contains(uid) && since.elapsed() < CACHE_LAG);
    }

    pub(super) fn is_gone(&self, pod: &Pod) -> bool {
        pod.uid().is_some_and(|uid| self.lock().gone.contains(&uid))
    }

    pub(super) fn is_coming(&self, name: &str) -> bool {
        self.lock().coming.get(name).is_some_and(|(_, since)| since.elapsed() < CACHE_LAG)
    }

    pub(super) fn deleted(&self, pod: &Pod) {
        let mut inner = self.lock();
        inner.gone.extend(pod.uid());
        inner.coming.remove(&pod.name_any());
    }

    pub(super) fn not_deleted(&self, pod: &Pod) {
        if let Some(uid) = pod.uid() {
            self.lock().gone.remove(&uid);
        }
    }

    pub(super) fn created(&self, pod: &Pod) {
        let mut inner = self.lock();
        inner.vacant.remove(&pod.name_any());
        pod.uid().into_iter().for_each(|uid| drop(inner.coming.insert(pod.name_any(), (uid, Instant::now()))));
    }

    /// Server `index` has been started.
    pub(super) fn launch(&self, index: usize) {
        let mut inner = self.lock();
        inner.beyond.insert(index);
        while inner.beyond.contains(&inner.launched) {
            inner.launched += 1;
        }
    }

    /// How many servers have been started once.
    pub fn launched(&self) -> usize {
        self.lock().launched
    }

    /// All servers are stopped on purpose: those that come next are the first again.
    pub fn stop(&self) {
        let mut inner = self.lock();
        inner.launched = 0;
        inner.beyond.clear();
        inner.coming.clear();
        inner.counted.clear();
        inner.vacant.clear();
    }

    /// A server was lost, by its own failure or not; `uid` is its pod's, when that is still there. One loss counts once,
    /// however often its replacement is tried.
    pub(super) fn count(&self, name: &str, uid: Option<String>, own_failure: bool, last: LastFailure) {
        let mut inner = self.lock();
        let known = uid.is_some_and(|uid| !inner.counted.insert(uid));
        if !inner.vacant.insert(name.to_owned()) || known {
            return;
        }
        tracing::warn!(pod = name, reason = last.reason, message = last.message, "server lost");
        if own_failure {
            inner.failures += 1;
        } else {
            inner.disruptions += 1;
        }
        inner.last = Some(last);
    }

    /// Counts that a pod carries: written before the status was.
    pub(super) fn learn(&self, (failures, disruptions): (u32, u32)) {
        let mut inner = self.lock();
        inner.failures = inner.failures.max(failures);
        inner.disruptions = inner.disruptions.max(disruptions);
    }

    /// Failures and disruptions so far.
    pub fn counts(&self) -> (u32, u32) {
        let inner = self.lock();
        (inner.failures, inner.disruptions)
    }

    /// The latest lost server.
    pub fn last(&self) -> Option<LastFailure> {
        self.lock().last.clone()
    }

    pub(super) fn trouble(&self, failure: Failure) {
        self.lock().trouble = Some(failure);
    }

    pub(super) fn no_trouble(&self) {
        self.lock().trouble = None;
    }

    /// Why pods could not be created when that was last tried.
    pub fn troubled(&self) -> Option<Failure> {
        self.lock().trouble.clone()
    }
}
