//! Fake chunk servers: they respond to the operator's requests over mutual TLS, each at its own loopback address, and compute nothing. A
//! fake kubelet starts one server for each pod.

use crate::api_server::Cluster;
use crate::operator::{KEY, container, ended};
use api::digest::{self, FrameDigest};
use api::geometry::FrameSpec;
use api::job::ArrayLayout;
use api::phase::{BootId, Failure, Phase, PhaseProgress, Progress, Stage, Writing};
use api::plan::{Plan, ServerId};
use api::wire::{Assignment, Probed, Problem, route};
use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::routing::{get, post, put};
use axum::{Json, Router};
use operator::fleet::kubernetes::names::PEER_PORT;
use operator::identity::MasterKey;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Interval of the units of work.
const INTERVAL: Duration = Duration::from_millis(60);
/// Units of each of the three phases of a server.
const UNITS: u64 = 8;

/// The servers of a cluster, and the settings of a test.
#[derive(Clone)]
pub(crate) struct FakeServers {
    cluster: Cluster,
    inner: Arc<Mutex<HashMap<String, Running>>>,
    probe: Arc<Mutex<Result<Probed, Problem>>>,
    /// Names of pods whose servers do not start.
    held: Arc<Mutex<HashSet<String>>>,
    /// Units of work that each server completes before it waits.
    units: Arc<AtomicU64>,
}

struct Running {
    server: Server,
    tasks: [JoinHandle<()>; 2],
}

impl Drop for Running {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

#[derive(Clone)]
pub(crate) struct Server(Arc<Mutex<Work>>);

pub(crate) struct Work {
    pub(crate) progress: Progress,
    pub(crate) goal: Phase,
    /// Digests that the operator sent before the assignment.
    pub(crate) expected: Vec<FrameDigest>,
    /// Frames of the assigned job.
    frames: usize,
    units: u64,
}

impl FakeServers {
    /// Starts a server for each pod of the cluster, until the test ends.
    pub(crate) fn start(cluster: &Cluster) -> Self {
        transport::crypto::install_crypto();
        let probe = Err(Problem { error: "the test sets no probe result".into(), reason: None });
        let servers = Self {
            cluster: cluster.clone(),
            inner: Arc::default(),
            probe: Arc::new(Mutex::new(probe)),
            held: Arc::default(),
            units: Arc::new(AtomicU64::new(u64::MAX)),
        };
        let kubelet = servers.clone();
        tokio::spawn(async move {
            let mut changes = kubelet.cluster.changes();
            loop {
                kubelet.sync_pods().await;
                changes.changed().await.unwrap();
            }
        });
        servers
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Running>> {
        self.inner.lock().unwrap()
    }

    /// Each server completes this number of units, and then waits for a higher number.
    pub(crate) fn allow(&self, units: u64) {
        self.units.store(units, Ordering::Relaxed);
    }

    /// The server of this pod does not start.
    pub(crate) fn hold(&self, pod: &str) {
        self.held.lock().unwrap().insert(pod.to_owned());
    }

    /// Sets the probed first frame.
    pub(crate) fn first_frame(&self, frame: Result<FrameSpec, Problem>) {
        *self.probe.lock().unwrap() = frame.map(|frame| Probed { frame, array: None });
    }

    /// Sets the probed layout of an array.
    pub(crate) fn array(&self, array: ArrayLayout) {
        let frame = FrameSpec { height: array.shape[1], width: array.shape[2], dtype: array.dtype };
        *self.probe.lock().unwrap() = Ok(Probed { frame, array: Some(array) });
    }

    async fn sync_pods(&self) {
        let pods: HashMap<String, String> =
            self.cluster.names("pods").into_iter().map(|name| (self.cluster.uid("pods", &name), name)).collect();
        self.lock().retain(|uid, _| pods.contains_key(uid));
        for (uid, name) in pods {
            let new = self.cluster.get("pods", &name).is_some_and(|pod| pod["status"].is_null());
            if new && !self.lock().contains_key(&uid) && !self.held.lock().unwrap().contains(&name) {
                self.run(uid, &name).await;
            }
        }
    }

    async fn run(&self, uid: String, pod: &str) {
        static ADDRESSES: AtomicU8 = AtomicU8::new(1);
        let [.., high, low] = std::process::id().to_be_bytes();
        let ip = Ipv4Addr::new(127, 1 | high, low, ADDRESSES.fetch_add(1, Ordering::Relaxed));
        let job = self.cluster.uid("arrayjobs", "stack");
        let tls = transport::tls::server_config(&MasterKey::new(&KEY).identities(&job).unwrap().server).unwrap();
        let server = Server::new(uid.clone());
        let listener = TcpListener::bind((ip, PEER_PORT)).await.unwrap();
        let router = router(server.clone(), Arc::clone(&self.probe));
        let serving = tokio::spawn(transport::listen::serve_secured(listener, Arc::new(tls), router, std::future::pending()));
        let working = tokio::spawn(server.clone().work(self.cluster.clone(), Arc::clone(&self.units)));
        self.lock().insert(uid, Running { server, tasks: [serving, working] });
        let mut status = container("Running", &json!({"running": {}}));
        status["podIP"] = ip.to_string().into();
        self.cluster.set_pod_status(pod, status);
    }

    pub(crate) fn server(&self, pod: &str) -> Server {
        self.lock()[&self.cluster.uid("pods", pod)].server.clone()
    }

    /// Boot ids of all running servers.
    pub(crate) fn boots(&self) -> Vec<String> {
        let mut boots: Vec<String> = self.lock().values().map(|running| running.server.lock().progress.boot.0.clone()).collect();
        boots.sort();
        boots
    }

    /// Ends a server, as the kernel does when memory runs out.
    pub(crate) fn kill(&self, pod: &str) {
        let uid = self.cluster.uid("pods", pod);
        drop(self.lock().remove(&uid));
        self.cluster.set_pod_status(pod, ended(137, "OOMKilled"));
    }
}

impl Server {
    fn new(boot: String) -> Self {
        let progress = Progress { peak_rss_bytes: 1 << 20, ..Progress::idle(BootId(boot)) };
        Self(Arc::new(Mutex::new(Work { progress, goal: Phase::Load, expected: Vec::new(), frames: 0, units: 0 })))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Work> {
        self.0.lock().unwrap()
    }

    pub(crate) fn fail(&self, reason: &str, message: &str) {
        let mut work = self.lock();
        work.progress.failure = Some(Failure { reason: reason.into(), message: message.into() });
        work.progress.milestone += 1;
    }

    async fn work(self, cluster: Cluster, allowed: Arc<AtomicU64>) {
        loop {
            // The tests' waits check their conditions again.
            cluster.change(|_| ());
            tokio::time::sleep(INTERVAL).await;
            let mut work = self.lock();
            let goal = work.goal;
            if work.units >= allowed.load(Ordering::Relaxed) {
                continue;
            }
            if let Some(phase) = work.progress.phases.iter_mut().find(|phase| !phase.complete() && phase.phase <= goal) {
                let now = now_ms();
                if phase.started_ms == 0 {
                    phase.started_ms = now;
                }
                phase.done = (phase.done + phase.total.div_ceil(UNITS)).min(phase.total);
                (phase.ended_ms, phase.bytes) = (now, phase.done * 1000);
                work.progress.milestone += 1;
                work.units += 1;
            }
            let mut writing = std::mem::take(&mut work.progress.writing);
            work.progress.written.append(&mut writing);
        }
    }
}

fn now_ms() -> u64 {
    jiff::Timestamp::now().as_millisecond() as u64
}

fn router(server: Server, probe: Arc<Mutex<Result<Probed, Problem>>>) -> Router {
    let probe_response = move || async move {
        match &*probe.lock().unwrap() {
            Ok(frame) => Ok(Json(*frame)),
            Err(problem) => Err((StatusCode::UNPROCESSABLE_ENTITY, Json(problem.clone()))),
        }
    };
    Router::new()
        .route(route::PROGRESS, get(progress))
        .route(route::ASSIGNMENT, put(assign))
        .route(route::DIGESTS, get(digests).put(expect))
        .route(route::WRITE, post(write))
        .route(route::PROBE, post(probe_response))
        .with_state(server)
}

async fn progress(State(server): State<Server>, Query(query): Query<HashMap<String, u64>>) -> Json<Progress> {
    let waited = async {
        while query.get("milestone") == Some(&server.lock().progress.milestone) {
            tokio::time::sleep(INTERVAL / 4).await;
        }
    };
    let wait = Duration::from_millis(query.get("wait_ms").copied().unwrap_or(0));
    // After the timeout, the response has no new milestone.
    let _ = tokio::time::timeout(wait, waited).await;
    Json(server.lock().progress.clone())
}

async fn assign(
    State(server): State<Server>,
    Query(query): Query<HashMap<String, usize>>,
    Json(assignment): Json<Assignment>,
) -> Json<Progress> {
    let mut work = server.lock();
    let assigned = Some((assignment.job.uid.clone(), assignment.job.generation));
    if work.progress.assignment != assigned {
        work.progress.phases = share(&assignment.plan, ServerId(query["server"]));
        work.progress.assignment = assigned;
        work.frames = assignment.plan.partition.frames;
    }
    work.progress.stamp = assignment.stamp();
    work.goal = assignment.goal;
    work.progress.milestone += 1;
    Json(work.progress.clone())
}

/// The digest of a frame of the fake source.
pub(crate) const fn digest_of(frame: usize) -> FrameDigest {
    FrameDigest { frame, digest: 1000 + frame as u64 }
}

/// A fake server knows the digests of all frames, as after the exchange, and loads none.
async fn digests(State(server): State<Server>, Query(query): Query<HashMap<String, String>>) -> Vec<u8> {
    let known = if query.contains_key("all") { server.lock().frames } else { 0 };
    digest::encode(&(0..known).map(digest_of).collect::<Vec<_>>())
}

async fn expect(State(server): State<Server>, body: Bytes) {
    server.lock().expected = digest::decode(&body).unwrap();
}

#[derive(Deserialize)]
struct WriteQuery {
    output: usize,
    stage: Stage,
}

async fn write(State(server): State<Server>, Query(query): Query<WriteQuery>) -> Json<Progress> {
    let mut work = server.lock();
    work.progress.writing.push(Writing { output: query.output, stage: query.stage });
    Json(work.progress.clone())
}

fn share(plan: &Plan, id: ServerId) -> Vec<PhaseProgress> {
    let (frames, bands) = (plan.frames_of(id).len() as u64, plan.bands_of(id).len() as u64);
    let phase = |phase, total| PhaseProgress { phase, done: 0, total, bytes: 0, retries: 0, started_ms: 0, ended_ms: 0 };
    vec![phase(Phase::Load, frames), phase(Phase::Rechunk, bands), phase(Phase::Fft, bands)]
}

/// The completed share of the work in percent, from the status.
pub(crate) fn percent(cluster: &Cluster) -> u64 {
    let percent = cluster.get("arrayjobs", "stack").map_or(Value::Null, |job| job["status"]["progress"]["percent"].clone());
    percent.as_str().and_then(|text| text.trim_end_matches('%').parse().ok()).unwrap_or(0)
}
