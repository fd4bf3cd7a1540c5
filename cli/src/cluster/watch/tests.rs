use super::*;
use crate::args::ProgressKind;
use axum::Router;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;

/// The responses of the API server, in order: to lists of ArrayJobs, and to watches.
#[derive(Default)]
struct Script {
    lists: VecDeque<Vec<Value>>,
    watches: VecDeque<(u16, Vec<Value>)>,
    requests: Vec<String>,
}

type Shared = Arc<Mutex<Script>>;

async fn jobs(State(script): State<Shared>, Query(query): Query<HashMap<String, String>>) -> Response {
    let mut script = script.lock().unwrap();
    assert_eq!(query.get("fieldSelector").map(String::as_str), Some("metadata.name=j"));
    if query.contains_key("watch") {
        script.requests.push("watch".into());
        let (code, events) = script.watches.pop_front().unwrap_or((403, vec![]));
        if code != 200 {
            return failure(code);
        }
        return events.iter().map(|event| format!("{event}\n")).collect::<String>().into_response();
    }
    script.requests.push("list".into());
    match script.lists.pop_front() {
        Some(items) => {
            let list = json!({"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": "5"}, "items": items});
            axum::Json(list).into_response()
        }
        None => failure(403),
    }
}

fn failure(code: u16) -> Response {
    let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": "refused", "reason": "x", "code": code});
    (StatusCode::from_u16(code).unwrap(), axum::Json(status)).into_response()
}

fn job(uid: &str, phase: &str, condition: &str) -> Value {
    json!({"apiVersion": "arrayjob.dev/v1alpha1", "kind": "ArrayJob", "metadata": {"name": "j", "uid": uid, "resourceVersion": "6"}, "spec": {},
        "status": {"phase": phase, "conditions": [{"type": condition, "status": "True", "reason": "Because", "message": "of this",
            "lastTransitionTime": "2026-01-01T00:00:00Z"}]}})
}

fn event(kind: &str, job: &Value) -> Value {
    json!({"type": kind, "object": job})
}

/// Follows job u-1 through a script.
async fn follow(lists: Vec<Vec<Value>>, watches: Vec<(u16, Vec<Value>)>) -> (Result<(), String>, Vec<String>) {
    let script = Arc::new(Mutex::new(Script { lists: lists.into(), watches: watches.into(), requests: vec![] }));
    let router = Router::new().route("/apis/arrayjob.dev/v1alpha1/namespaces/lab/arrayjobs", get(jobs)).with_state(Arc::clone(&script));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(transport::listen::serve(listener, router, std::future::pending()));
    let mut config = tempfile::NamedTempFile::new().unwrap();
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{{name: c, cluster: {{server: 'http://{address}'}}}}]\n\
         contexts: [{{name: c, context: {{cluster: c, user: u, namespace: lab}}}}]\nusers: [{{name: u, user: {{}}}}]\n"
    );
    std::io::Write::write_all(&mut config, text.as_bytes()).unwrap();
    let cluster = connect(&ClusterOptions { kubeconfig: Some(config.path().into()), ..ClusterOptions::default() }).await.unwrap();
    assert_eq!(cluster.namespace, "lab");
    let found = serde_json::from_value(job("u-1", "Pending", "Progressing")).unwrap();
    let mut follower = Follower::new("j", &ClusterOptions::default(), &found, Progress::new(ProgressKind::Plain, Instant::now()));
    let outcome = tokio::time::timeout(Duration::from_secs(60), follower.follow(&cluster)).await.unwrap();
    let requests = script.lock().unwrap().requests.clone();
    (outcome.map_err(|error| error.sentence()), requests)
}

#[tokio::test]
async fn an_ended_watch_starts_again() {
    let running = job("u-1", "Running", "Progressing");
    let complete = job("u-1", "Complete", "Complete");
    let (outcome, requests) = follow(
        vec![vec![running.clone()]],
        vec![(200, vec![event("MODIFIED", &running)]), (200, vec![]), (200, vec![event("MODIFIED", &complete)])],
    )
    .await;
    assert_eq!(outcome, Ok(()));
    assert_eq!(requests, ["list", "watch", "watch", "watch"]);
}

#[tokio::test]
async fn a_failing_cluster_is_retried() {
    let running = job("u-1", "Running", "Progressing");
    let gone =
        json!({"type": "ERROR", "object": {"kind": "Status", "status": "Failure", "message": "too old", "reason": "Expired", "code": 410}});
    let (outcome, requests) =
        follow(vec![vec![running], vec![job("u-1", "Failed", "Failed")]], vec![(500, vec![]), (200, vec![gone])]).await;
    assert_eq!(outcome, Err("Because: of this".into()));
    assert_eq!(requests, ["list", "watch", "watch", "list"]);
}

#[tokio::test]
async fn a_deleted_job_ends_the_watch_with_an_error() {
    let running = job("u-1", "Running", "Progressing");
    let deleted = Err("ArrayJob 'j' was deleted before the job finished".to_owned());
    assert_eq!(follow(vec![vec![running.clone()]], vec![(200, vec![event("DELETED", &running)])]).await.0, deleted);
    // Deleted between two watches; and deleted and created again.
    assert_eq!(follow(vec![vec![]], vec![]).await.0, deleted);
    assert_eq!(follow(vec![vec![job("u-2", "Complete", "Complete")]], vec![]).await.0, deleted);
}

#[tokio::test]
async fn a_missing_permission_is_named() {
    let (outcome, requests) = follow(vec![], vec![]).await;
    let error = outcome.unwrap_err();
    assert!(error.starts_with("no permission to watch ArrayJob j") && error.contains("watch]"), "{error}");
    assert_eq!(requests, ["list"]);
}

#[test]
fn durations_have_units() {
    for (text, seconds) in [("90", 90), ("90s", 90), ("10m", 600), ("1h", 3600)] {
        assert_eq!(duration(text).unwrap(), Duration::from_secs(seconds));
    }
    for text in ["", "m", "1d", "-1", "1.5h", "99999999999999999999", "9999999999999999h"] {
        assert!(duration(text).is_err(), "{text}");
    }
}
