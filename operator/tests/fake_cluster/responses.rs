//! The response of the fake API server to one request.

use crate::api_server::{Inner, NAMESPACE, Request, list};
use axum::body::Body;
use axum::response::Response;
use serde_json::{Map, Value, json};

/// A refused request.
#[derive(Clone, Debug)]
pub(crate) struct Refused {
    pub(crate) code: u16,
    pub(crate) reason: &'static str,
    pub(crate) message: String,
}

impl Refused {
    pub(crate) fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into() }
    }

    pub(crate) fn response(&self) -> Response {
        let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": self.code,
            "reason": self.reason, "message": self.message});
        Response::builder().status(self.code).body(Body::from(status.to_string())).unwrap()
    }
}

pub(crate) fn name(object: &Value) -> String {
    object["metadata"]["name"].as_str().unwrap_or_default().to_owned()
}

/// Adds the metadata that the API server sets on a new object.
pub(crate) fn initialize(inner: &mut Inner, mut object: Value) -> Value {
    let uid = format!("{:0>8}-uid", inner.next_version());
    let metadata = &mut object["metadata"];
    metadata["namespace"] = NAMESPACE.into();
    metadata["creationTimestamp"] = "2026-01-01T00:00:00Z".into();
    metadata["generation"] = 1.into();
    if metadata["uid"].is_null() {
        metadata["uid"] = uid.into();
    }
    object
}

pub(crate) fn respond(inner: &mut Inner, request: &Request) -> Result<Value, Refused> {
    let (kind, name) = (request.kind.split('/').next().unwrap_or_default(), request.name.as_str());
    let found = inner.objects.get(&(kind.to_owned(), name.to_owned())).cloned();
    let missing = || Refused::new(404, "NotFound", format!("{kind} {name:?} not found"));
    let conflict = |message: &str| Refused::new(409, "Conflict", message);
    match request.verb {
        "watch" => Ok(Value::Null),
        "list" => Ok(list(inner, request)),
        "get" => found.ok_or_else(missing),
        "create" if found.is_some() => Err(Refused::new(409, "AlreadyExists", format!("{kind} {name:?} already exists"))),
        "create" => {
            let object = initialize(inner, request.body.clone());
            Ok(inner.store(kind, object))
        }
        "replace" => {
            let found = found.ok_or_else(missing)?;
            if request.body["metadata"]["resourceVersion"] != found["metadata"]["resourceVersion"] {
                return Err(conflict("the object has been modified"));
            }
            Ok(inner.store(kind, request.body.clone()))
        }
        "patch" => patch(inner, request, found, kind).ok_or_else(missing)?,
        "delete" => {
            let found = found.ok_or_else(missing)?;
            let wanted = &request.body["preconditions"]["uid"];
            if !wanted.is_null() && *wanted != found["metadata"]["uid"] {
                return Err(conflict("the UID in the precondition does not match the UID in record"));
            }
            if found["metadata"]["finalizers"].as_array().is_some_and(|finalizers| !finalizers.is_empty()) {
                let mut terminating = found;
                terminating["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
                return Ok(inner.store(kind, terminating));
            }
            inner.remove(kind, name).ok_or_else(missing)
        }
        other => panic!("{other}"),
    }
}

/// The only field manager owns all applied fields: omitted fields are removed. `None` if the object does not exist.
fn patch(inner: &mut Inner, request: &Request, found: Option<Value>, kind: &str) -> Option<Result<Value, Refused>> {
    let status = request.kind.ends_with("/status");
    let Some(found) = found else {
        if status || kind == "events" {
            return None;
        }
        let object = initialize(inner, request.body.clone());
        return Some(Ok(inner.store(kind, object)));
    };
    let uid = &request.body["metadata"]["uid"];
    if !uid.is_null() && *uid != found["metadata"]["uid"] {
        return Some(Err(Refused::new(409, "Conflict", "metadata.uid: field is immutable")));
    }
    let mut after = found.clone();
    if status {
        after["status"] = request.body["status"].clone();
    } else {
        let none = Map::new();
        for (field, value) in request.body.as_object().unwrap_or(&none).iter().filter(|(field, _)| *field != "metadata") {
            after[field] = value.clone();
        }
        after["metadata"]["labels"] = request.body["metadata"]["labels"].clone();
    }
    // A patch without effect gives no new version and no watch event.
    Some(Ok(if after == found { found } else { inner.store(kind, after) }))
}
