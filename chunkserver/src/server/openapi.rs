//! The OpenAPI 3.1 document (<https://spec.openapis.org/oas/v3.1.0>) of the table of routes.

use super::routes::{Access, Parameter, ParameterKind, ParameterLocation, READERS, ResponseBody, Route, RouteResponse};
use super::status::Status;
use api::wire::TOKEN;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

const ABOUT: &str = "Every server of a job serves every reader. Four ways to send the token are equal: `Authorization: Bearer TOKEN`, HTTP \
                     Basic with any user and the token as password, a query parameter, and the path prefix `/t/TOKEN/`. The prefix is \
                     for programs that accept only a URL.";

/// The document.
pub fn document() -> Value {
    let paths: Map<String, Value> = READERS.iter().map(|route| (documented(route.path), json!({"get": operation(route)}))).collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "ArrayJob",
            "summary": "The arrays and the status of one job.",
            "description": ABOUT,
            "version": env!("CARGO_PKG_VERSION"),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [
            {"url": "/"},
            {"url": "/t/{token}", "description": "The token in the path.", "variables": {"token": {"default": "TOKEN"}}},
        ],
        "security": [{"bearer": []}, {"basic": []}, {"query": []}],
        "paths": paths,
        "components": {"schemas": schemas(), "securitySchemes": security()},
    })
}

/// A path in OpenAPI's syntax. OpenAPI has no parameters of several segments.
pub(super) fn documented(path: &str) -> String {
    path.replace("{*", "{")
}

fn operation(route: &Route) -> Value {
    let mut responses: Map<String, Value> = route.responses.iter().map(|of| (of.status.to_string(), response(of))).collect();
    let public = route.access == Access::Public;
    if !public {
        let refused = RouteResponse { status: 401, description: "The token is missing or wrong.", body: ResponseBody::Json("Problem") };
        responses.insert(refused.status.to_string(), response(&refused));
    }
    if !route.parameters.is_empty() {
        let unreadable = RouteResponse { status: 400, description: "A parameter is not readable.", body: ResponseBody::Json("Problem") };
        responses.entry(unreadable.status.to_string()).or_insert_with(|| response(&unreadable));
    }
    let mut operation = json!({
        "summary": route.summary,
        "description": route.description,
        "parameters": route.parameters.iter().map(parameter).collect::<Vec<_>>(),
        "responses": responses,
    });
    if public {
        operation["security"] = json!([]);
    }
    operation
}

fn parameter(parameter: &Parameter) -> Value {
    let in_path = parameter.location == ParameterLocation::Path;
    let (schema, example) = match parameter.kind {
        ParameterKind::Text { example } => (json!({"type": "string"}), json!(example)),
        ParameterKind::Whole { example } => (json!({"type": "integer", "minimum": 0}), json!(example)),
        // A format may contain a quality, so the list is not complete.
        ParameterKind::OneOf(choices) if in_path => (json!({"type": "string", "enum": choices}), json!(choices[0])),
        ParameterKind::OneOf(choices) => (json!({"type": "string", "default": choices[0], "examples": choices}), json!(choices[0])),
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

fn response(response: &RouteResponse) -> Value {
    let named = |schema: &str| json!({"$ref": format!("#/components/schemas/{schema}")});
    let content: Map<String, Value> = match response.body {
        ResponseBody::Empty => Map::new(),
        ResponseBody::Bytes(types) => types.iter().map(|&media| (media.to_owned(), json!({}))).collect(),
        ResponseBody::Json(schema) => [("application/json".to_owned(), json!({"schema": named(schema)}))].into_iter().collect(),
        ResponseBody::Events(schema) => {
            // OpenAPI 3.1 does not describe the events of a stream.
            let description = format!("`event: status`, `id`, and `data`: JSON of the schema #/components/schemas/{schema}.");
            [("text/event-stream".to_owned(), json!({"schema": {"type": "string", "description": description}}))].into_iter().collect()
        }
    };
    let mut described = json!({"description": response.description, "content": content});
    if response.status == 503 {
        described["headers"] = json!({"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}});
    }
    described
}

fn security() -> Value {
    json!({
        "bearer": {"type": "http", "scheme": "bearer"},
        "basic": {"type": "http", "scheme": "basic", "description": "Any user, with the token as password."},
        "query": {"type": "apiKey", "in": "query", "name": TOKEN},
    })
}

/// The schemas: generated from types, or written here for types of crates without schemas and for DVID's names.
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

/// An object with these properties. All properties are required, except for `optional`.
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
        "reason": {"type": "string", "description": "A reason for programs, as in a job's status."},
    });
    object("Why the request failed.", &properties, &["reason"])
}

fn a_servers_progress() -> Value {
    let count = || json!({"type": "integer", "minimum": 0});
    let numbers = || json!({"type": "array", "items": {"type": "integer", "minimum": 0}});
    let phase = json!({
        "phase": {"type": "string"}, "done": count(), "total": count(), "bytes": count(), "retries": count(),
        "started_ms": count(), "ended_ms": count(),
    });
    let writing = json!({"output": count(), "stage": {"type": "string", "enum": ["whole", "open", "part", "close"]}});
    let writings = || json!({"type": "array", "items": object("One stage of an output of the manifest, on one server.", &writing, &[])});
    let failure =
        object("A reason for programs, and a message.", &json!({"reason": {"type": "string"}, "message": {"type": "string"}}), &[]);
    let vitals = json!({
        "at_ms": count(), "cores": count(), "cpu_ms": count(), "resident_bytes": count(), "memory_limit_bytes": count(),
        "received_bytes": count(), "sent_bytes": count(),
        "waits": {"type": "array", "items": {"type": "string", "enum": ["source", "peers", "memory", "store"]}},
    });
    let vitals = object(
        "CPU time, memory, traffic and waits at one time. Rates are differences of two samples; a limit of 0 is no limit.",
        &vitals,
        &[],
    );
    let properties = json!({
        "boot": {"type": "string", "description": "Identifies this start of the server."},
        "assignment": {
            "type": ["array", "null"], "description": "The job's uid and its generation.",
            "prefixItems": [{"type": "string"}, count()], "minItems": 2, "maxItems": 2,
        },
        "stamp": count(), "milestone": count(),
        "phases": {"type": "array", "items": object("One phase of this server's share.", &phase, &[])},
        "blank": numbers(), "uncentered": numbers(), "writing": writings(), "written": writings(),
        "failure": {"anyOf": [failure.clone(), {"type": "null"}]},
        "trouble": failure,
        "digests": count(), "checksum_mismatches": count(), "peak_rss_bytes": count(),
        "vitals": vitals,
    });
    object("The progress that a server reports.", &properties, &["trouble", "uncentered", "vitals"])
}

fn volume() -> Value {
    let text = || json!({"type": "string"});
    let point = || json!({"type": "array", "items": {"type": "integer"}, "minItems": 3, "maxItems": 3});
    let value = object("The type of a voxel.", &json!({"DataType": text(), "Label": text()}), &[]);
    let base = json!({
        "TypeName": text(), "TypeURL": text(), "Name": text(), "DataUUID": text(), "RepoUUID": text(), "Versioned": {"type": "boolean"},
    });
    let extended = json!({
        "Values": {"type": "array", "items": value}, "Interpolable": {"type": "boolean"},
        "BlockSize": point(), "VoxelSize": point(), "VoxelUnits": {"type": "array", "items": text()},
        "MinPoint": point(), "MaxPoint": point(), "MinIndex": point(), "MaxIndex": point(),
    });
    let properties = json!({"Base": object("The identity of the volume.", &base, &[]), "Extended": object("The geometry of the volume.", &extended, &[])});
    object("A volume, with DVID's names.", &properties, &[])
}

#[cfg(test)]
mod tests;
