//! Requests to a server without a job: every path, query and header gets a response, and none without the command key reaches a command.
//!
//! Input: lines. The first is the path with its query, the others are headers.

use api::phase::BootId;
use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use chunkserver::compute::Compute;
use chunkserver::server::{Key, Keys, router};
use chunkserver::worker::{Environment, Worker};
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use tokio::runtime::Runtime;
use tower_service::Service as _;
use transport::client::Client;

const READ: &str = "the-read-key";
const COMMAND: &str = "the-command-key";
/// Longest time of a response, with the wait that a request may state.
const LONGEST: Duration = Duration::from_secs(60);

static SERVER: LazyLock<(Runtime, Router)> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    transport::crypto::install_crypto();
    let server = runtime.block_on(async {
        let worker =
            Worker::new(BootId("b".into()), Compute::new(1).unwrap(), Client::new(COMMAND.into()).unwrap(), Environment::default());
        let keys = Keys::loopback(Key::new(READ.into()), Key::new(COMMAND.into()), &worker.boot);
        router(Arc::new(worker), keys)
    });
    (runtime, server)
});

pub(super) fn run(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else { return };
    let mut lines = text.lines();
    let path = lines.next().unwrap_or_default();
    let headers: Vec<(&str, &str)> = lines.filter_map(|line| line.split_once(": ")).collect();
    // A request that waits for progress takes the time that its query states.
    if path.contains("wait_ms") {
        return;
    }
    for key in [None, Some(READ), Some(COMMAND)] {
        for method in [Method::GET, Method::PUT, Method::POST] {
            let mut request = Request::builder().method(method).uri(path);
            request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
            if let Some(key) = key {
                request = request.header("authorization", format!("Bearer {key}"));
            }
            let Ok(request) = request.body(Body::empty()) else { return };
            let is_command = request.uri().path().starts_with("/v1/");
            let (runtime, server) = &*SERVER;
            let response = async { tokio::time::timeout(LONGEST, server.clone().call(request)).await.unwrap().unwrap() };
            let status = runtime.block_on(response).status();
            assert!(status.as_u16() < 500 || status == StatusCode::SERVICE_UNAVAILABLE, "{status}: {text}");
            let has_key = text.contains(COMMAND) || key == Some(COMMAND);
            assert!(has_key || !is_command || status.is_client_error(), "{status}: {text}");
        }
    }
}
