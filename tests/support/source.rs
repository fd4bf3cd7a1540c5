//! An HTTP server of frames with a configurable fault for each frame and a count of requests.

use crate::movie::Movie;
use crate::until;
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Instant;
use tokio::runtime::Runtime;
use tokio::sync::watch;

/// A fault of a frame.
#[derive(Clone, Debug)]
pub enum Fault {
    /// 404 for each request.
    Missing,
    /// 503 with `Retry-After: 0` for this number of requests, then the frame.
    Busy(usize),
    /// Half of the announced length for this number of requests, then the frame.
    CutShort(usize),
    /// 200 with this body.
    Instead(Vec<u8>),
    /// 200 with this body for the first request, then the frame.
    InsteadOnce(Vec<u8>),
    /// The frame, after the gate is open.
    Held,
}

/// Returns the body for a path.
type Handler = Box<dyn Fn(&str) -> Option<Vec<u8>> + Send + Sync>;

/// The server. Dropping the value ends it.
pub struct FrameServer {
    address: SocketAddr,
    frames: Arc<Frames>,
    // Drop does not wait for the runtime, because held requests never end.
    runtime: Option<Runtime>,
}

struct Frames {
    handler: Handler,
    faults: Mutex<BTreeMap<i64, Fault>>,
    requests: Mutex<BTreeMap<i64, Vec<Instant>>>,
    held: watch::Sender<usize>,
    gate: watch::Sender<bool>,
}

impl fmt::Debug for FrameServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrameServer").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Drop for FrameServer {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl FrameServer {
    /// Serves raw frames of a movie as `/INDEX`.
    pub fn raw(movie: Movie) -> Self {
        Self::start(Box::new(move |path| Some(movie.raw(path.parse().ok()?))))
    }

    /// Serves PNGs of a movie as `/INDEX`.
    pub fn png(movie: Movie) -> Self {
        Self::start(Box::new(move |path| Some(movie.png(path.parse().ok()?))))
    }

    /// Serves `/DEPTH/INDEX`: DEPTH raw frames of a movie in one response.
    pub fn volume(movie: Movie) -> Self {
        Self::start(Box::new(move |path| {
            let (depth, index) = path.split_once('/')?;
            Some(movie.volume(index.parse().ok()?, depth.parse().ok()?))
        }))
    }

    /// Serves the files of a folder.
    pub fn folder(folder: PathBuf) -> Self {
        Self::start(Box::new(move |path| std::fs::read(folder.join(path)).ok()))
    }

    /// Serves these bodies in rotation: `/INDEX` is the body INDEX modulo their number.
    pub fn ready(bodies: Vec<Vec<u8>>) -> Self {
        Self::start(Box::new(move |path| Some(bodies[path.parse::<usize>().ok()? % bodies.len()].clone())))
    }

    fn start(handler: Handler) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let frames = Arc::new(Frames {
            handler,
            faults: Mutex::default(),
            requests: Mutex::default(),
            held: watch::Sender::new(0),
            gate: watch::Sender::new(false),
        });
        let router = Router::new().fallback(respond).with_state(Arc::clone(&frames));
        runtime.spawn(async move { axum::serve(listener, router).await });
        Self { address, frames, runtime: Some(runtime) }
    }

    /// Sets the fault of one frame.
    #[must_use]
    pub fn with(self, index: i64, fault: Fault) -> Self {
        self.frames.faults.lock().unwrap().insert(index, fault);
        self
    }

    /// Holds the responses of these frames until [`release`](Self::release).
    #[must_use]
    pub fn holding(self, indices: impl IntoIterator<Item = i64>) -> Self {
        self.frames.faults.lock().unwrap().extend(indices.into_iter().map(|index| (index, Fault::Held)));
        self
    }

    /// Sets the fault of frames for later requests.
    pub fn set_faults(&self, indices: impl IntoIterator<Item = i64>, fault: &Fault) {
        self.frames.faults.lock().unwrap().extend(indices.into_iter().map(|index| (index, fault.clone())));
    }

    /// Opens the gate: held and later requests get their frames.
    pub fn release(&self) {
        self.frames.gate.send_replace(true);
    }

    /// Waits until this number of requests is held.
    pub fn until_held(&self, requests: usize) {
        until(&format!("{requests} requests are held"), || *self.frames.held.borrow() >= requests);
    }

    /// The URL of `path`, which may contain placeholders.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }

    /// The number of requests for each frame.
    pub fn requests(&self) -> BTreeMap<i64, usize> {
        self.request_times().into_iter().map(|(frame, times)| (frame, times.len())).collect()
    }

    /// The times of the requests for each frame.
    pub fn request_times(&self) -> BTreeMap<i64, Vec<Instant>> {
        self.frames.requests.lock().unwrap().clone()
    }
}

async fn respond(State(frames): State<Arc<Frames>>, uri: Uri) -> Response {
    let path = uri.path().trim_start_matches('/');
    let name = path.rsplit('/').next().unwrap_or_default();
    let index: i64 = name.split('.').next().and_then(|digits| digits.parse().ok()).unwrap_or(-1);
    let count = {
        let mut requests = frames.requests.lock().unwrap();
        let times = requests.entry(index).or_default();
        times.push(Instant::now());
        times.len()
    };
    let fault = frames.faults.lock().unwrap().get(&index).cloned();
    let body = match &fault {
        Some(Fault::Instead(body)) => Some(body.clone()),
        Some(Fault::InsteadOnce(body)) if count == 1 => Some(body.clone()),
        _ => (frames.handler)(path),
    };
    let Some(body) = body else { return StatusCode::NOT_FOUND.into_response() };
    match fault {
        Some(Fault::Missing) => StatusCode::NOT_FOUND.into_response(),
        Some(Fault::Busy(times)) if count <= times => (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "0")]).into_response(),
        Some(Fault::CutShort(times)) if count <= times => cut_short(&body),
        Some(Fault::Held) => {
            frames.held.send_modify(|held| *held += 1);
            // The channel stays open: this request holds the state with the sender.
            let _ = frames.gate.subscribe().wait_for(|open| *open).await;
            body.into_response()
        }
        _ => body.into_response(),
    }
}

/// Announces the length of the whole body, sends half, and closes the connection.
fn cut_short(body: &[u8]) -> Response {
    let half = bytes::Bytes::copy_from_slice(&body[..body.len() / 2]);
    let parts = [Ok(half), Err(std::io::Error::other("cut short on purpose"))];
    let mut response = Response::new(Body::from_stream(futures_util::stream::iter(parts)));
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    response
}
