//! An HTTP server of frames that requires a secret header.

use super::support::FRAME;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use formats::encode::{ArrayRef, Format, encode};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The required value of the header `X-Api-Key`.
pub(super) const SECRET: &str = "a-secret-of-the-source";

/// The pixels of frame `index`.
pub(super) fn pixels(index: usize) -> Vec<u8> {
    (0..FRAME.pixels()).map(|pixel| (index * 7 + pixel * 3 + pixel / FRAME.width) as u8).collect()
}

struct Shared {
    down: AtomicBool,
    served: AtomicUsize,
    /// Requests for frames so far.
    requested: AtomicUsize,
    /// Number of requests that are answered; later requests wait.
    answered: watch::Sender<usize>,
}

pub(super) struct FrameServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Drop for FrameServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl FrameServer {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (down, served, requested) = Default::default();
        let shared = Arc::new(Shared { down, served, requested, answered: watch::Sender::new(usize::MAX) });
        let router = Router::new()
            .route("/frame/{index}", get(frame))
            .route("/page/{index}", get(|| async { "<html>no such specimen</html>" }))
            .with_state(Arc::clone(&shared));
        let task = tokio::spawn(transport::listen::serve(listener, router, std::future::pending()));
        Self { address, shared, task }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }

    /// Refuses all requests from now on, or accepts them again.
    pub(super) fn set_down(&self, down: bool) {
        self.shared.down.store(down, Ordering::Relaxed);
    }

    /// Answers only the first `requests` requests for frames; later requests wait.
    pub(super) fn answer_only(&self, requests: usize) {
        self.shared.answered.send_replace(requests);
    }

    /// Number of served frames.
    pub(super) fn served(&self) -> usize {
        self.shared.served.load(Ordering::Relaxed)
    }
}

async fn frame(State(shared): State<Arc<Shared>>, Path(index): Path<usize>, headers: HeaderMap) -> Response {
    if shared.down.load(Ordering::Relaxed) {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    if headers.get("x-api-key").is_none_or(|key| key != SECRET) {
        return StatusCode::FORBIDDEN.into_response();
    }
    let number = shared.requested.fetch_add(1, Ordering::Relaxed);
    let _ = shared.answered.subscribe().wait_for(|&answered| number < answered).await;
    shared.served.fetch_add(1, Ordering::Relaxed);
    let array = ArrayRef { element: FRAME.dtype.into(), shape: &[FRAME.height, FRAME.width], data: &pixels(index) };
    encode(&array, Format::Png).unwrap().into_response()
}
