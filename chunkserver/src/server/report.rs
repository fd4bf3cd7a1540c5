//! The page as one file that needs no server. The file contains every response that the page requests, as far as the response is available.

use super::access::Access;
use super::page::with_security_headers;
use super::problem::Problem;
use crate::worker::Worker;
use api::wire::route;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::State;
use axum::http::{HeaderName, Request, StatusCode, header};
use axum::response::{Html, IntoResponse as _, Response};
use axum::{Extension, Router};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Map, Value, json};
use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tower_service::Service as _;

/// The page, with a placeholder for the responses.
const PAGE: &str = include_str!("../../../dashboard/dist/report.html");
const PLACEHOLDER: &str = "<!--recorded-->";

/// Timeout of a request. The report omits responses that are still being computed.
const TIMEOUT: Duration = Duration::from_secs(2);
/// The longest edge of a picture, in pixels.
const EDGE: usize = 256;
/// Largest response, in bytes. The report omits larger responses, so that the file fits into an email.
const MAX_RESPONSE_BYTES: usize = 4 << 20;
/// Approximate number of tasks of all servers after neighbouring tasks are merged.
const MAX_TASKS: u64 = 60_000;
/// Estimated lanes of a server.
const LANES: u64 = 8;

/// A response to record.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Recording {
    /// The request of the page.
    key: String,
    /// The request for the report, which may return less than the page's request.
    request: String,
    /// The key of a response that replaces this one, if that response is available.
    replaced_by: Option<String>,
}

/// Builds the router that the report reads from. A function: the report does not depend on the table of routes.
#[derive(Clone, Copy)]
pub(super) struct Routes(pub(super) fn() -> Router<Arc<Worker>>);

impl Recording {
    fn plain(key: String) -> Self {
        Self { request: key.clone(), key, replaced_by: None }
    }
}

/// The report.
pub(super) async fn report(State(worker): State<Arc<Worker>>, Extension(Routes(routes)): Extension<Routes>) -> Result<Response, Problem> {
    let share = worker.share().ok_or_else(Problem::idle)?;
    let name = format!("attachment; filename=\"{}.html\"", share.job.name);
    drop(share);
    // The report requests the same routes as the page.
    let router = routes().with_state(worker).layer(Extension(Access::Read));
    let status = fetch(&router, route::STATUS).await.ok_or_else(Problem::replaced)?;
    let known: Value = serde_json::from_slice(&status.1).unwrap_or_default();
    let mut responses = Map::new();
    responses.insert(key(route::STATUS).to_owned(), text(&status));
    // In sequence: each response is gathered in memory, and the plan has memory for one.
    for recording in recordings(&known) {
        // The final mean replaces its preview.
        if recording.replaced_by.as_ref().is_some_and(|key| responses.contains_key(key)) {
            continue;
        }
        if let Some(response) = fetch(&router, &format!("/{}", recording.request)).await {
            responses.insert(recording.key, packed(&response));
        }
    }
    let made_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
    let page = page(&json!({"made_ms": made_ms, "answers": responses}));
    let headers: [(HeaderName, &str); 2] = [(header::CONTENT_DISPOSITION, &name), (header::CACHE_CONTROL, "no-store")];
    // The file contains its own content security policy.
    let mut response = with_security_headers((headers, Html(page)).into_response());
    response.headers_mut().remove(header::CONTENT_SECURITY_POLICY);
    Ok(response)
}

/// The page with the recorded responses.
fn page(recorded: &Value) -> String {
    // Escapes '<', so that no text ends the script element.
    let recorded = recorded.to_string().replace('<', "\\u003c");
    PAGE.replacen(PLACEHOLDER, &format!("<script type=\"application/json\" id=\"recorded\">{recorded}</script>"), 1)
}

/// The page's name of a route: a relative path.
fn key(path: &str) -> &str {
    path.trim_start_matches('/')
}

/// All requests of the page after the end of the job with this status.
fn recordings(status: &Value) -> Vec<Recording> {
    let mut all = Vec::new();
    let servers = status["servers"].as_u64().unwrap_or(0);
    let phases = || status["phases"].as_array().into_iter().flatten();
    let started = phases().filter_map(|phase| phase["started_ms"].as_u64()).filter(|&ms| ms > 0).min().unwrap_or(0);
    let ended = phases().filter_map(|phase| phase["ended_ms"].as_u64()).max().unwrap_or(0);
    let resolution = ended.saturating_sub(started) * 1000 * LANES * servers / MAX_TASKS;
    all.extend((0..servers).map(|server| {
        let key = format!("api/v1/servers/{server}/tasks");
        Recording { request: format!("{key}?resolution={resolution}"), ..Recording::plain(key) }
    }));
    all.push(Recording::plain("api/v1/traces".into()));
    let arrays: Vec<(&str, Vec<usize>)> = status["arrays"].as_array().into_iter().flatten().filter_map(array).collect();
    let stack = ["recentered", "raw"].into_iter().find_map(|name| arrays.iter().find(|array| array.0 == name));
    for (name, shape) in &arrays {
        match shape[..] {
            [height, width] if name.ends_with("_frame") => {
                let step = height.max(width).div_ceil(EDGE).max(1);
                all.push(Recording::plain(format!("slice/{name}?sel=::{step},::{step}&format=npy")));
            }
            [_] | [_, 2] => all.push(Recording::plain(format!("slice/{name}?format=npy"))),
            _ => {}
        }
    }
    for name in ["raw", "recentered"] {
        let mean = format!("slice/{name}_mean_frame?");
        let replaced_by = all.iter().map(|recording| &recording.key).find(|key| key.starts_with(&mean)).cloned();
        all.push(Recording { replaced_by, ..Recording::plain(format!("api/v1/preview/{name}?edge={EDGE}")) });
    }
    if let Some((name, [frames, height, width])) = stack.and_then(|(name, shape)| Some((name, <[usize; 3]>::try_from(&shape[..]).ok()?))) {
        let pixel = format!("{},{}", height / 2, width / 2);
        all.push(Recording::plain(format!("slice/{name}?sel=:,{pixel}&format=npy")));
        let spectra = ["power", "amplitude", "spectrum"];
        if let Some((name, _)) = arrays.iter().find(|(name, _)| spectra.contains(name)) {
            // The second half of the bins is symmetric to the first.
            let of = |bins: &str| format!("slice/{name}?sel=:{bins},{pixel}&format=npy");
            all.push(Recording { request: of(&(frames / 2 + 1).to_string()), ..Recording::plain(of("")) });
        }
    }
    all
}

fn array(array: &Value) -> Option<(&str, Vec<usize>)> {
    let shape = array["shape"].as_array()?.iter().map(|size| size.as_u64().map(|size| size as usize));
    Some((array["name"].as_str()?, shape.collect::<Option<_>>()?))
}

/// Media type and body of the response to `path`; `None` if the response is late, too large or an error.
async fn fetch(router: &Router, path: &str) -> Option<(String, Bytes)> {
    let request = Request::builder().uri(path).body(Body::empty()).ok()?;
    let response = async {
        // The router's error type is infallible.
        let Ok(response) = router.clone().call(request).await;
        if response.status() != StatusCode::OK {
            return None;
        }
        let media = response.headers().get(header::CONTENT_TYPE)?.to_str().ok()?.to_owned();
        Some((media, to_bytes(response.into_body(), MAX_RESPONSE_BYTES).await.ok()?))
    };
    tokio::time::timeout(TIMEOUT, response).await.ok().flatten()
}

fn text((media, body): &(String, Bytes)) -> Value {
    json!({"type": media, "body": String::from_utf8_lossy(body)})
}

fn packed((media, body): &(String, Bytes)) -> Value {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    // Writing to memory cannot fail.
    let _ = gzip.write_all(body);
    json!({"type": media, "gzip": true, "base64": BASE64.encode(gzip.finish().unwrap_or_default())})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn responses_do_not_end_their_script_element() {
        assert_eq!(PAGE.matches(PLACEHOLDER).count(), 1);
        let page = page(&json!({"answers": {"x": {"body": "</script><script>alert(1)</script>"}}}));
        assert!(page.contains("id=\"recorded\">{") && !page.contains("alert(1)</script>"), "{}", &page[..200]);
        assert!(!page.contains(PLACEHOLDER));
    }

    #[test]
    fn the_report_requests_what_the_page_requests() {
        let array = |name: &str, shape: &[usize]| json!({"name": name, "shape": shape});
        let status = json!({
            "servers": 2,
            "phases": [{"started_ms": 5000, "ended_ms": 9000}, {"started_ms": 0, "ended_ms": 0}, {"started_ms": 6000, "ended_ms": 65000}],
            "arrays": [
                array("raw", &[9, 600, 400]), array("recentered", &[9, 20, 30]), array("power", &[9, 20, 30]),
                array("centroids", &[9, 2]), array("raw_mean_frame", &[600, 400]), array("raw_mean_trace", &[9]), array("frequency", &[9]),
            ],
        });
        let recordings = recordings(&status);
        let keys: Vec<&str> = recordings.iter().map(|recording| recording.key.as_str()).collect();
        let expected = [
            "api/v1/servers/0/tasks",
            "api/v1/servers/1/tasks",
            "api/v1/traces",
            "slice/centroids?format=npy",
            "slice/raw_mean_frame?sel=::3,::3&format=npy",
            "slice/raw_mean_trace?format=npy",
            "slice/frequency?format=npy",
            "api/v1/preview/raw?edge=256",
            "api/v1/preview/recentered?edge=256",
            "slice/recentered?sel=:,10,15&format=npy",
            "slice/power?sel=:,10,15&format=npy",
        ];
        assert_eq!(keys, expected);
        assert_eq!(recordings.last().unwrap().request, "slice/power?sel=:5,10,15&format=npy");
        let replaced_by: Vec<_> = recordings.iter().filter_map(|recording| recording.replaced_by.as_deref()).collect();
        assert_eq!(replaced_by, ["slice/raw_mean_frame?sel=::3,::3&format=npy"]);
        // A job of one minute on 2 servers.
        assert_eq!(recordings[1].request, "api/v1/servers/1/tasks?resolution=16000");
    }
}
