//! A fake Kubernetes API server: it keeps objects in memory, sends every change to the watches, and logs each request. It checks names,
//! uids and versions, on which the operator relies. It has one namespace, and no socket, so that a test can pause its clock.

use crate::responses::{self, Refused};
use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::State;
use axum::http::{Method, Request as HttpRequest};
use axum::response::Response;
use futures_util::stream;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};

pub(crate) const NAMESPACE: &str = "lab";
/// Timeout of all waits, by the clock of the test.
const TIMEOUT: Duration = Duration::from_secs(40);

/// One received request.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) at: Instant,
    /// get, list, watch, create, patch, replace or delete.
    pub(crate) verb: &'static str,
    /// Plural name of the kind; a subresource follows after a slash.
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) body: Value,
    pub(crate) code: u16,
    query: HashMap<String, String>,
}

impl Request {
    /// For example `create pods stack-0`.
    pub(crate) fn line(&self) -> String {
        format!("{} {} {}", self.verb, self.kind, self.name)
    }

    pub(crate) fn writes(&self) -> bool {
        ["create", "patch", "replace", "delete"].contains(&self.verb)
    }
}

/// The point at which the API server stops responding: at write number `at` from now on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Disconnect {
    pub(crate) at: usize,
    /// Whether that write is stored.
    pub(crate) done: bool,
}

type Rule = Box<dyn Fn(&Request) -> Option<Refused> + Send>;

#[derive(Default)]
pub(crate) struct Inner {
    pub(crate) objects: BTreeMap<(String, String), Value>,
    history: Vec<(u64, &'static str, String, Value)>,
    version: u64,
    log: Vec<Request>,
    rules: Vec<Rule>,
    /// Kinds whose watches send no events.
    lagging: Vec<String>,
    disconnect: Option<Disconnect>,
    /// Whether no request gets a response.
    frozen: bool,
}

/// The API server with its objects.
#[derive(Clone, Default)]
pub(crate) struct Cluster {
    inner: Arc<Mutex<Inner>>,
    changed: watch::Sender<u64>,
}

impl Inner {
    pub(crate) fn next_version(&mut self) -> String {
        self.version += 1;
        self.version.to_string()
    }

    /// Stores an object with a new version, and sends the change to the watches.
    pub(crate) fn store(&mut self, kind: &str, mut object: Value) -> Value {
        let name = responses::name(&object);
        let key = (kind.to_owned(), name);
        object["metadata"]["resourceVersion"] = self.next_version().into();
        let what = if self.objects.insert(key, object.clone()).is_some() { "MODIFIED" } else { "ADDED" };
        self.history.push((self.version, what, kind.to_owned(), object.clone()));
        object
    }

    /// Removes an object and its dependents.
    pub(crate) fn remove(&mut self, kind: &str, name: &str) -> Option<Value> {
        let mut object = self.objects.remove(&(kind.to_owned(), name.to_owned()))?;
        object["metadata"]["resourceVersion"] = self.next_version().into();
        self.history.push((self.version, "DELETED", kind.to_owned(), object.clone()));
        let uid = object["metadata"]["uid"].clone();
        let owned =
            |object: &Value| object["metadata"]["ownerReferences"].as_array().is_some_and(|owners| owners.iter().any(|o| o["uid"] == uid));
        let orphans: Vec<_> = self.objects.iter().filter(|(_, object)| owned(object)).map(|(key, _)| key.clone()).collect();
        orphans.iter().for_each(|(kind, name)| drop(self.remove(kind, name)));
        Some(object)
    }
}

impl Cluster {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    fn notify(&self) {
        self.changed.send_modify(|count| *count += 1);
    }

    /// A client of this server, without a socket.
    pub(crate) fn client(&self) -> kube::Client {
        kube::Client::new(Router::new().fallback(serve).with_state(self.clone()), NAMESPACE)
    }

    /// Notified of every change and every request.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Changes the objects, as a client other than the operator.
    pub(crate) fn change<T>(&self, what: impl FnOnce(&mut Inner) -> T) -> T {
        let result = what(&mut self.lock());
        self.notify();
        result
    }

    /// Creates an object.
    pub(crate) fn put(&self, kind: &str, object: Value) -> Value {
        self.change(|inner| {
            let object = responses::initialize(inner, object);
            inner.store(kind, object)
        })
    }

    /// Changes an object.
    pub(crate) fn edit(&self, kind: &str, name: &str, how: impl FnOnce(&mut Value)) {
        self.change(|inner| {
            let mut object = inner.objects[&(kind.to_owned(), name.to_owned())].clone();
            let spec = object["spec"].clone();
            how(&mut object);
            if object["spec"] != spec {
                object["metadata"]["generation"] = (object["metadata"]["generation"].as_i64().unwrap_or(0) + 1).into();
            }
            inner.store(kind, object);
        });
    }

    /// Deletes an object and its dependents.
    pub(crate) fn delete(&self, kind: &str, name: &str) {
        self.change(|inner| inner.remove(kind, name)).unwrap_or_else(|| panic!("{kind} {name} does not exist"));
    }

    pub(crate) fn get(&self, kind: &str, name: &str) -> Option<Value> {
        self.lock().objects.get(&(kind.to_owned(), name.to_owned())).cloned()
    }

    pub(crate) fn names(&self, kind: &str) -> Vec<String> {
        self.lock().objects.keys().filter(|(found, _)| found == kind).map(|(_, name)| name.clone()).collect()
    }

    /// Adds a rule that refuses requests.
    pub(crate) fn refuse(&self, rule: impl Fn(&Request) -> Option<Refused> + Send + 'static) {
        self.lock().rules.push(Box::new(rule));
    }

    /// Removes all rules.
    pub(crate) fn accept(&self) {
        self.lock().rules.clear();
    }

    /// Watches of this kind send no events until `resume_watches`.
    pub(crate) fn pause_watches(&self, kind: &str) {
        self.lock().lagging.push(kind.to_owned());
    }

    pub(crate) fn resume_watches(&self) {
        self.change(|inner| inner.lagging.clear());
    }

    /// Sets the point from which no request gets a response.
    pub(crate) fn disconnect_at(&self, disconnect: Disconnect) {
        self.lock().disconnect = Some(disconnect);
    }

    pub(crate) fn is_disconnected(&self) -> bool {
        self.lock().frozen
    }

    /// Stops all responses.
    pub(crate) fn freeze(&self) {
        self.change(|inner| inner.frozen = true);
    }

    /// Responds again.
    pub(crate) fn reconnect(&self) {
        self.change(|inner| (inner.disconnect, inner.frozen) = (None, false));
    }

    /// All requests so far.
    pub(crate) fn log(&self) -> Vec<Request> {
        self.lock().log.clone()
    }

    /// The requests of one verb and kind, for example `create pods`.
    pub(crate) fn requests(&self, verb_and_kind: &str) -> Vec<Request> {
        self.log().into_iter().filter(|request| format!("{} {}", request.verb, request.kind) == verb_and_kind).collect()
    }

    /// Waits until `is_so` is true.
    pub(crate) async fn until(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let mut changes = self.changes();
        let waited = timeout(TIMEOUT, async {
            while !is_so(self) {
                changes.changed().await.unwrap();
            }
        });
        if waited.await.is_err() {
            let lines: Vec<String> = self
                .log()
                .iter()
                .filter(|request| request.writes())
                .map(|request| format!("{} {}", request.line(), request.code))
                .collect();
            panic!(
                "timeout while waiting for: {what}\n{}\n{:#?}",
                lines.join("\n"),
                self.get("arrayjobs", "stack").map(|job| job["status"].clone())
            );
        }
    }
}

async fn serve(State(cluster): State<Cluster>, request: HttpRequest<Body>) -> Response {
    let mut request = read(request).await;
    let (response, frozen) = {
        let mut inner = cluster.lock();
        let last = if request.writes() && !inner.frozen { count_down(&mut inner) } else { None };
        if inner.frozen || last.is_some_and(|disconnect| !disconnect.done) {
            inner.frozen = true;
            (Ok(Value::Null), true)
        } else {
            let refused = inner.rules.iter().find_map(|rule| rule(&request));
            let response = refused.map_or_else(|| responses::respond(&mut inner, &request), Err);
            request.code = response.as_ref().map_or_else(|refused| refused.code, |_| 200);
            inner.log.push(request.clone());
            inner.frozen = last.is_some();
            (response, last.is_some())
        }
    };
    cluster.notify();
    if frozen {
        std::future::pending::<()>().await;
    }
    match response {
        Ok(_) if request.verb == "watch" => Response::new(follow(cluster, &request)),
        Ok(object) => Response::new(Body::from(object.to_string())),
        Err(refused) => refused.response(),
    }
}

/// Counts one write. Returns the disconnect if it is due at this write.
fn count_down(inner: &mut Inner) -> Option<Disconnect> {
    let disconnect = inner.disconnect.as_mut()?;
    disconnect.at = disconnect.at.checked_sub(1)?;
    (disconnect.at == 0).then_some(*disconnect)
}

/// `/api/v1` or `/apis/GROUP/VERSION`, then `[/namespaces/NAMESPACE]/KIND[/NAME[/SUB]]`.
async fn read(request: HttpRequest<Body>) -> Request {
    let (parts, body) = request.into_parts();
    let path: Vec<&str> = parts.uri.path().trim_matches('/').split('/').collect();
    let rest = &path[if path[0] == "api" { 2 } else { 3 }..];
    let rest = if rest[0] == "namespaces" && rest.len() > 2 { &rest[2..] } else { rest };
    let query: HashMap<String, String> =
        url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
    let bytes: Bytes = to_bytes(body, 1 << 20).await.unwrap();
    let body: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let verb = match (&parts.method, rest.get(1)) {
        (&Method::GET, Some(_)) => "get",
        (&Method::GET, None) if query.contains_key("watch") => "watch",
        (&Method::GET, None) => "list",
        (&Method::POST, _) => "create",
        (&Method::PATCH, _) => "patch",
        (&Method::PUT, _) => "replace",
        (&Method::DELETE, _) => "delete",
        (other, _) => panic!("{other} {}", parts.uri),
    };
    let kind = rest.get(2).map_or_else(|| rest[0].to_owned(), |sub| format!("{}/{sub}", rest[0]));
    let name = rest.get(1).map_or_else(|| responses::name(&body), |name| (*name).to_owned());
    Request { at: Instant::now(), verb, kind, name, body, code: 0, query }
}

/// All objects of a kind that match the selector of the request.
pub(crate) fn list(inner: &Inner, request: &Request) -> Value {
    let items: Vec<&Value> =
        inner.objects.iter().filter(|((kind, _), object)| *kind == request.kind && selected(request, object)).map(|(_, o)| o).collect();
    json!({"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": inner.version.to_string()}, "items": items})
}

fn selected(request: &Request, object: &Value) -> bool {
    let labels = &object["metadata"]["labels"];
    let selector = request.query.get("labelSelector").map_or("", String::as_str);
    selector.split(',').filter_map(|pair| pair.split_once('=')).all(|(key, value)| labels[key] == value)
}

/// Streams the changes since the version of the request, until its timeout.
fn follow(cluster: Cluster, request: &Request) -> Body {
    let number = |key: &str| request.query[key].parse::<u64>().unwrap();
    let end = Instant::now() + Duration::from_secs(number("timeoutSeconds"));
    let changes = cluster.changed.subscribe();
    let state = (cluster, changes, number("resourceVersion"), request.clone());
    Body::from_stream(stream::unfold(state, move |(cluster, mut changes, mut seen, request)| async move {
        loop {
            let lines: String = {
                let inner = cluster.lock();
                if inner.frozen || inner.lagging.contains(&request.kind) {
                    String::new()
                } else {
                    let since = inner
                        .history
                        .iter()
                        .filter(|(version, _, kind, object)| *version > seen && *kind == request.kind && selected(&request, object));
                    let lines = since.map(|(_, what, _, object)| format!("{}\n", json!({"type": what, "object": object}))).collect();
                    seen = inner.version;
                    lines
                }
            };
            if !lines.is_empty() {
                return Some((Ok::<_, std::convert::Infallible>(lines), (cluster, changes, seen, request)));
            }
            match timeout_at(end, changes.changed()).await {
                Ok(Ok(())) => {}
                _ => return None,
            }
        }
    }))
}
