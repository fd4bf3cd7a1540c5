//! A Kubernetes API server on paper: it keeps objects in memory, tells watches of every change, and writes down each request.
//! It checks nothing but what the operator relies on: names, uids, versions. There is one namespace, and no socket, so that the
//! clock of a test may be paused.

use crate::answer::{self, Refused};
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
/// Longer than anything that is waited for, by the test's clock.
const LONG: Duration = Duration::from_secs(40);

/// One request that came in.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) at: Instant,
    /// get, list, watch, create, patch, replace or delete.
    pub(crate) verb: &'static str,
    /// The plural, and the subresource behind a slash.
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) body: Value,
    pub(crate) code: u16,
    query: HashMap<String, String>,
}

impl Request {
    /// As in `create pods stack-0`.
    pub(crate) fn line(&self) -> String {
        format!("{} {} {}", self.verb, self.kind, self.name)
    }

    pub(crate) fn writes(&self) -> bool {
        ["create", "patch", "replace", "delete"].contains(&self.verb)
    }
}

/// When the operator is cut off: at its so manieth write from now on, once it is done or before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut {
    pub(crate) at: usize,
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
    /// Kinds whose watches show nothing for now.
    lagging: Vec<String>,
    cut: Option<Cut>,
    /// Nobody gets an answer.
    frozen: bool,
}

/// The API server.
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

    /// Stores an object under a new version, and tells watches.
    pub(crate) fn store(&mut self, kind: &str, mut object: Value) -> Value {
        let name = answer::name(&object);
        let key = (kind.to_owned(), name);
        object["metadata"]["resourceVersion"] = self.next_version().into();
        let what = if self.objects.insert(key, object.clone()).is_some() { "MODIFIED" } else { "ADDED" };
        self.history.push((self.version, what, kind.to_owned(), object.clone()));
        object
    }

    /// Takes an object away; with it goes what it owns.
    pub(crate) fn take(&mut self, kind: &str, name: &str) -> Option<Value> {
        let mut object = self.objects.remove(&(kind.to_owned(), name.to_owned()))?;
        object["metadata"]["resourceVersion"] = self.next_version().into();
        self.history.push((self.version, "DELETED", kind.to_owned(), object.clone()));
        let uid = object["metadata"]["uid"].clone();
        let owned =
            |object: &Value| object["metadata"]["ownerReferences"].as_array().is_some_and(|owners| owners.iter().any(|o| o["uid"] == uid));
        let orphans: Vec<_> = self.objects.iter().filter(|(_, object)| owned(object)).map(|(key, _)| key.clone()).collect();
        orphans.iter().for_each(|(kind, name)| drop(self.take(kind, name)));
        Some(object)
    }
}

impl Cluster {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    fn tell(&self) {
        self.changed.send_modify(|count| *count += 1);
    }

    /// A client of it, without a socket between.
    pub(crate) fn client(&self) -> kube::Client {
        kube::Client::new(Router::new().fallback(serve).with_state(self.clone()), NAMESPACE)
    }

    /// Told of every change and every request.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Does something to the objects as somebody other than the operator would.
    pub(crate) fn change<T>(&self, what: impl FnOnce(&mut Inner) -> T) -> T {
        let result = what(&mut self.lock());
        self.tell();
        result
    }

    /// Creates an object.
    pub(crate) fn put(&self, kind: &str, object: Value) -> Value {
        self.change(|inner| {
            let object = answer::born(inner, object);
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

    /// Deletes an object, and what it owns.
    pub(crate) fn delete(&self, kind: &str, name: &str) {
        self.change(|inner| inner.take(kind, name)).unwrap_or_else(|| panic!("there is no {kind} {name}"));
    }

    pub(crate) fn get(&self, kind: &str, name: &str) -> Option<Value> {
        self.lock().objects.get(&(kind.to_owned(), name.to_owned())).cloned()
    }

    pub(crate) fn names(&self, kind: &str) -> Vec<String> {
        self.lock().objects.keys().filter(|(found, _)| found == kind).map(|(_, name)| name.clone()).collect()
    }

    /// Refuses what this rule refuses, from now on.
    pub(crate) fn refuse(&self, rule: impl Fn(&Request) -> Option<Refused> + Send + 'static) {
        self.lock().rules.push(Box::new(rule));
    }

    /// Refuses nothing any more.
    pub(crate) fn accept(&self) {
        self.lock().rules.clear();
    }

    /// Watches of this kind show nothing until they go on.
    pub(crate) fn hold_back(&self, kind: &str) {
        self.lock().lagging.push(kind.to_owned());
    }

    pub(crate) fn go_on(&self) {
        self.change(|inner| inner.lagging.clear());
    }

    /// Cuts whoever speaks to it off at that point; nobody gets an answer from then on.
    pub(crate) fn cut(&self, cut: Cut) {
        self.lock().cut = Some(cut);
    }

    pub(crate) fn is_cut(&self) -> bool {
        self.lock().frozen
    }

    /// Answers nobody any more.
    pub(crate) fn freeze(&self) {
        self.change(|inner| inner.frozen = true);
    }

    /// Answers again.
    pub(crate) fn mend(&self) {
        self.change(|inner| (inner.cut, inner.frozen) = (None, false));
    }

    /// All requests so far.
    pub(crate) fn log(&self) -> Vec<Request> {
        self.lock().log.clone()
    }

    /// The requests of one verb and kind, as in `create pods`.
    pub(crate) fn requests(&self, verb_and_kind: &str) -> Vec<Request> {
        self.log().into_iter().filter(|request| format!("{} {}", request.verb, request.kind) == verb_and_kind).collect()
    }

    /// Waits until it is so.
    pub(crate) async fn until(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let mut changes = self.changes();
        let waited = timeout(LONG, async {
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
            panic!("not so: {what}\n{}\n{:#?}", lines.join("\n"), self.get("arrayjobs", "stack").map(|job| job["status"].clone()));
        }
    }
}

async fn serve(State(cluster): State<Cluster>, request: HttpRequest<Body>) -> Response {
    let mut request = read(request).await;
    let (answer, frozen) = {
        let mut inner = cluster.lock();
        let last = if request.writes() && !inner.frozen { count_down(&mut inner) } else { None };
        if inner.frozen || last.is_some_and(|cut| !cut.done) {
            inner.frozen = true;
            (Ok(Value::Null), true)
        } else {
            let refused = inner.rules.iter().find_map(|rule| rule(&request));
            let answer = refused.map_or_else(|| answer::answer(&mut inner, &request), Err);
            request.code = answer.as_ref().map_or_else(|refused| refused.code, |_| 200);
            inner.log.push(request.clone());
            inner.frozen = last.is_some();
            (answer, last.is_some())
        }
    };
    cluster.tell();
    if frozen {
        std::future::pending::<()>().await;
    }
    match answer {
        Ok(_) if request.verb == "watch" => Response::new(follow(cluster, &request)),
        Ok(object) => Response::new(Body::from(object.to_string())),
        Err(refused) => refused.response(),
    }
}

/// One write less until the cut, which is returned when this is the one.
fn count_down(inner: &mut Inner) -> Option<Cut> {
    let cut = inner.cut.as_mut()?;
    cut.at = cut.at.checked_sub(1)?;
    (cut.at == 0).then_some(*cut)
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
    let name = rest.get(1).map_or_else(|| answer::name(&body), |name| (*name).to_owned());
    Request { at: Instant::now(), verb, kind, name, body, code: 0, query }
}

/// All objects of a kind that the request's selector matches.
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

/// Changes since the request's version, as they come, for as long as it asks.
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
