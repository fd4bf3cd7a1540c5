//! The custom resource `ArrayJob`: what a manifest may say and what its status tells.
//!
//! These types never travel between servers; `operator::validate` is the one bridge from here to [`api::Job`].
//!
//! [`api::Job`]: ../api/job/struct.Job.html

mod columns;
mod rules;
pub mod v1alpha1;

pub use v1alpha1::{ArrayJob, ArrayJobSpec, ArrayJobStatus};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool};
use kube::CustomResourceExt as _;

/// Longest text of a manifest, in characters, where nothing else is said.
const LONGEST_TEXT: i64 = 2048;
/// Most items of a list or map of a manifest, where nothing else is said.
const MOST_ITEMS: i64 = 32;

/// The CustomResourceDefinition, as `kubectl apply` takes it.
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

/// Leaves out what the generator adds beyond the API's own words: defaults, which would be written into what users apply,
/// and formats of numbers that the API server does not know.
fn tidy(schema: &mut JSONSchemaProps) {
    schema.default = None;
    if schema.format.as_ref().is_some_and(|format| format.starts_with("uint") || format == "double") {
        schema.format = None;
    }
    children(schema, tidy);
}

/// Gives everything a largest size: the API server reckons what a rule may cost at worst, and refuses rules over what has none.
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
