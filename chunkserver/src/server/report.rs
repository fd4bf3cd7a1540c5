//! The page as one file that needs no server: with everything in it that the page would ask for, as far as it is there.

use super::page::careful;
use super::problem::Problem;
use super::routes;
use crate::worker::Worker;
use api::wire::route;
use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::State;
use axum::http::{HeaderName, Request, StatusCode, header};
use axum::response::{Html, IntoResponse as _, Response};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Map, Value, json};
use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tower_service::Service as _;

/// The page, with a place for the answers.
const PAGE: &str = include_str!("../../../dashboard/dist/report.html");
const PLACE: &str = "<!--recorded-->";

/// What is not there by then is still being computed, and not in the report.
const PATIENCE: Duration = Duration::from_secs(2);
/// The longest edge of a picture, in pixels.
const EDGE: usize = 256;
/// Larger answers are left out: the file is to be sent by mail.
const LARGEST: usize = 4 << 20;
/// Neighbouring tasks are merged until about so many are left of all servers.
const TASKS: u64 = 60_000;
/// Lanes of a server, as a rule of thumb.
const LANES: u64 = 8;

/// An answer to be recorded: what the page asks for, and what is asked for in its stead where that would be too much.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Question {
    key: String,
    asked: String,
    /// The key of an answer that makes this one needless.
    unless: Option<String>,
}

impl Question {
    fn plain(key: String) -> Self {
        Self { asked: key.clone(), key, unless: None }
    }
}

/// The report.
pub(super) async fn report(State(worker): State<Arc<Worker>>) -> Result<Response, Problem> {
    let share = worker.share().ok_or_else(Problem::idle)?;
    let name = format!("attachment; filename=\"{}.html\"", share.job.name);
    drop(share);
    // The routes themselves answer: a report shows what the page would have.
    let router = routes::router().with_state(worker);
    let status = ask(&router, route::STATUS).await.ok_or_else(Problem::replaced)?;
    let known: Value = serde_json::from_slice(&status.1).unwrap_or_default();
    let mut answers = Map::new();
    answers.insert(key(route::STATUS).to_owned(), text(&status));
    // One after another: each is gathered whole, and the plan has memory for one.
    for question in questions(&known) {
        // Of a mean that is there whole, nobody needs what was known of it before.
        if question.unless.as_ref().is_some_and(|whole| answers.contains_key(whole)) {
            continue;
        }
        if let Some(answer) = ask(&router, &format!("/{}", question.asked)).await {
            answers.insert(question.key, packed(&answer));
        }
    }
    let made_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
    let page = page(&json!({"made_ms": made_ms, "answers": answers}));
    let headers: [(HeaderName, &str); 2] = [(header::CONTENT_DISPOSITION, &name), (header::CACHE_CONTROL, "no-store")];
    // What may run in it, it says itself.
    let mut response = careful((headers, Html(page)).into_response());
    response.headers_mut().remove(header::CONTENT_SECURITY_POLICY);
    Ok(response)
}

/// The page with these answers in it.
fn page(recorded: &Value) -> String {
    // No text in it may look like the end of the element that it stands in.
    let recorded = recorded.to_string().replace('<', "\\u003c");
    PAGE.replacen(PLACE, &format!("<script type=\"application/json\" id=\"recorded\">{recorded}</script>"), 1)
}

/// What the page calls a route: it does not know where it is.
fn key(path: &str) -> &str {
    path.trim_start_matches('/')
}

/// All that the page asks for once a job is over, as its status says what there is.
fn questions(status: &Value) -> Vec<Question> {
    let mut all = Vec::new();
    let servers = status["servers"].as_u64().unwrap_or(0);
    let phases = || status["phases"].as_array().into_iter().flatten();
    let started = phases().filter_map(|phase| phase["started_ms"].as_u64()).filter(|&ms| ms > 0).min().unwrap_or(0);
    let ended = phases().filter_map(|phase| phase["ended_ms"].as_u64()).max().unwrap_or(0);
    let resolution = ended.saturating_sub(started) * 1000 * LANES * servers / TASKS;
    all.extend((0..servers).map(|server| {
        let key = format!("api/v1/servers/{server}/tasks");
        Question { asked: format!("{key}?resolution={resolution}"), ..Question::plain(key) }
    }));
    all.push(Question::plain("api/v1/traces".into()));
    let arrays: Vec<(&str, Vec<usize>)> = status["arrays"].as_array().into_iter().flatten().filter_map(array).collect();
    let stack = ["recentered", "raw"].into_iter().find_map(|name| arrays.iter().find(|array| array.0 == name));
    for (name, shape) in &arrays {
        match shape[..] {
            [height, width] if name.ends_with("_frame") => {
                let step = height.max(width).div_ceil(EDGE).max(1);
                all.push(Question::plain(format!("slice/{name}?sel=::{step},::{step}&format=npy")));
            }
            [_] | [_, 2] => all.push(Question::plain(format!("slice/{name}?format=npy"))),
            _ => {}
        }
    }
    for name in ["raw", "recentered"] {
        let mean = format!("slice/{name}_mean_frame?");
        let unless = all.iter().map(|question| &question.key).find(|key| key.starts_with(&mean)).cloned();
        all.push(Question { unless, ..Question::plain(format!("api/v1/preview/{name}?edge={EDGE}")) });
    }
    if let Some((name, [frames, height, width])) = stack.and_then(|(name, shape)| Some((name, <[usize; 3]>::try_from(&shape[..]).ok()?))) {
        let pixel = format!("{},{}", height / 2, width / 2);
        all.push(Question::plain(format!("slice/{name}?sel=:,{pixel}&format=npy")));
        let spectra = ["power", "amplitude", "spectrum"];
        if let Some((name, _)) = arrays.iter().find(|(name, _)| spectra.contains(name)) {
            // The second half of the bins mirrors the first.
            let of = |bins: &str| format!("slice/{name}?sel=:{bins},{pixel}&format=npy");
            all.push(Question { asked: of(&(frames / 2 + 1).to_string()), ..Question::plain(of("")) });
        }
    }
    all
}

fn array(array: &Value) -> Option<(&str, Vec<usize>)> {
    let shape = array["shape"].as_array()?.iter().map(|size| size.as_u64().map(|size| size as usize));
    Some((array["name"].as_str()?, shape.collect::<Option<_>>()?))
}

/// Media type and body of what `path` answers, if that is there soon and not too large.
async fn ask(router: &Router, path: &str) -> Option<(String, Bytes)> {
    let request = Request::builder().uri(path).body(Body::empty()).ok()?;
    let answer = async {
        // It cannot fail.
        let Ok(response) = router.clone().call(request).await;
        if response.status() != StatusCode::OK {
            return None;
        }
        let media = response.headers().get(header::CONTENT_TYPE)?.to_str().ok()?.to_owned();
        Some((media, to_bytes(response.into_body(), LARGEST).await.ok()?))
    };
    tokio::time::timeout(PATIENCE, answer).await.ok().flatten()
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
    fn answers_stand_in_the_page_and_cannot_end_their_element() {
        assert_eq!(PAGE.matches(PLACE).count(), 1);
        let page = page(&json!({"answers": {"x": {"body": "</script><script>alert(1)</script>"}}}));
        assert!(page.contains("id=\"recorded\">{") && !page.contains("alert(1)</script>"), "{}", &page[..200]);
        assert!(!page.contains(PLACE));
    }

    #[test]
    fn what_is_asked_is_what_the_page_asks() {
        let array = |name: &str, shape: &[usize]| json!({"name": name, "shape": shape});
        let status = json!({
            "servers": 2,
            "phases": [{"started_ms": 5000, "ended_ms": 9000}, {"started_ms": 0, "ended_ms": 0}, {"started_ms": 6000, "ended_ms": 65000}],
            "arrays": [
                array("raw", &[9, 600, 400]), array("recentered", &[9, 20, 30]), array("power", &[9, 20, 30]),
                array("centroids", &[9, 2]), array("raw_mean_frame", &[600, 400]), array("raw_mean_trace", &[9]), array("frequency", &[9]),
            ],
        });
        let questions = questions(&status);
        let keys: Vec<&str> = questions.iter().map(|question| question.key.as_str()).collect();
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
        assert_eq!(questions.last().unwrap().asked, "slice/power?sel=:5,10,15&format=npy");
        let unless: Vec<_> = questions.iter().filter_map(|question| question.unless.as_deref()).collect();
        assert_eq!(unless, ["slice/raw_mean_frame?sel=::3,::3&format=npy"]);
        // A minute of 2 servers.
        assert_eq!(questions[1].asked, "api/v1/servers/1/tasks?resolution=16000");
    }
}
