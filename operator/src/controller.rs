//! Reconciles every ArrayJob of a cluster: the watches, their caches, and the work queue.

pub mod context;
pub mod lifecycle;
pub mod reconcile;

pub use context::{Context, Settings};

use crate::fleet::kubernetes::{Caches, PodCache, names, scope};
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

/// Lifetime of a watch, in seconds. Some load balancers drop idle connections after 240 s.
const WATCH_SECONDS: u32 = 200;

/// Frees about half of the memory of a cached object. The operator does not read managed fields.
fn drop_managed_fields<K: kube::Resource>(object: &mut K) {
    object.managed_fields_mut().clear();
}

/// Options of the controller.
#[derive(Clone, Debug)]
pub struct Options {
    /// Settings of the installation.
    pub settings: Settings,
    /// The only namespace to watch; `None` for all namespaces.
    pub watch: Option<String>,
    /// The operator's name in events.
    pub instance: String,
}

/// Runs until `shutdown` completes or a watch ends.
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
    let pod_cache = PodCache::default();
    let shown = pod_cache.clone();
    let guarded: Api<DeserializeGuard<ArrayJob>> = scope(&client, options.watch.as_deref());
    let jobs = report_health(skip_invalid(watcher(guarded, config())), Arc::clone(&health), "arrayjobs")
        .default_backoff()
        .modify(drop_managed_fields)
        .reflect(job_writer)
        .applied_objects()
        .predicate_filter(predicates::generation.combine(deletion), kube::runtime::PredicateConfig::default());
    let pods = report_health(
        watcher(scope::<Pod>(&client, options.watch.as_deref()), config().labels(&names::all_servers())),
        Arc::clone(&health),
        "pods",
    )
    .default_backoff()
    .inspect_ok(move |event| shown.apply(event))
    .touched_objects();
    let caches = Caches { pods: pod_cache.clone(), jobs: job_reader.clone() };
    health.audit(client.clone(), options.watch.clone(), caches.clone());
    metrics.count_jobs(caches.jobs.clone());
    let recorder = Recorder::new(client.clone(), Reporter { controller: names::MANAGER.into(), instance: Some(options.instance) });
    let context = Arc::new(Context::new(client, options.settings, caches.clone(), metrics, key, recorder));
    // Jobs wait for the first list of pods: without it, the operator would launch existing pods again.
    let jobs =
        futures_util::stream::once(async move { pod_cache.wait_until_ready().await }).filter_map(|_| future::ready(None)).chain(jobs);
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

/// Skips objects that are not valid ArrayJobs, so that the watch of all other objects continues.
fn skip_invalid(
    stream: impl Stream<Item = Result<Event<DeserializeGuard<ArrayJob>>, watcher::Error>> + Send,
) -> impl Stream<Item = Result<Event<ArrayJob>, watcher::Error>> + Send {
    let read = |guard: DeserializeGuard<ArrayJob>| match guard.0 {
        Ok(job) => Some(job),
        Err(error) => {
            let (name, namespace) = (error.metadata.name.as_deref(), error.metadata.namespace.as_deref());
            tracing::warn!(name, namespace, error = error.error, "the operator cannot read an ArrayJob and ignores it");
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

/// Reports every event and every error of a watch to `health`.
fn report_health<K>(
    stream: impl Stream<Item = Result<Event<K>, watcher::Error>> + Send,
    health: Arc<Health>,
    watch: &'static str,
) -> impl Stream<Item = Result<Event<K>, watcher::Error>> + Send {
    stream.inspect(move |event| match event {
        Ok(event) => health.record_event(watch, matches!(event, Event::InitDone)),
        Err(error) => health.record_error(watch, &api::words::chain(error)),
    })
}

/// Changes when a deletion begins; the generation of the object does not.
fn deletion(job: &ArrayJob) -> Option<u64> {
    Some(u64::from(job.meta().deletion_timestamp.is_some()))
}
