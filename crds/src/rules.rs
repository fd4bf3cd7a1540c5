//! Rules that the API server checks (CEL), so that `kubectl apply` refuses an invalid manifest:
//! <https://kubernetes.io/docs/reference/using-api/cel/>. `operator::validate` checks all rules, including those that CEL cannot express.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{JSONSchemaProps, ValidationRule};

/// The path of the schema, the rule, and the message.
const RULES: [(&[&str], &str, &str); 9] = [
    (
        &[],
        "self.metadata.name.matches('^[a-z]([-a-z0-9]{0,48}[a-z0-9])?$')",
        "metadata.name must be 1 to 50 of a-z, 0-9 and -, a letter first: pods and a Service are named after it",
    ),
    (
        &["spec"],
        "!has(self.recenter) || !has(self.source.frame) || self.recenter.crop.size() != 2 \
         || (self.recenter.crop[0] <= self.source.frame.height && self.recenter.crop[1] <= self.source.frame.width)",
        "recenter.crop must fit source.frame: [height, width]",
    ),
    (
        &["spec", "source"],
        "(has(self.images) ? 1 : 0) + (has(self.volume) ? 1 : 0) + (has(self.zarr) ? 1 : 0) == 1",
        "exactly one of images, volume and zarr must be given",
    ),
    (
        &["spec", "source", "images"],
        "self.count == 1 || self.urlTemplate.matches('[{]index|%')",
        "urlTemplate must contain {index}, or every frame would be the same",
    ),
    (&["spec", "source", "images"], "!has(self.step) || self.step != 0", "step must not be 0"),
    (
        &["spec", "source", "zarr"],
        "self.url.matches('^(https?|s3a?|gs|az|abfss?)://')",
        "url must begin with http://, https://, s3://, gs:// or az://: servers on a cluster have no files of their own",
    ),
    (&["spec", "rechunk"], "self.chunks.all(c, c == -1 || c >= 1)", "each of chunks must be at least 1, or -1 for the whole axis"),
    (&["spec", "fft"], "!has(self.axis) || self.axis == 0 || self.axis == -3", "axis must be 0: the transform is over time"),
    (
        &["spec", "servers"],
        "!has(self.replicas) || (type(self.replicas) == int ? self.replicas >= 1 && self.replicas <= 10000 : self.replicas == 'auto')",
        "replicas must be from 1 to 10000, or auto",
    ),
];

/// Fields that may change after the start. All other fields define the work.
const CHANGEABLE: [&str; 3] = ["suspend", "ttlSecondsAfterFinished", "backoffLimit"];
const IMMUTABLE: &str =
    "the job has started: only suspend, ttlSecondsAfterFinished and backoffLimit may change; delete it and apply it again";

/// Adds each rule to its schema.
pub(crate) fn add(root: &mut JSONSchemaProps) {
    let unchanged = unchanged(root);
    let rules = RULES.into_iter().map(|(path, rule, message)| (path, rule.to_owned(), message));
    for (path, rule, message) in rules.chain([(&[][..], unchanged, IMMUTABLE)]) {
        if let Some(schema) = find(root, path) {
            let rule = ValidationRule { rule, message: Some(message.to_owned()), ..ValidationRule::default() };
            schema.x_kubernetes_validations.get_or_insert_default().push(rule);
        }
    }
}

/// The rule that no other field changes after the start. The rule uses `has` instead of optional types, because the API server estimates the
/// cost of their comparison as unbounded.
fn unchanged(root: &mut JSONSchemaProps) -> String {
    let spec = find(root, &["spec"]).and_then(|spec| spec.properties.clone()).unwrap_or_default();
    let fields = spec.keys().filter(|field| !CHANGEABLE.contains(&field.as_str()) && *field != "source");
    let same = fields.map(|field| {
        format!(
            "has(self.spec.{field}) == has(oldSelf.spec.{field}) && (!has(self.spec.{field}) || self.spec.{field} == oldSelf.spec.{field})"
        )
    });
    let same: Vec<String> = ["self.spec.source == oldSelf.spec.source".to_owned()].into_iter().chain(same).collect();
    format!("!has(oldSelf.status) || !has(oldSelf.status.startTime) || ({})", same.join(" && "))
}

fn find<'a>(schema: &'a mut JSONSchemaProps, path: &[&str]) -> Option<&'a mut JSONSchemaProps> {
    path.iter().try_fold(schema, |schema, name| schema.properties.as_mut()?.get_mut(*name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_is_in_the_schema() {
        let mut definition = crate::definition();
        let root = definition.spec.versions[0].schema.as_mut().and_then(|schema| schema.open_api_v3_schema.as_mut()).unwrap();
        for (path, rule, _) in RULES {
            let rules = find(root, path).unwrap_or_else(|| panic!("{path:?}")).x_kubernetes_validations.clone().unwrap();
            assert!(rules.iter().any(|found| found.rule == rule), "{path:?}: {rule}");
        }
        let rule = unchanged(root);
        for field in ["source", "load", "recenter", "rechunk", "fft", "reduce", "keep", "outputs", "servers", "activeDeadlineSeconds"] {
            assert!(rule.contains(&format!("self.spec.{field} == oldSelf.spec.{field}")), "{field} may change");
        }
        for field in CHANGEABLE {
            assert!(!rule.contains(field), "{field} may not change");
        }
    }
}
