//! The pods of all jobs, as the watch shows them, by job. A turn over one job does not pass over the pods of all other jobs.

use super::names;
use super::pod;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use kube::runtime::watcher::Event;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use tokio::sync::watch;

/// The cache. Clones share their content.
#[derive(Clone, Default)]
pub struct PodCache(Arc<Shared>);

impl std::fmt::Debug for PodCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PodCache({} pods)", self.len())
    }
}

#[derive(Default)]
struct Shared {
    pods: RwLock<Pods>,
    /// Pods of a list that is not complete yet.
    listed: RwLock<Pods>,
    /// Whether the first list is complete.
    ready: watch::Sender<bool>,
}

/// Namespace and name of a pod.
type Key = (String, String);

#[derive(Default)]
struct Pods {
    /// By the uid of the job.
    by_job: HashMap<String, HashMap<Key, Arc<Pod>>>,
    /// The uid of the job of each pod. A label can change.
    jobs: HashMap<Key, String>,
}

impl Pods {
    fn insert(&mut self, pod: Pod) {
        let key = key(&pod);
        let job = pod.labels().get(names::UID).cloned().unwrap_or_default();
        if let Some(before) = self.jobs.insert(key.clone(), job.clone())
            && before != job
        {
            self.remove_of(&before, &key);
        }
        self.by_job.entry(job).or_default().insert(key, Arc::new(pod));
    }

    fn remove(&mut self, key: &Key) {
        if let Some(job) = self.jobs.remove(key) {
            self.remove_of(&job, key);
        }
    }

    fn remove_of(&mut self, job: &str, key: &Key) {
        let Some(pods) = self.by_job.get_mut(job) else { return };
        pods.remove(key);
        if pods.is_empty() {
            self.by_job.remove(job);
        }
    }
}

fn key(pod: &Pod) -> Key {
    (pod.namespace().unwrap_or_default(), pod.name_any())
}

impl PodCache {
    /// Applies an event of the watch.
    pub fn apply(&self, event: &Event<Pod>) {
        let write = |pods: &RwLock<Pods>, change: &dyn Fn(&mut Pods)| change(&mut pods.write().unwrap_or_else(PoisonError::into_inner));
        match event {
            Event::Apply(pod) => write(&self.0.pods, &|pods| pods.insert(pod::without_unread(pod))),
            Event::Delete(pod) => write(&self.0.pods, &|pods| pods.remove(&key(pod))),
            Event::Init => write(&self.0.listed, &|listed| *listed = Pods::default()),
            Event::InitApply(pod) => write(&self.0.listed, &|listed| listed.insert(pod::without_unread(pod))),
            Event::InitDone => {
                let listed = std::mem::take(&mut *self.0.listed.write().unwrap_or_else(PoisonError::into_inner));
                *self.0.pods.write().unwrap_or_else(PoisonError::into_inner) = listed;
                self.0.ready.send_replace(true);
            }
        }
    }

    /// Waits until the first list is complete.
    pub async fn wait_until_ready(&self) {
        // The channel closes only with the cache.
        let _ = self.0.ready.subscribe().wait_for(|ready| *ready).await;
    }

    fn read(&self) -> RwLockReadGuard<'_, Pods> {
        self.0.pods.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The pods of the job with this uid.
    pub fn of_job(&self, uid: &str) -> Vec<Arc<Pod>> {
        self.read().by_job.get(uid).map(|pods| pods.values().cloned().collect()).unwrap_or_default()
    }

    /// Number of pods of all jobs.
    pub fn len(&self) -> usize {
        self.read().jobs.len()
    }

    /// Whether no job has a pod.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(name: &str, job: &str) -> Pod {
        let metadata = json!({"name": name, "namespace": "n", "labels": {"arrayjob.dev/uid": job}});
        serde_json::from_value(json!({"metadata": metadata})).unwrap()
    }

    fn names(cache: &PodCache, job: &str) -> Vec<String> {
        let mut names: Vec<String> = cache.of_job(job).iter().map(|pod| pod.name_any()).collect();
        names.sort();
        names
    }

    #[test]
    fn events_change_the_pods_of_their_job() {
        let cache = PodCache::default();
        for (name, job) in [("a-0", "a"), ("a-1", "a"), ("b-0", "b")] {
            cache.apply(&Event::Apply(pod(name, job)));
        }
        assert_eq!((names(&cache, "a"), cache.len()), (vec!["a-0".to_owned(), "a-1".to_owned()], 3));
        cache.apply(&Event::Apply(pod("a-1", "b")));
        assert_eq!((names(&cache, "a"), names(&cache, "b")), (vec!["a-0".to_owned()], vec!["a-1".to_owned(), "b-0".to_owned()]));
        cache.apply(&Event::Delete(pod("a-0", "a")));
        assert_eq!((names(&cache, "a"), cache.len()), (Vec::new(), 2));
    }

    #[tokio::test]
    async fn a_new_list_replaces_the_pods_when_it_is_complete() {
        let cache = PodCache::default();
        cache.apply(&Event::Apply(pod("a-0", "a")));
        cache.apply(&Event::Init);
        cache.apply(&Event::InitApply(pod("a-1", "a")));
        assert_eq!(names(&cache, "a"), ["a-0"]);
        cache.apply(&Event::InitDone);
        assert_eq!(names(&cache, "a"), ["a-1"]);
        cache.wait_until_ready().await;
    }
}
