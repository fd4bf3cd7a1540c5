//! `arrayjob report`: all there is to know about a job, in one file that can be sent to somebody. What may not be read is
//! listed, and does not end it.

mod pack;
mod scrub;
mod text;

use super::forward::{Forward, OnePod};
use super::job::{self, Found};
use super::place::{Cluster, answer, connect};
use super::pods;
use crate::args::Report;
use crate::error::Error;
use crate::get::write;
use crate::progress::line;
use crate::reader::Reader;
use futures_util::{StreamExt as _, stream};
use k8s_openapi::api::core::v1::{Event, Pod};
use k8s_openapi::jiff::Timestamp;
use kube::Api;
use kube::api::{ListParams, LogParams};
use pack::Pack;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

/// Time for one pod's metrics: a pod that hangs is a reason to want a report.
const METRICS_TIMEOUT: Duration = Duration::from_secs(15);
/// Lines of a log that are kept, the last ones, and bytes of them.
const LOG_LINES: i64 = 20_000;
const LOG_BYTES: i64 = 16 << 20;
/// Pods that are asked at a time.
const AT_A_TIME: usize = 6;
/// Events that are looked through.
const MOST_EVENTS: usize = 20_000;
const READ_PODS: &str = "apiGroups [\"\"], resources [pods, pods/log], verbs [get, list]";

/// Gathers and writes it.
///
/// # Errors
/// When there is no such job, or the file cannot be written.
pub async fn report(ask: Report) -> Result<(), Error> {
    let cluster = connect(&ask.place).await?;
    let found = job::find(&cluster, &ask.job).await?;
    let now = Timestamp::now();
    let mut pack = Pack::default();
    about(&mut pack, &found);
    let listed = pack.take(pods::list(&cluster, &ask.job).await).unwrap_or_default();
    pack.add("pods.yaml", &text::yaml_of(&listed));
    match events(&cluster, &ask.job, &listed).await {
        Ok(events) => pack.add("events.txt", &text::events(&events)),
        Err(error) => pack.note(&error.sentence()),
    }
    of_pods(&mut pack, &cluster, &listed).await;
    of_operator(&mut pack, &cluster).await;
    let title = format!("ArrayJob {} of namespace {}, at {now}, by arrayjob {}", ask.job, cluster.namespace, env!("CARGO_PKG_VERSION"));
    let stamp: String = now.to_string().chars().take(19).filter(|&letter| letter != '-' && letter != ':').collect();
    let path = ask.output.unwrap_or_else(|| PathBuf::from(format!("arrayjob-{}-{stamp}Z.zip", ask.job)));
    let contents = pack.contents();
    let noted = pack.noted();
    write(&path, &pack.zip(&title, now).map_err(|source| Error::Write { path: path.clone(), source })?)?;
    writeln!(std::io::stdout(), "{}", path.display()).map_err(|source| Error::Write { path: "standard output".into(), source })?;
    line(&format!("in it:\n{contents}"));
    if noted > 0 {
        line(&format!("  {noted} things could not be read: NOTES.txt says which"));
    }
    Ok(())
}

/// What the ArrayJob says of itself.
fn about(pack: &mut Pack, found: &Found) {
    let mut whole = serde_json::to_value(found).unwrap_or_default();
    let status = whole.as_object_mut().and_then(|whole| whole.remove("status")).unwrap_or_default();
    scrub::tidy(&mut whole);
    pack.add("manifest.yaml", &text::yaml(&whole));
    pack.add("status.yaml", &text::yaml(&status));
    pack.add("plan.txt", &text::plan(found.status.as_ref()));
}

/// Events of the job, of its pods there are, and of those there were.
async fn events(cluster: &Cluster, job: &str, listed: &[Pod]) -> Result<Vec<Event>, Error> {
    let names: Vec<String> = listed.iter().map(pods::name).collect();
    let api: Api<Event> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let mut params = ListParams::default().limit(500);
    let mut found = Vec::new();
    let mut seen = 0;
    loop {
        let page = answer("list events", "apiGroups [\"\"], resources [events], verbs [list]", api.list(&params)).await?;
        seen += page.items.len();
        found.extend(page.items.into_iter().filter(|event| text::concerns(event, job, &names)));
        match page.metadata.continue_.filter(|token| !token.is_empty() && seen < MOST_EVENTS) {
            Some(token) => params = params.continue_token(&token),
            None => return Ok(found),
        }
    }
}

/// Logs and metrics of every server.
async fn of_pods(pack: &mut Pack, cluster: &Cluster, listed: &[Pod]) {
    let api = pods::api(cluster);
    let mut gathered = stream::iter(listed)
        .map(async |pod| {
            let metrics = if text::is_running(pod) { Some(metrics(cluster, &pods::name(pod)).await) } else { None };
            (pods::name(pod), logs(&api, pod).await, metrics)
        })
        .buffered(AT_A_TIME);
    while let Some((name, logs, metrics)) = gathered.next().await {
        pack.add_logs("logs", &name, logs);
        match metrics {
            Some(Ok(text)) => pack.add(&format!("metrics/{name}.txt"), &text),
            Some(Err(error)) => pack.note(&format!("metrics of {name}: {}", error.sentence())),
            None => {}
        }
    }
}

async fn metrics(cluster: &Cluster, pod: &str) -> Result<String, Error> {
    let ask = async {
        let forward = Forward::start(OnePod { cluster: cluster.clone(), pod: pod.to_owned(), port: pods::METRICS_PORT }, 0).await?;
        let bytes = Reader::new(&format!("http://{}/", forward.address))?.ask("/metrics", &[]).await?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let late = |_| Err(Error::Refused(format!("no answer within {} s", METRICS_TIMEOUT.as_secs())));
    tokio::time::timeout(METRICS_TIMEOUT, ask).await.unwrap_or_else(late)
}

/// The log of each container of a pod, and of the run before it if there was one: (container, which, log).
type Logs = Vec<(String, &'static str, Result<String, Error>)>;

async fn logs(api: &Api<Pod>, pod: &Pod) -> Logs {
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
            let doing = format!("read the log of pod {} ({container})", pods::name(pod));
            let log = answer(&doing, READ_PODS, api.logs(&pods::name(pod), &params)).await;
            logs.push((container.clone(), if previous { ".previous" } else { "" }, log));
        }
    }
    logs
}

/// The operator's log tells what it did about the job. Most people may not read it.
async fn of_operator(pack: &mut Pack, cluster: &Cluster) {
    let params = ListParams::default().labels("app.kubernetes.io/name=arrayjob,app.kubernetes.io/component=operator");
    let everywhere: Api<Pod> = Api::all(cluster.client.clone());
    let listed = answer("find the operator's pods in all namespaces", READ_PODS, everywhere.list(&params)).await;
    let listed = match pack.take(listed) {
        Some(listed) => listed,
        // It may be the namespace's own.
        None => match answer("list pods", READ_PODS, pods::api(cluster).list(&params)).await {
            Ok(listed) => listed,
            Err(_) => return,
        },
    };
    if listed.items.is_empty() {
        pack.note("no pod of the operator was found");
    }
    for pod in &listed.items {
        let namespace = pod.metadata.namespace.as_deref().unwrap_or(&cluster.namespace);
        let api: Api<Pod> = Api::namespaced(cluster.client.clone(), namespace);
        pack.add_logs("operator", &pods::name(pod), logs(&api, pod).await);
    }
}
