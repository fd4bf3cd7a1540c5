//! An HTTP server whose responses a function of the test computes.

use axum::Router;
use axum::extract::Request;
use axum::http::{Method, header};
use axum::response::Response;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// The parts of a request that tests read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::source) struct Asked {
    pub(in crate::source) method: Method,
    pub(in crate::source) path: String,
    pub(in crate::source) range: Option<String>,
}

impl Asked {
    /// The part of `whole` that the request's `Range` names, and its `Content-Range`; `None` without a range.
    pub(in crate::source) fn part(&self, whole: &[u8]) -> Option<(String, Vec<u8>)> {
        let (start, end) = self.range.as_ref()?.strip_prefix("bytes=")?.split_once('-')?;
        let part = match (start.parse::<usize>(), end.parse::<usize>()) {
            (Ok(start), Ok(end)) => start..(end + 1).min(whole.len()),
            (Ok(start), Err(_)) => start..whole.len(),
            (Err(_), Ok(last)) => whole.len().saturating_sub(last)..whole.len(),
            (Err(_), Err(_)) => return None,
        };
        Some((format!("bytes {}-{}/{}", part.start, part.end - 1, whole.len()), whole.get(part)?.to_vec()))
    }
}

pub(in crate::source) struct HandlerServer {
    address: SocketAddr,
    log: Arc<Mutex<Vec<Asked>>>,
    task: JoinHandle<()>,
}

impl Drop for HandlerServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl HandlerServer {
    pub(in crate::source) async fn start(handler: impl Fn(&Asked) -> Response + Clone + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let recorder = Arc::clone(&log);
        let router = Router::new().fallback(move |request: Request| {
            let range = request.headers().get(header::RANGE).map(|range| range.to_str().unwrap().to_owned());
            let asked = Asked { method: request.method().clone(), path: request.uri().path().to_owned(), range };
            recorder.lock().unwrap().push(asked.clone());
            let response = handler(&asked);
            async move { response }
        });
        let task = tokio::spawn(transport::listen::serve(listener, router, std::future::pending()));
        Self { address, log, task }
    }

    pub(in crate::source) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The ranges of all requests so far; an empty text without a range.
    pub(in crate::source) fn ranges(&self) -> Vec<String> {
        self.log.lock().unwrap().iter().map(|asked| asked.range.clone().unwrap_or_default()).collect()
    }
}

pub(in crate::source) fn respond(status: u16, headers: &[(&str, &str)], body: impl Into<axum::body::Body>) -> Response {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(body.into()).unwrap()
}

/// The part that the request asks for with status 206, or the whole body with status 200.
pub(in crate::source) fn ranged(asked: &Asked, headers: &[(&str, &str)], whole: &[u8]) -> Response {
    match asked.part(whole) {
        Some((range, part)) => respond(206, &[headers, &[("content-range", &range)]].concat(), part),
        None => respond(200, headers, whole.to_vec()),
    }
}
