//! The table of routes comes in, a description of them as OpenAPI 3.1 has it goes out.

use super::page;
use super::routes::{Answer, Body, Kind, Parameter, Place, READERS, Route};
use super::status::Status;
use api::wire::TOKEN;
use schemars::generate::SchemaSettings;
use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

const ABOUT: &str = "Any server of a job answers any reader. `Authorization: Bearer TOKEN`, HTTP Basic with the token as password and \
                     any user, a cookie, a query parameter and the path's prefix `/t/TOKEN/` are equally good; the last is for \
                     programs that take nothing but a URL.";

/// The document.
pub fn document() -> Value {
    let paths: Map<String, Value> = READERS.iter().map(|route| (documented(route.path), json!({"get": operation(route)}))).collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "ArrayJob",
            "summary": "The arrays of one job, and how far it is.",
            "description": ABOUT,
            "version": env!("CARGO_PKG_VERSION"),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [
            {"url": "/"},
            {"url": "/t/{token}", "description": "The token in the path.", "variables": {"token": {"default": "TOKEN"}}},
        ],
        "security": [{"bearer": []}, {"basic": []}, {"cookie": []}, {"query": []}],
        "paths": paths,
        "components": {"schemas": schemas(), "securitySchemes": security()},
    })
}

/// A path as OpenAPI writes it, which knows no parameter of several segments.
pub(super) fn documented(path: &str) -> String {
    path.replace("{*", "{")
}

fn operation(route: &Route) -> Value {
    let mut answers: Map<String, Value> = route.answers.iter().map(|answer| (answer.status.to_string(), response(answer))).collect();
    let free = page::FREE.contains(&route.path);
    if !free {
        let refused = Answer { status: 401, description: "The token is missing or wrong.", body: Body::Json("Problem") };
        answers.insert(refused.status.to_string(), response(&refused));
    }
    let mut operation = json!({
        "summary": route.summary,
        "description": route.description,
        "parameters": route.parameters.iter().map(parameter).collect::<Vec<_>>(),
        "responses": answers,
    });
    if free {
        operation["security"] = json!([]);
    }
    operation
}

fn parameter(parameter: &Parameter) -> Value {
    let in_path = parameter.place == Place::Path;
    let (schema, example) = match parameter.kind {
        Kind::Text { example } => (json!({"type": "string"}), json!(example)),
        Kind::Whole { example } => (json!({"type": "integer", "minimum": 0}), json!(example)),
        // A format may carry a quality, so the list is not all there is.
        Kind::OneOf(choices) if in_path => (json!({"type": "string", "enum": choices}), json!(choices[0])),
        Kind::OneOf(choices) => (json!({"type": "string", "default": choices[0], "examples": choices}), json!(choices[0])),
    };
    json!({
        "name": parameter.name,
        "in": if in_path { "path" } else { "query" },
        "required": in_path,
        "description": parameter.description,
        "schema": schema,
        "example": example,
    })
}

fn response(answer: &Answer) -> Value {
    let named = |schema: &str| json!({"$ref": format!("#/components/schemas/{schema}")});
    let content: Map<String, Value> = match answer.body {
        Body::Nothing => Map::new(),
        Body::Bytes(types) => types.iter().map(|&media| (media.to_owned(), json!({}))).collect(),
        Body::Json(schema) => [("application/json".to_owned(), json!({"schema": named(schema)}))].into_iter().collect(),
        Body::Events(schema) => {
            // OpenAPI 3.1 has no words for the parts of a stream.
            let description = format!("`event: status`, `id`, and `data`: JSON as #/components/schemas/{schema} says.");
            [("text/event-stream".to_owned(), json!({"schema": {"type": "string", "description": description}}))].into_iter().collect()
        }
    };
    let mut response = json!({"description": answer.description, "content": content});
    if answer.status == 503 {
        response["headers"] = json!({"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}});
    }
    response
}

fn security() -> Value {
    json!({
        "bearer": {"type": "http", "scheme": "bearer"},
        "basic": {"type": "http", "scheme": "basic", "description": "Any user; the token is the password."},
        "cookie": {"type": "apiKey", "in": "cookie", "name": TOKEN},
        "query": {"type": "apiKey", "in": "query", "name": TOKEN},
    })
}

/// Schemas from the types, and by hand for what other programs' types or DVID's names say.
fn schemas() -> Map<String, Value> {
    let mut generator =
        SchemaSettings::draft2020_12().with(|settings| settings.definitions_path = "/components/schemas".into()).into_generator();
    generator.subschema_for::<Status>();
    let mut schemas = generator.take_definitions(true);
    for (name, schema) in [("Problem", problem()), ("Progress", a_servers_progress()), ("Volume", volume())] {
        schemas.insert(name.to_owned(), schema);
    }
    schemas
}

/// [`api::phase::Progress`], whose crate knows no schemas.
pub(super) fn progress(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"$ref": "#/components/schemas/Progress"})
}

/// The same, or null.
pub(super) fn progress_or_null(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"anyOf": [{"$ref": "#/components/schemas/Progress"}, {"type": "null"}]})
}

/// An object of these properties, all of them required but those that are named.
fn object(description: &str, properties: &Value, optional: &[&str]) -> Value {
    let required: Vec<&str> = properties
        .as_object()
        .map(|properties| properties.keys().map(String::as_str).filter(|name| !optional.contains(name)).collect())
        .unwrap_or_default();
    json!({"type": "object", "description": description, "properties": properties, "required": required})
}

fn problem() -> Value {
    let properties = json!({
        "error": {"type": "string", "description": "One sentence."},
        "reason": {"type": "string", "description": "For programs, as in a job's status, where one fits."},
    });
    object("Why there is no other answer.", &properties, &["reason"])
}

fn a_servers_progress() -> Value {
    let count = || json!({"type": "integer", "minimum": 0});
    let numbers = || json!({"type": "array", "items": {"type": "integer", "minimum": 0}});
    let phase = json!({
        "phase": {"type": "string"}, "done": count(), "total": count(), "bytes": count(), "retries": count(),
        "started_ms": count(), "ended_ms": count(),
    });
    let writing = json!({"output": count(), "stage": {"type": "string", "enum": ["whole", "open", "part", "close"]}});
    let writings = || json!({"type": "array", "items": object("A server's part in an output of the manifest.", &writing, &[])});
    let failure = object("Why.", &json!({"reason": {"type": "string"}, "message": {"type": "string"}}), &[]);
    let vitals = json!({
        "at_ms": count(), "cores": count(), "cpu_ms": count(), "resident_bytes": count(), "memory_limit_bytes": count(),
        "received_bytes": count(), "sent_bytes": count(),
        "waits": {"type": "array", "items": {"type": "string", "enum": ["source", "peers", "memory", "store"]}},
    });
    let vitals = object("What it takes and waits for at a moment. Rates are differences; a limit of 0 is none.", &vitals, &[]);
    let properties = json!({
        "boot": {"type": "string", "description": "This start of the server."},
        "assignment": {
            "type": ["array", "null"], "description": "The job's uid and its generation.",
            "prefixItems": [{"type": "string"}, count()], "minItems": 2, "maxItems": 2,
        },
        "stamp": count(), "milestone": count(),
        "phases": {"type": "array", "items": object("One phase of this server's share.", &phase, &[])},
        "blank": numbers(), "writing": writings(), "written": writings(),
        "failure": {"anyOf": [failure.clone(), {"type": "null"}]},
        "trouble": failure,
        "peak_rss_bytes": count(),
        "vitals": vitals,
    });
    object("What a server says of itself.", &properties, &["trouble", "vitals"])
}

fn volume() -> Value {
    let text = || json!({"type": "string"});
    let point = || json!({"type": "array", "items": {"type": "integer"}, "minItems": 3, "maxItems": 3});
    let value = object("What a voxel is.", &json!({"DataType": text(), "Label": text()}), &[]);
    let base = json!({
        "TypeName": text(), "TypeURL": text(), "Name": text(), "DataUUID": text(), "RepoUUID": text(), "Versioned": {"type": "boolean"},
    });
    let extended = json!({
        "Values": {"type": "array", "items": value}, "Interpolable": {"type": "boolean"},
        "BlockSize": point(), "VoxelSize": point(), "VoxelUnits": {"type": "array", "items": text()},
        "MinPoint": point(), "MaxPoint": point(), "MinIndex": point(), "MaxIndex": point(),
    });
    let properties = json!({"Base": object("Whose it is.", &base, &[]), "Extended": object("What it is.", &extended, &[])});
    object("A volume with DVID's names.", &properties, &[])
}

#[cfg(test)]
mod tests;
