//! Parses YAML or JSON text to an [`ArrayJob`]. Invalid and unknown fields are refused with their path. Other documents of the text, which
//! `kubectl apply` would apply too, are ignored.

use crds::ArrayJob;
use serde::Deserialize as _;
use serde_json::Value;
use thiserror::Error;

const API_VERSION: &str = "arrayjob.dev/v1alpha1";
const KIND: &str = "ArrayJob";

/// Reason why a manifest cannot be parsed.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "each message states it")]
pub enum Error {
    #[error("the manifest is not YAML: {0}")]
    Yaml(String),
    #[error("apiVersion and kind must be {API_VERSION} and {KIND}; found {found}")]
    Kind { found: String },
    #[error("none of the {count} documents has apiVersion {API_VERSION} and kind {KIND}; found {found}")]
    NoJob { count: usize, found: String },
    #[error("the manifest must contain only one {KIND}; found {found}")]
    ManyJobs { found: String },
    #[error("{path}: {rule}")]
    Field { path: String, rule: String },
    #[error("{path}: no such field{advice}")]
    Unknown { path: String, advice: String },
}

/// Parses the only ArrayJob among the documents of the text.
///
/// # Errors
/// If the text is not YAML, has no ArrayJob or several, or a field is invalid or unknown.
pub fn parse(text: &str) -> Result<ArrayJob, Error> {
    let value = only_job(documents(text)?)?;
    let mut unknown: Option<String> = None;
    let mut track = serde_path_to_error::Track::new();
    let deserializer = serde_path_to_error::Deserializer::new(&value, &mut track);
    let mut record = |path: serde_ignored::Path<'_>| {
        let path = path.to_string().replace(".?", "");
        // Metadata has many fields that have no effect on the job.
        if !["apiVersion", "kind", "status"].contains(&path.as_str()) && !path.starts_with("metadata") {
            unknown.get_or_insert(path);
        }
    };
    let job = ArrayJob::deserialize(serde_ignored::Deserializer::new(deserializer, &mut record));
    let job = job.map_err(|error| Error::Field { path: track.path().to_string(), rule: error.to_string() })?;
    match unknown {
        Some(path) => Err(Error::Unknown { advice: advice(&path), path }),
        None => Ok(job),
    }
}

/// All documents that are not empty.
fn documents(text: &str) -> Result<Vec<Value>, Error> {
    let yaml_error = |error: serde_saphyr::Error| Error::Yaml(first_line(&error.to_string()));
    serde_saphyr::from_str(text).map(|value| vec![value]).or_else(|alone| {
        serde_saphyr::from_multiple(text).map_err(|error| {
            // The first error may only state that the text has several documents.
            yaml_error(if alone.to_string().contains("multiple") { error } else { alone })
        })
    })
}

fn only_job(documents: Vec<Value>) -> Result<Value, Error> {
    let count = documents.len();
    if count < 2 {
        let value = documents.into_iter().next().unwrap_or_default();
        if is_job(&value) {
            return Ok(value);
        }
        return Err(Error::Kind { found: format!("{} and {}", word(&value, "apiVersion"), word(&value, "kind")) });
    }
    let (mut jobs, others): (Vec<Value>, Vec<Value>) = documents.into_iter().partition(is_job);
    let listed = |documents: &[Value]| documents.iter().map(title).collect::<Vec<_>>().join(", ");
    match (jobs.pop(), jobs.is_empty()) {
        (Some(job), true) => Ok(job),
        (None, _) => Err(Error::NoJob { count, found: listed(&others) }),
        (Some(job), false) => {
            jobs.push(job);
            Err(Error::ManyJobs { found: listed(&jobs) })
        }
    }
}

fn is_job(value: &Value) -> bool {
    word(value, "apiVersion") == API_VERSION && word(value, "kind") == KIND
}

fn word<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or("nothing")
}

/// Kind and name; for an ArrayJob of another version, its version too.
fn title(value: &Value) -> String {
    let version = if word(value, "kind") == KIND && !is_job(value) { word(value, "apiVersion") } else { "" };
    let name = value.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
    [version, word(value, "kind"), name].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

/// The message of the library, without the excerpt of the text in the lines below it.
fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().trim_end_matches(':').to_owned()
}

/// A hint for fields with a common wrong name.
fn advice(path: &str) -> String {
    let last = path.rsplit('.').next().unwrap_or(path);
    let suggestion = match last {
        "urltemplate" | "url_template" | "template" => "urlTemplate",
        "recentre" | "center" | "centre" => "recenter",
        "chunk_frames" | "chunkframes" => "chunkFrames",
        "shape" | "size" => "frame: {height, width, dtype}",
        "colour" => "color",
        "power" | "spectrum" => "fft: {output: power}",
        "template_spec" | "podTemplate" | "image" | "command" | "serviceAccountName" | "volumes" => {
            return "; the installation sets images, commands, accounts and volumes".into();
        }
        _ => return String::new(),
    };
    format!("; did you mean {suggestion}?")
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "
apiVersion: arrayjob.dev/v1alpha1
kind: ArrayJob
metadata: {name: j}
spec:
  source:
    images: {urlTemplate: 'http://h/{index}', count: 3}
";

    fn refusal(text: &str) -> String {
        parse(text).unwrap_err().to_string()
    }

    #[test]
    fn a_manifest_is_parsed() {
        let job = parse(GOOD).unwrap();
        assert_eq!(job.spec.source.images.unwrap().count, 3);
        assert_eq!(job.metadata.name.as_deref(), Some("j"));
    }

    #[test]
    fn an_error_names_the_path_of_its_field() {
        assert_eq!(
            refusal(&GOOD.replace("count: 3", "count: three")),
            "spec.source.images.count: invalid type: string \"three\", expected u64"
        );
        assert_eq!(
            refusal(&GOOD.replace("count: 3", "count: 3, colour: Refuse")),
            "spec.source.images.colour: no such field; did you mean color?"
        );
        assert_eq!(refusal(&GOOD.replace("count: 3", "count: -1")), "spec.source.images.count: invalid value: integer `-1`, expected u64");
        assert!(refusal(&GOOD.replace("v1alpha1", "v2")).starts_with("apiVersion and kind must be"));
        assert!(refusal("]").starts_with("the manifest is not YAML"));
        assert!(refusal("").starts_with("apiVersion and kind must be"));
        assert!(refusal(&format!("{GOOD}  servers: {{podTemplate: {{}}}}\n")).contains("the installation sets"));
    }

    #[test]
    fn the_only_job_among_several_documents_is_selected() {
        let service = "---\napiVersion: v1\nkind: Service\nmetadata: {name: movie}\n";
        let job = parse(&format!("# a comment\n{service}---\n# another\n---{GOOD}")).unwrap();
        assert_eq!(job.metadata.name.as_deref(), Some("j"));
        assert_eq!(parse(&format!("---{GOOD}---\n")).unwrap().metadata.name.as_deref(), Some("j"));
        assert_eq!(
            refusal(&format!("{service}{service}---{}", GOOD.replace("v1alpha1", "v2"))),
            "none of the 3 documents has apiVersion arrayjob.dev/v1alpha1 and kind ArrayJob; found Service movie, Service movie, \
             arrayjob.dev/v2 ArrayJob j"
        );
        assert_eq!(refusal(&format!("{GOOD}---{GOOD}")), "the manifest must contain only one ArrayJob; found ArrayJob j, ArrayJob j");
        assert_eq!(
            refusal(&format!("{service}---{}", GOOD.replace("count: 3", "count: -1"))),
            refusal(&GOOD.replace("count: 3", "count: -1"))
        );
        assert!(refusal(&format!("{service}---\n]")).starts_with("the manifest is not YAML"));
        assert!(!refusal(&format!("{service}---\n]")).contains("multiple"));
    }
}
