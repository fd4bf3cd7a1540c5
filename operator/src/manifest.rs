//! YAML or JSON text in, an [`ArrayJob`] out; whatever cannot be meant is refused with its field. What else stands in the
//! text, as what `kubectl apply` takes along with the job, is passed over.

use crds::ArrayJob;
use serde::Deserialize as _;
use serde_json::Value;
use thiserror::Error;

const API_VERSION: &str = "arrayjob.dev/v1alpha1";
const KIND: &str = "ArrayJob";

/// Why a manifest cannot be read.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "each message says it")]
pub enum Error {
    #[error("the manifest is not YAML: {0}")]
    Yaml(String),
    #[error("apiVersion and kind must be {API_VERSION} and {KIND}; found {found}")]
    Kind { found: String },
    #[error("none of the {count} documents has apiVersion {API_VERSION} and kind {KIND}; found {found}")]
    NoJob { count: usize, found: String },
    #[error("one {KIND} at a time; found {found}")]
    ManyJobs { found: String },
    #[error("{path}: {rule}")]
    Field { path: String, rule: String },
    #[error("{path}: no such field{advice}")]
    Unknown { path: String, advice: String },
}

/// Reads a manifest: the one ArrayJob among the text's documents.
///
/// # Errors
/// When it is no YAML, has no ArrayJob or several, or a field of it is wrong or unknown.
pub fn parse(text: &str) -> Result<ArrayJob, Error> {
    let value = the_job(documents(text)?)?;
    let mut unknown: Option<String> = None;
    let mut track = serde_path_to_error::Track::new();
    let deserializer = serde_path_to_error::Deserializer::new(&value, &mut track);
    let mut note = |path: serde_ignored::Path<'_>| {
        let path = path.to_string().replace(".?", "");
        // Kubernetes has many fields of metadata that mean nothing here.
        if !["apiVersion", "kind", "status"].contains(&path.as_str()) && !path.starts_with("metadata") {
            unknown.get_or_insert(path);
        }
    };
    let job = ArrayJob::deserialize(serde_ignored::Deserializer::new(deserializer, &mut note));
    let job = job.map_err(|error| Error::Field { path: track.path().to_string(), rule: error.to_string() })?;
    match unknown {
        Some(path) => Err(Error::Unknown { advice: advice(&path), path }),
        None => Ok(job),
    }
}

/// Every document that is not empty.
fn documents(text: &str) -> Result<Vec<Value>, Error> {
    let refused = |error: serde_saphyr::Error| Error::Yaml(first_line(&error.to_string()));
    serde_saphyr::from_str(text).map(|value| vec![value]).or_else(|alone| {
        serde_saphyr::from_multiple(text).map_err(|error| {
            // That there are several is not what is wrong.
            refused(if alone.to_string().contains("multiple") { error } else { alone })
        })
    })
}

fn the_job(documents: Vec<Value>) -> Result<Value, Error> {
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

/// Kind and name; the version too where it is the only thing that is wrong.
fn title(value: &Value) -> String {
    let version = if word(value, "kind") == KIND && !is_job(value) { word(value, "apiVersion") } else { "" };
    let name = value.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
    [version, word(value, "kind"), name].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

/// The library shows the text around an error in lines below its message; a sentence has room for the message.
fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().trim_end_matches(':').to_owned()
}

/// Fields that people write where they have seen them elsewhere.
fn advice(path: &str) -> String {
    let last = path.rsplit('.').next().unwrap_or(path);
    let meant = match last {
        "urltemplate" | "url_template" | "template" => "urlTemplate",
        "recentre" | "center" | "centre" => "recenter",
        "chunk_frames" | "chunkframes" => "chunkFrames",
        "shape" | "size" => "frame: {height, width, dtype}",
        "colour" => "color",
        "power" | "spectrum" => "fft: {output: power}",
        "template_spec" | "podTemplate" | "image" | "command" | "serviceAccountName" | "volumes" => {
            return "; images, commands, accounts and volumes are the installer's to set".into();
        }
        _ => return String::new(),
    };
    format!("; did you mean {meant}?")
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
    fn a_manifest_is_read() {
        let job = parse(GOOD).unwrap();
        assert_eq!(job.spec.source.images.unwrap().count, 3);
        assert_eq!(job.metadata.name.as_deref(), Some("j"));
    }

    #[test]
    fn what_is_wrong_is_named_by_its_path() {
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
        assert!(refusal(&format!("{GOOD}  servers: {{podTemplate: {{}}}}\n")).contains("the installer's"));
    }

    #[test]
    fn the_one_job_among_several_documents_is_picked() {
        let service = "---\napiVersion: v1\nkind: Service\nmetadata: {name: movie}\n";
        let job = parse(&format!("# a comment\n{service}---\n# another\n---{GOOD}")).unwrap();
        assert_eq!(job.metadata.name.as_deref(), Some("j"));
        assert_eq!(parse(&format!("---{GOOD}---\n")).unwrap().metadata.name.as_deref(), Some("j"));
        assert_eq!(
            refusal(&format!("{service}{service}---{}", GOOD.replace("v1alpha1", "v2"))),
            "none of the 3 documents has apiVersion arrayjob.dev/v1alpha1 and kind ArrayJob; found Service movie, Service movie, \
             arrayjob.dev/v2 ArrayJob j"
        );
        assert_eq!(refusal(&format!("{GOOD}---{GOOD}")), "one ArrayJob at a time; found ArrayJob j, ArrayJob j");
        assert_eq!(
            refusal(&format!("{service}---{}", GOOD.replace("count: 3", "count: -1"))),
            refusal(&GOOD.replace("count: 3", "count: -1"))
        );
        assert!(refusal(&format!("{service}---\n]")).starts_with("the manifest is not YAML"));
        assert!(!refusal(&format!("{service}---\n]")).contains("multiple"));
    }
}
