//! `arrayjob report` of an ArrayJob: the cluster's data about the job in one zip file without secrets, for a bug report. Reads that
//! fail are listed in the file.

mod archive;
mod scrub;
mod text;

use super::access::{Action, Cluster, connect, request};
use super::forward::{Forward, OnePod};
use super::job::{self, Found};
use super::pods;
use crate::args::Report;
use crate::console::{message, print};
use crate::error::Error;
use crate::files::write;
use crate::reader::Reader;
use archive::{Archive, Log};
use futures_util::{StreamExt as _, stream};
use k8s_openapi::api::core::v1::{Event, Pod};
use k8s_openapi::jiff::Timestamp;
use kube::Api;
use kube::api::{ListParams, LogParams};
use std::path::PathBuf;
use std::time::Duration;

/// Timeout of one pod's metrics: the pod may hang.
const METRICS_TIMEOUT: Duration = Duration::from_secs(15);
/// Number of last lines of each log.
const LOG_LINES: i64 = 20_000;
/// Most bytes of each log.
const LOG_BYTES: i64 = 16 << 20;
/// Number of pods that are read at the same time.
const CONCURRENCY: usize = 6;
/// Most events of the namespace that are searched.
const MAX_EVENTS: usize = 20_000;
/// Number of events in one response.
const EVENT_PAGE: u32 = 500;
const READ_PODS: &str = "apiGroups [\"\"], resources [pods, pods/log], verbs [get, list]";

/// Writes the zip file.
///
/// # Errors
/// The job is missing, or the file is not writable.
pub async fn report(args: Report) -> Result<(), Error> {
    let cluster = connect(&args.cluster).await?;
    let found = job::find(&cluster, &args.job).await?;
    let now = Timestamp::now();
    let mut archive = Archive::default();
    add_job(&mut archive, &found);
    let listed = archive.value_or_note(pods::list(&cluster, &args.job).await).unwrap_or_default();
    archive.add("pods.yaml", &text::yaml_of(&listed));
    match events(&cluster, &args.job, &listed).await {
        Ok(events) => archive.add("events.txt", &text::events(&events)),
        Err(error) => archive.note(&error.sentence()),
    }
    add_pods(&mut archive, &cluster, &listed).await;
    add_operator(&mut archive, &cluster).await;
    let title = format!("ArrayJob {} of namespace {}, at {now}, by arrayjob {}", args.job, cluster.namespace, env!("CARGO_PKG_VERSION"));
    let stamp: String = now.to_string().chars().take(19).filter(|&letter| letter != '-' && letter != ':').collect();
    let path = args.output.unwrap_or_else(|| PathBuf::from(format!("arrayjob-{}-{stamp}Z.zip", args.job)));
    let contents = archive.contents();
    let notes = archive.note_count();
    write(&path, &archive.zip(&title, now).map_err(|source| Error::Write { path: path.clone(), source })?)?;
    print(format!("{}\n", path.display()).as_bytes())?;
    message(&format!("contents:\n{contents}"));
    if notes > 0 {
        message(&format!("  {notes} reads failed; NOTES.txt lists them"));
    }
    Ok(())
}

/// Adds the ArrayJob: manifest, status and plan.
fn add_job(archive: &mut Archive, found: &Found) {
    let mut whole = serde_json::to_value(found).unwrap_or_default();
    let status = whole.as_object_mut().and_then(|whole| whole.remove("status")).unwrap_or_default();
    scrub::tidy(&mut whole);
    archive.add("manifest.yaml", &text::yaml(&whole));
    archive.add("status.yaml", &text::yaml(&status));
    archive.add("plan.txt", &text::plan(found.status.as_ref()));
}

/// Events of the job and of its pods, deleted pods included.
async fn events(cluster: &Cluster, job: &str, listed: &[Pod]) -> Result<Vec<Event>, Error> {
    let names: Vec<String> = listed.iter().map(pods::name).collect();
    let api: Api<Event> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let mut params = ListParams::default().limit(EVENT_PAGE);
    let mut found = Vec::new();
    let mut searched = 0;
    loop {
        let action = Action { name: "list events", role: "apiGroups [\"\"], resources [events], verbs [list]" };
        let page = request(action, api.list(&params)).await?;
        searched += page.items.len();
        found.extend(page.items.into_iter().filter(|event| text::concerns(event, job, &names)));
        match page.metadata.continue_.filter(|token| !token.is_empty() && searched < MAX_EVENTS) {
            Some(token) => params = params.continue_token(&token),
            None => return Ok(found),
        }
    }
}

/// Adds logs and metrics of every server.
async fn add_pods(archive: &mut Archive, cluster: &Cluster, listed: &[Pod]) {
    let api = pods::api(cluster);
    let mut reads = stream::iter(listed)
        .map(async |pod| {
            let metrics = if text::is_running(pod) { Some(metrics(cluster, &pods::name(pod)).await) } else { None };
            (pods::name(pod), logs(&api, pod).await, metrics)
        })
        .buffered(CONCURRENCY);
    while let Some((name, logs, metrics)) = reads.next().await {
        archive.add_logs("logs", &name, logs);
        match metrics {
            Some(Ok(text)) => archive.add(&format!("metrics/{name}.txt"), &text),
            Some(Err(error)) => archive.note(&format!("metrics of {name}: {}", error.sentence())),
            None => {}
        }
    }
}

async fn metrics(cluster: &Cluster, pod: &str) -> Result<String, Error> {
    let read = async {
        let forward = Forward::start(OnePod { cluster: cluster.clone(), pod: pod.to_owned(), port: pods::METRICS_PORT }, 0).await?;
        let bytes = Reader::new(&format!("http://{}/", forward.address))?.get("/metrics", &[]).await?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let late = |_| Err(Error::Refused(format!("no response within {} s", METRICS_TIMEOUT.as_secs())));
    tokio::time::timeout(METRICS_TIMEOUT, read).await.unwrap_or_else(late)
}

/// The log of each container of a pod, and the log of the container's previous run if the container restarted.
async fn logs(api: &Api<Pod>, pod: &Pod) -> Vec<Log> {
    let mut logs = Vec::new();
    for (container, restarted) in text::containers(pod) {
        for previous in [false, true] {
            if previous && !restarted {
                continue;
            }
            let params = LogParams {
                container: Some(container.clone()),
                previous,
                timestamps: true,
                tail_lines: Some(LOG_LINES),
                limit_bytes: Some(LOG_BYTES),
                ..LogParams::default()
            };
            let action = format!("read the log of pod {} ({container})", pods::name(pod));
            let text = request(Action { name: &action, role: READ_PODS }, api.logs(&pods::name(pod), &params)).await;
            logs.push(Log { container: container.clone(), previous, text });
        }
    }
    logs
}

/// Adds the operator's log. Most users have no permission to read the operator's namespace.
async fn add_operator(archive: &mut Archive, cluster: &Cluster) {
    let params = ListParams::default().labels("app.kubernetes.io/name=arrayjob,app.kubernetes.io/component=operator");
    let everywhere: Api<Pod> = Api::all(cluster.client.clone());
    let action = Action { name: "find the operator's pods in all namespaces", role: READ_PODS };
    let listed = match archive.value_or_note(request(action, everywhere.list(&params)).await) {
        Some(listed) => listed,
        // The operator may run in the namespace of the job.
        None => {
            let action = Action { name: "list pods", role: READ_PODS };
            match request(action, pods::api(cluster).list(&params)).await {
                Ok(listed) => listed,
                Err(_) => return,
            }
        }
    };
    if listed.items.is_empty() {
        archive.note("no pod of the operator was found");
    }
    for pod in &listed.items {
        let namespace = pod.metadata.namespace.as_deref().unwrap_or(&cluster.namespace);
        let api: Api<Pod> = Api::namespaced(cluster.client.clone(), namespace);
        archive.add_logs("operator", &pods::name(pod), logs(&api, pod).await);
    }
}
