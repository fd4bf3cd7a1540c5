//! A folder behind HTTP, with or without ranges, some of its files refused.

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

pub(crate) struct Shelf {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Drop for Shelf {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shelf {
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

    /// Answers so often, one after the other, when asked for what ends in `name`; the last one for ever.
    pub(crate) fn refuse(&self, name: &str, answers: &[StatusCode]) {
        self.shared.refused.lock().unwrap().insert(name.to_owned(), answers.to_vec());
    }

    /// What has been asked for since the last call: path, and range where there was one.
    pub(crate) fn log(&self) -> Vec<String> {
        std::mem::take(&mut self.shared.log.lock().unwrap())
    }
}

/// The bytes that a Range header means.
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
    let asked = headers.get(header::RANGE).map(|range| range.to_str().unwrap().to_owned());
    shared.log.lock().unwrap().push(format!("{}{}", uri.path(), asked.as_deref().map_or_else(String::new, |range| format!(" {range}"))));
    if let Some((_, answers)) = shared.refused.lock().unwrap().iter_mut().find(|(name, _)| uri.path().ends_with(name.as_str())) {
        let answer = if answers.len() > 1 { answers.remove(0) } else { answers[0] };
        if answer != StatusCode::OK {
            return answer.into_response();
        }
    }
    let Ok(body) = std::fs::read(shared.folder.join(uri.path().trim_start_matches('/'))) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    // A store's own client wants to know these.
    let known = [(header::LAST_MODIFIED, "Sun, 06 Nov 1994 08:49:37 GMT"), (header::ETAG, "\"1\"")];
    match asked.filter(|_| shared.ranges) {
        Some(asked) => {
            let part = range(&asked, body.len());
            let said = format!("bytes {}-{}/{}", part.start, part.end - 1, body.len());
            (StatusCode::PARTIAL_CONTENT, known, [(header::CONTENT_RANGE, said)], body[part].to_vec()).into_response()
        }
        None => (known, body).into_response(),
    }
}
