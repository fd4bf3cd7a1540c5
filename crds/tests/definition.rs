//! What the definition promises to those who write manifests and to the API server that checks them.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use serde_json::{Map, Value, json};

fn definition() -> Value {
    serde_json::to_value(crds::definition()).unwrap()
}

/// The schema of the one version, or of a part of it.
fn schema(part: &str) -> Value {
    definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"][part].clone()
}

fn properties(schema: &Value) -> Map<String, Value> {
    schema["properties"].as_object().cloned().unwrap_or_default()
}

/// Calls `visit` with the path and schema of all that is below `schema`.
fn walk(path: &str, schema: &Value, visit: &mut impl FnMut(&str, &Value)) {
    visit(path, schema);
    properties(schema).iter().for_each(|(name, child)| walk(&format!("{path}.{name}"), child, visit));
    for (mark, child) in [("[]", &schema["items"]), ("{}", &schema["additionalProperties"])] {
        if child.is_object() {
            walk(&format!("{path}{mark}"), child, visit);
        }
    }
}

fn violations(part: &str, is_wrong: impl Fn(&str, &Value) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    walk(part, &schema(part), &mut |path, schema| {
        if is_wrong(path, schema) {
            found.push(path.to_owned());
        }
    });
    found
}

#[test]
fn kubectl_explains_every_field() {
    for part in ["spec", "status"] {
        let unexplained = violations(part, |path, schema| {
            let is_field = !path.ends_with("[]") && !path.ends_with("{}");
            is_field && schema["description"].as_str().is_none_or(|text| text.len() < 8)
        });
        assert_eq!(unexplained, Vec::<String>::new());
    }
}

#[test]
fn everything_in_a_manifest_has_a_largest_size() {
    let endless = violations("spec", |_, schema| match schema["type"].as_str() {
        Some("string") => schema["maxLength"].is_null() && schema["enum"].is_null(),
        Some("array") => schema["maxItems"].is_null(),
        Some("object") => !schema["additionalProperties"].is_null() && schema["maxProperties"].is_null(),
        _ => false,
    });
    assert_eq!(endless, Vec::<String>::new(), "the API server would refuse rules over these");
}

#[test]
fn nothing_is_written_into_what_users_apply() {
    assert_eq!(violations("spec", |_, schema| !schema["default"].is_null()), Vec::<String>::new());
    assert_eq!(
        violations("spec", |_, schema| schema["format"].as_str().is_some_and(|format| format.starts_with("uint"))),
        Vec::<String>::new()
    );
}

#[test]
fn every_column_shows_a_field_that_exists() {
    let version = &definition()["spec"]["versions"][0];
    let columns = version["additionalPrinterColumns"].as_array().unwrap();
    let names: Vec<&str> =
        columns.iter().filter(|column| column["priority"].is_null()).map(|column| column["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["Phase", "Step", "Progress", "Ready", "Restarts", "Age"]);
    for column in columns {
        let path = column["jsonPath"].as_str().unwrap();
        let Some(rest) = path.strip_prefix(".status.") else {
            assert_eq!(path, ".metadata.creationTimestamp");
            continue;
        };
        // A condition's reason is found by its type; whether there is such a type is the operator's to say.
        let rest = rest.split('[').next().unwrap();
        let found = rest.split('.').fold(schema("status"), |schema, name| schema["properties"][name].clone());
        assert!(!found.is_null(), "{path}");
    }
}

#[test]
fn status_is_written_apart_and_its_conditions_are_told_apart_by_type() {
    let definition = definition();
    assert_eq!(definition["spec"]["versions"].as_array().unwrap().len(), 1);
    assert!(definition["spec"]["versions"][0]["subresources"]["status"].is_object());
    assert_eq!(definition["spec"]["scope"], "Namespaced");
    let conditions = &schema("status")["properties"]["conditions"];
    assert_eq!((&conditions["x-kubernetes-list-type"], &conditions["x-kubernetes-list-map-keys"]), (&json!("map"), &json!(["type"])));
    for required in ["type", "status", "reason", "message", "lastTransitionTime"] {
        assert!(conditions["items"]["required"].as_array().unwrap().contains(&json!(required)), "{required}");
    }
}

#[test]
fn what_is_left_out_stays_left_out() {
    let spec = json!({"source": {"images": {"urlTemplate": "http://h/{index}", "count": 9}}, "servers": {"replicas": "auto"}});
    let read: crds::ArrayJobSpec = serde_json::from_value(spec.clone()).unwrap();
    assert_eq!(serde_json::to_value(&read).unwrap(), spec);
    assert_eq!(serde_json::to_value(crds::ArrayJobStatus::default()).unwrap(), json!({}));
}
