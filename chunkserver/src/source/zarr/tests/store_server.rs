//! An HTTP server of a folder, with or without support for ranges, that refuses chosen files.

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

struct Shared {
    folder: PathBuf,
    ranges: bool,
    refused: Mutex<HashMap<String, Vec<StatusCode>>>,
    log: Mutex<Vec<String>>,
}

pub(crate) struct StoreServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Drop for StoreServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl StoreServer {
    pub(crate) async fn start(folder: PathBuf, ranges: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared { folder, ranges, refused: Mutex::default(), log: Mutex::default() });
        let router = Router::new().fallback(file).with_state(Arc::clone(&shared));
        let task = tokio::spawn(transport::listen::serve(listener, router, std::future::pending()));
        Self { address, shared, task }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Responds to requests for paths that end in `name` with these statuses in sequence; the last status is repeated.
    pub(crate) fn refuse(&self, name: &str, statuses: &[StatusCode]) {
        self.shared.refused.lock().unwrap().insert(name.to_owned(), statuses.to_vec());
    }

    /// Requests since the last call: path, and range if present.
    pub(crate) fn log(&self) -> Vec<String> {
        std::mem::take(&mut self.shared.log.lock().unwrap())
    }
}

/// The bytes of a `Range` header.
fn range(text: &str, length: usize) -> std::ops::Range<usize> {
    let (start, end) = text.strip_prefix("bytes=").and_then(|range| range.split_once('-')).unwrap();
    match (start.parse::<usize>(), end.parse::<usize>()) {
        (Ok(start), Ok(end)) => start..(end + 1).min(length),
        (Ok(start), Err(_)) => start..length,
        (Err(_), Ok(last)) => length.saturating_sub(last)..length,
        (Err(_), Err(_)) => panic!("{text}"),
    }
}

async fn file(State(shared): State<Arc<Shared>>, uri: Uri, headers: HeaderMap) -> Response {
    let requested = headers.get(header::RANGE).map(|range| range.to_str().unwrap().to_owned());
    shared.log.lock().unwrap().push(format!(
        "{}{}",
        uri.path(),
        requested.as_deref().map_or_else(String::new, |range| format!(" {range}"))
    ));
    if let Some((_, statuses)) = shared.refused.lock().unwrap().iter_mut().find(|(name, _)| uri.path().ends_with(name.as_str())) {
        let status = if statuses.len() > 1 { statuses.remove(0) } else { statuses[0] };
        if status != StatusCode::OK {
            return status.into_response();
        }
    }
    let Ok(body) = std::fs::read(shared.folder.join(uri.path().trim_start_matches('/'))) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    // Client libraries of stores require these headers.
    let known = [(header::LAST_MODIFIED, "Sun, 06 Nov 1994 08:49:37 GMT"), (header::ETAG, "\"1\"")];
    match requested.filter(|_| shared.ranges) {
        Some(requested) => {
            let part = range(&requested, body.len());
            let content_range = format!("bytes {}-{}/{}", part.start, part.end - 1, body.len());
            (StatusCode::PARTIAL_CONTENT, known, [(header::CONTENT_RANGE, content_range)], body[part].to_vec()).into_response()
        }
        None => (known, body).into_response(),
    }
}
