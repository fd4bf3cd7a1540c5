//! The custom resource `ArrayJob`: the manifest and its status.
//!
//! Servers never receive these types. Only `operator::validate` converts a manifest to [`api::Job`].
//!
//! [`api::Job`]: ../api/job/struct.Job.html

mod columns;
mod rules;
pub mod v1alpha1;

pub use v1alpha1::{ArrayJob, ArrayJobSpec, ArrayJobStatus};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool};
use kube::CustomResourceExt as _;

/// Default limit of the length of a text in a manifest, in characters.
const LONGEST_TEXT: i64 = 2048;
/// Default limit of the number of items of a list or map in a manifest.
const MOST_ITEMS: i64 = 32;

/// The CustomResourceDefinition for `kubectl apply`.
pub fn definition() -> k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition {
    let mut definition = ArrayJob::crd();
    for version in &mut definition.spec.versions {
        version.additional_printer_columns = Some(columns::columns());
        if let Some(root) = version.schema.as_mut().and_then(|schema| schema.open_api_v3_schema.as_mut()) {
            tidy(root);
            if let Some(spec) = root.properties.as_mut().and_then(|properties| properties.get_mut("spec")) {
                bound(spec);
            }
            rules::add(root);
        }
    }
    definition
}

/// Removes defaults, which the API server would add to the manifests of users, and formats of numbers that the API server does not know.
fn tidy(schema: &mut JSONSchemaProps) {
    schema.default = None;
    if schema.format.as_ref().is_some_and(|format| format.starts_with("uint") || format == "double") {
        schema.format = None;
    }
    children(schema, tidy);
}

/// Limits the size of each field. The API server estimates the worst-case cost of a rule and refuses rules on fields without a limit:
/// <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#resource-use-by-validation-functions>.
fn bound(schema: &mut JSONSchemaProps) {
    match schema.type_.as_deref() {
        Some("string") if schema.enum_.is_none() => drop(schema.max_length.get_or_insert(LONGEST_TEXT)),
        Some("array") => drop(schema.max_items.get_or_insert(MOST_ITEMS)),
        Some("object") if schema.additional_properties.is_some() => drop(schema.max_properties.get_or_insert(MOST_ITEMS)),
        _ => {}
    }
    children(schema, bound);
}

fn children(schema: &mut JSONSchemaProps, visit: fn(&mut JSONSchemaProps)) {
    schema.properties.iter_mut().flat_map(|properties| properties.values_mut()).for_each(visit);
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &mut schema.additional_properties {
        visit(values);
    }
    match &mut schema.items {
        Some(JSONSchemaPropsOrArray::Schema(item)) => visit(item),
        Some(JSONSchemaPropsOrArray::Schemas(items)) => items.iter_mut().for_each(visit),
        None => {}
    }
}
