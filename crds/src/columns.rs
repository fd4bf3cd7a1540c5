//! The columns of `kubectl get arrayjobs`: name and six columns within 80 characters, three more with `-o wide`.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceColumnDefinition;

/// Name, type, path, and whether only `-o wide` shows the column.
const COLUMNS: [(&str, &str, &str, bool); 9] = [
    ("Phase", "string", ".status.phase", false),
    ("Step", "string", ".status.progress.step", false),
    ("Progress", "string", ".status.progress.percent", false),
    ("Ready", "string", ".status.servers.summary", false),
    ("Restarts", "integer", ".status.servers.restarts", false),
    ("Age", "date", ".metadata.creationTimestamp", false),
    ("ETA", "string", ".status.progress.eta", true),
    ("Reason", "string", ".status.conditions[?(@.type==\"Progressing\")].reason", true),
    ("Plan", "string", ".status.plan.summary", true),
];

/// The columns.
pub(crate) fn columns() -> Vec<CustomResourceColumnDefinition> {
    let column = |(name, type_, path, wide): (&str, &str, &str, bool)| CustomResourceColumnDefinition {
        name: name.to_owned(),
        type_: type_.to_owned(),
        json_path: path.to_owned(),
        priority: wide.then_some(1),
        ..CustomResourceColumnDefinition::default()
    };
    COLUMNS.into_iter().map(column).collect()
}
