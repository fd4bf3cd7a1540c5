//! Turns the loop for every ArrayJob of a cluster: watches, caches, and the queue between them.

mod case;
pub mod context;
mod furnish;
pub mod lifecycle;
mod probe;
pub mod reconcile;
mod tell;
mod write;

pub use context::{Context, Settings};

use crate::fleet::kubernetes::{Caches, names, scope};
use crate::health::Health;
use crate::identity::MasterKey;
use crate::metrics::Metrics;
use crds::ArrayJob;
use futures_util::{Stream, StreamExt as _, TryStreamExt as _, future};
use k8s_openapi::api::core::v1::Pod;
use kube::api::Api;
use kube::core::DeserializeGuard;
use kube::runtime::events::{Recorder, Reporter};
use kube::runtime::reflector;
use kube::runtime::watcher::{self, Event, watcher};
use kube::runtime::{Controller, Predicate as _, WatchStreamExt as _, predicates};
use kube::{Client, Resource as _, ResourceExt as _};
use std::sync::Arc;

/// A watch is made anew after so many seconds: some load balancers drop silent connections after 240.
const WATCH_SECONDS: u32 = 200;
/// Where a pod's record of who wrote which field is dropped: nobody here reads it, and it is half of the memory.
fn slim<K: kube::Resource>(object: &mut K) {
    object.managed_fields_mut().clear();
}

/// What a controller runs with.
#[derive(Clone, Debug)]
pub struct Options {
    /// What the installer decides.
    pub settings: Settings,
    /// The one namespace that is watched; none for all.
    pub watch: Option<String>,
    /// This operator's name in events.
    pub instance: String,
}

/// Runs until `shutdown` is done, or a watch ends for good.
pub async fn run(
    client: Client,
    options: Options,
    key: MasterKey,
    health: Arc<Health>,
    metrics: Arc<Metrics>,
    shutdown: impl Future<Output = ()> + Send + Sync + 'static,
) {
    let config = || watcher::Config::default().timeout(WATCH_SECONDS);
    let (job_reader, job_writer) = reflector::store();
    let (pod_reader, pod_writer) = reflector::store();
    let guarded: Api<DeserializeGuard<ArrayJob>> = scope(&client, options.watch.as_deref());
    let jobs = noted(readable(watcher(guarded, config())), Arc::clone(&health), "arrayjobs")
        .default_backoff()
        .modify(slim)
        .reflect(job_writer)
        .applied_objects()
        .predicate_filter(predicates::generation.combine(deletion), kube::runtime::PredicateConfig::default());
    let pods = noted(
        watcher(scope::<Pod>(&client, options.watch.as_deref()), config().labels(&names::all_servers())),
        Arc::clone(&health),
        "pods",
    )
    .default_backoff()
    .modify(slim)
    .reflect(pod_writer)
    .touched_objects();
    let caches = Caches { pods: pod_reader, jobs: job_reader.clone() };
    health.audit(client.clone(), options.watch.clone(), caches.clone());
    metrics.count_jobs(caches.jobs.clone());
    let recorder = Recorder::new(client.clone(), Reporter { controller: names::MANAGER.into(), instance: Some(options.instance) });
    let context = Arc::new(Context::new(client, options.settings, caches.clone(), metrics, key, recorder));
    // Jobs are looked at once their pods are known: a job whose pods are not seen yet would launch them again.
    let seen = caches.pods.clone();
    let jobs = futures_util::stream::once(async move { seen.wait_until_ready().await }).filter_map(|_| future::ready(None)).chain(jobs);
    Controller::for_stream(jobs, job_reader)
        .owns_stream(pods)
        .graceful_shutdown_on(shutdown)
        .run(reconcile::reconcile, reconcile::error_policy, context)
        .for_each(|result| {
            if let Err(error) = result {
                tracing::debug!(%error, "reconciliation");
            }
            future::ready(())
        })
        .await;
}

/// One object that cannot be read must not stop the watch of all the others.
fn readable(
    stream: impl Stream<Item = Result<Event<DeserializeGuard<ArrayJob>>, watcher::Error>> + Send,
) -> impl Stream<Item = Result<Event<ArrayJob>, watcher::Error>> + Send {
    let read = |guard: DeserializeGuard<ArrayJob>| match guard.0 {
        Ok(job) => Some(job),
        Err(error) => {
            let (name, namespace) = (error.metadata.name.as_deref(), error.metadata.namespace.as_deref());
            tracing::warn!(name, namespace, error = error.error, "an ArrayJob cannot be read and is left alone");
            None
        }
    };
    stream.try_filter_map(move |event| {
        future::ready(Ok(match event {
            Event::Init => Some(Event::Init),
            Event::InitDone => Some(Event::InitDone),
            Event::InitApply(guard) => read(guard).map(Event::InitApply),
            Event::Apply(guard) => read(guard).map(Event::Apply),
            Event::Delete(guard) => read(guard).map(Event::Delete),
        }))
    })
}

/// Tells `health` of every event and every error of a watch.
fn noted<K>(
    stream: impl Stream<Item = Result<Event<K>, watcher::Error>> + Send,
    health: Arc<Health>,
    watch: &'static str,
) -> impl Stream<Item = Result<Event<K>, watcher::Error>> + Send {
    stream.inspect(move |event| match event {
        Ok(event) => health.heard(watch, matches!(event, Event::InitDone)),
        Err(error) => health.failed(watch, &api::words::chain(error)),
    })
}

/// Changes when deletion begins, which changes no generation of its own.
fn deletion(job: &ArrayJob) -> Option<u64> {
    Some(u64::from(job.meta().deletion_timestamp.is_some()))
}
