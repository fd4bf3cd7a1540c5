//! Certificates, folders, servers and clients for the tests.

use super::super::{Addresses, Ports, Server, Settings};
use super::source::FrameServer;
use crate::worker::Worker;
use api::egress::EgressPolicy;
use api::geometry::{Dtype, FrameSpec};
use api::job::{Detrend, Fft, FftOutput, Images, Job, OnError, Output, Reduction, Source, Storage, Window};
use api::phase::{Phase, Progress};
use api::plan::{Allowance, Budget, Plan};
use api::wire::{Assignment, Peer, Problem, VERSION, VERSION_HEADER, route};
use axum::http::HeaderMap;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, PKCS_ED25519};
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::task::{AbortHandle, JoinSet};
use transport::tls::{Identity, SERVER_NAME, client_config};

pub(super) const TOKEN: &str = "a-token-for-readers";
pub(super) const FRAMES: usize = 23;
pub(super) const FRAME: FrameSpec = FrameSpec { height: 120, width: 100, dtype: Dtype::Uint8 };

/// A job's certificate authority.
pub(super) struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(super) fn new() -> Self {
        let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    /// A certificate for `name`, and its key.
    pub(super) fn leaf(&self, name: &str) -> Identity {
        let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
        let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &self.issuer).unwrap();
        Identity { authority: self.pem.clone(), certificate: certificate.pem(), key: key.serialize_pem() }
    }
}

/// The folders of a server's secrets.
pub(super) struct ServerFolders {
    folder: TempDir,
}

impl ServerFolders {
    pub(super) fn new(authority: &Authority, token: &str, headers: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for part in ["tls", "source"] {
            std::fs::create_dir(folder.path().join(part)).unwrap();
        }
        for (name, value) in headers {
            std::fs::write(folder.path().join("source").join(name), value).unwrap();
        }
        let folders = Self { folder };
        folders.identify(&authority.leaf(SERVER_NAME));
        folders.write("token", token);
        folders
    }

    pub(super) fn identify(&self, identity: &Identity) {
        self.write("ca.crt", &identity.authority);
        self.write("tls.crt", &identity.certificate);
        self.write("tls.key", &identity.key);
    }

    pub(super) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join("tls").join(name), text).unwrap();
    }

    pub(super) fn remove(&self, name: &str) {
        std::fs::remove_file(self.folder.path().join("tls").join(name)).unwrap();
    }

    pub(super) fn settings(&self) -> Settings {
        Settings {
            tls: self.folder.path().join("tls"),
            source: Some(self.folder.path().join("source")),
            scratch: None,
            threads: 2,
            after: None,
            // The sources of the tests listen on loopback.
            egress: EgressPolicy { deny: vec![], allow: vec!["127.0.0.0/8".parse().unwrap()] },
            ports: Ports { peers: 0, readers: 0, metrics: 0 },
        }
    }
}

/// A complete HTTP response.
#[derive(Debug)]
pub(super) struct HttpResponse {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl HttpResponse {
    pub(super) async fn to(request: reqwest::RequestBuilder) -> Result<Self, reqwest::Error> {
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Self { status, headers, body: response.bytes().await?.to_vec() })
    }

    /// The header with this name; empty if it is missing.
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub(super) fn json<T: DeserializeOwned>(&self) -> T {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {} {}", self.status, self.text()))
    }

    #[track_caller]
    pub(super) fn problem(&self) -> (u16, Option<String>, String) {
        let problem: Problem = self.json();
        (self.status, problem.reason, problem.error)
    }
}

/// A client with the certificate of `identity`.
pub(super) fn client_of(identity: &Identity) -> reqwest::Client {
    transport::crypto::install_crypto();
    builder().tls_backend_preconfigured(client_config(identity).unwrap()).build().unwrap()
}

pub(super) fn builder() -> reqwest::ClientBuilder {
    reqwest::Client::builder().no_proxy().http1_only().timeout(Duration::from_secs(20))
}

/// Servers of one job, and clients.
pub(super) struct Cluster {
    pub(super) authority: Authority,
    pub(super) servers: Vec<Addresses>,
    /// The workers of the servers.
    pub(super) workers: Vec<Arc<Worker>>,
    operator: reqwest::Client,
    reader: reqwest::Client,
    _folders: ServerFolders,
    _tasks: JoinSet<()>,
    running: Vec<AbortHandle>,
}

impl Cluster {
    pub(super) fn start(servers: usize, headers: &[(&str, &str)]) -> Self {
        Self::of(servers, headers, |settings| settings)
    }

    /// Servers with a scratch folder.
    pub(super) fn with_scratch(servers: usize, headers: &[(&str, &str)]) -> Self {
        // Scratch files have no names, so the folder stays empty.
        Self::of(servers, headers, |settings| Settings { scratch: Some(std::env::temp_dir()), ..settings })
    }

    fn of(servers: usize, headers: &[(&str, &str)], change: impl Fn(Settings) -> Settings) -> Self {
        let authority = Authority::new();
        let folders = ServerFolders::new(&authority, &format!("{TOKEN}\n"), headers);
        let mut tasks = JoinSet::new();
        let started = (0..servers).map(|_| {
            let server = Server::bind(&change(folders.settings())).unwrap();
            let (addresses, worker) = (server.addresses(), Arc::clone(&server.worker));
            (addresses, (worker, tasks.spawn(server.serve(std::future::pending()))))
        });
        let (servers, (workers, running)) = started.unzip();
        let operator = client_of(&authority.leaf("operator.example"));
        Self { authority, servers, workers, operator, reader: builder().build().unwrap(), _folders: folders, _tasks: tasks, running }
    }

    /// Ends server `server`, as after the loss of its machine.
    pub(super) fn lose(&self, server: usize) {
        self.running[server].abort();
    }

    /// The address of server `server` for peers.
    pub(super) fn peer(&self, server: usize) -> String {
        format!("127.0.0.1:{}", self.servers[server].peers.port())
    }

    /// A request of the operator.
    pub(super) async fn command(
        &self,
        server: usize,
        request: impl FnOnce(&reqwest::Client, String) -> reqwest::RequestBuilder,
    ) -> HttpResponse {
        HttpResponse::to(request(&self.operator, format!("https://{}", self.peer(server)))).await.unwrap()
    }

    /// A GET of a reader, with the token.
    pub(super) async fn read(&self, server: usize, path: &str) -> HttpResponse {
        HttpResponse::to(self.reader.get(self.reader_url(server, path)).bearer_auth(TOKEN)).await.unwrap()
    }

    /// A GET of a reader, with the token and the additions of `with`.
    pub(super) async fn read_with(
        &self,
        server: usize,
        path: &str,
        with: impl FnOnce(reqwest::RequestBuilder) -> reqwest::RequestBuilder,
    ) -> HttpResponse {
        HttpResponse::to(with(self.reader.get(self.reader_url(server, path)).bearer_auth(TOKEN))).await.unwrap()
    }

    /// A HEAD of a reader, with the token.
    pub(super) async fn request_head(&self, server: usize, path: &str) -> HttpResponse {
        HttpResponse::to(self.reader.head(self.reader_url(server, path)).bearer_auth(TOKEN)).await.unwrap()
    }

    /// A request of any method without the token.
    pub(super) async fn request(&self, method: reqwest::Method, url: String) -> HttpResponse {
        HttpResponse::to(self.reader.request(method, url)).await.unwrap()
    }

    /// A GET without the token.
    pub(super) async fn get(&self, url: String) -> HttpResponse {
        HttpResponse::to(self.reader.get(url)).await.unwrap()
    }

    pub(super) fn reader_url(&self, server: usize, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.servers[server].readers.port())
    }

    pub(super) fn metrics_url(&self, server: usize, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.servers[server].metrics.port())
    }

    pub(super) async fn progress(&self, server: usize) -> Progress {
        self.command(server, |client, url| client.get(url + route::PROGRESS)).await.json()
    }

    /// The addresses and boot ids of all servers.
    pub(super) fn table(&self) -> Vec<Option<Peer>> {
        let peers = self.workers.iter().enumerate();
        peers.map(|(server, worker)| Some(Peer { address: self.peer(server), boot: worker.boot.clone() })).collect()
    }

    /// Assigns the job to every server.
    pub(super) async fn assign(&self, job: &Job) -> Vec<HttpResponse> {
        self.assign_among(job, self.table()).await
    }

    /// Assigns the job to every server, with these peers.
    pub(super) async fn assign_among(&self, job: &Job, peers: Vec<Option<Peer>>) -> Vec<HttpResponse> {
        let budget = Budget { memory: Allowance::PerServer(2 << 30), cores: 2 };
        let plan = Plan::new(job, Some(peers.len()), &budget).unwrap();
        let assignment = Assignment { job: job.clone(), plan, peers, goal: Phase::Fft };
        let mut responses = Vec::new();
        for server in 0..self.servers.len() {
            responses.push(self.assign_one(server, &assignment).await);
        }
        responses
    }

    /// Assigns the job to every server, with a plan that leaves no memory.
    pub(super) async fn assign_exactly(&self, job: &Job) -> Vec<HttpResponse> {
        let plan = |memory| Plan::new(job, Some(self.servers.len()), &Budget { memory: Allowance::PerServer(memory), cores: 2 }).unwrap();
        let assignment = Assignment { job: job.clone(), plan: plan(plan(2 << 30).peak_bytes()), peers: self.table(), goal: Phase::Fft };
        let mut responses = Vec::new();
        for server in 0..self.servers.len() {
            responses.push(self.assign_one(server, &assignment).await);
        }
        responses
    }

    pub(super) async fn assign_one(&self, server: usize, assignment: &Assignment) -> HttpResponse {
        self.assign_json(server, &serde_json::to_value(assignment).unwrap()).await
    }

    /// Assigns work that may not be valid.
    pub(super) async fn assign_json(&self, server: usize, assignment: &serde_json::Value) -> HttpResponse {
        let body = serde_json::to_vec(assignment).unwrap();
        let put = |client: &reqwest::Client, url: String| {
            let request = client.put(format!("{url}{}?server={server}", route::ASSIGNMENT)).header(VERSION_HEADER, VERSION);
            request.header("content-type", "application/json").body(body)
        };
        self.command(server, put).await
    }

    /// Waits until the progress of server `server` meets `condition`.
    pub(super) async fn until(&self, server: usize, condition: impl Fn(&Progress) -> bool) -> Progress {
        for _ in 0..1500 {
            let progress = self.progress(server).await;
            if condition(&progress) {
                return progress;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("server {server} does not meet the condition: {:?}", self.progress(server).await);
    }

    /// Waits until all servers have computed their arrays.
    pub(super) async fn until_computed(&self) {
        for server in 0..self.servers.len() {
            self.until(server, |progress| !progress.phases.is_empty() && progress.complete_through(Phase::Fft)).await;
        }
    }
}

pub(super) fn source_of(url_template: String) -> Images {
    Images { start: 100, step: 2, ..Images::new(url_template) }
}

/// A job that computes the spectra of all frames of `source`.
pub(super) fn job(source: &FrameServer) -> Job {
    Job {
        name: "movie".into(),
        uid: "u".into(),
        generation: 1,
        source: Source::Images(source_of(source.url("frame/{index}"))),
        frames: FRAMES,
        frame: FRAME,
        on_error: OnError::Fail,
        slab_frames: 4,
        concurrency: 4,
        recenter: None,
        rechunk: None,
        fft: Some(Fft { output: FftOutput::Power, window: Window::None, detrend: Detrend::None }),
        reduce: vec![Reduction::Mean],
        keep: None,
        outputs: vec![Output { select: "raw_mean_frame".into(), url: "file:///tmp/never-written.npy".into(), chunks: None, shards: None }],
        storage: Storage::Auto,
        backoff_limit: 3,
    }
}

/// A job that keeps raw frames, which are responses of raw pixels.
pub(super) fn job_of_raw_frames(url_template: String, frame: FrameSpec, frames: usize) -> Job {
    let images = Images { start: 0, step: 1, ..source_of(url_template) };
    Job {
        name: "raw".into(),
        uid: "u".into(),
        generation: 1,
        source: Source::Images(images),
        frames,
        frame,
        on_error: OnError::Fail,
        slab_frames: 4,
        concurrency: 4,
        recenter: None,
        rechunk: None,
        fft: None,
        reduce: vec![],
        keep: None,
        outputs: vec![],
        storage: Storage::Memory,
        backoff_limit: 3,
    }
}
