//! YAML or JSON text in, an [`ArrayJob`] out; whatever cannot be meant is refused with its field.

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
    #[error("{path}: {rule}")]
    Field { path: String, rule: String },
    #[error("{path}: no such field{advice}")]
    Unknown { path: String, advice: String },
}

/// Reads a manifest.
///
/// # Errors
/// When it is no YAML, no ArrayJob, or has a field that is wrong or unknown.
pub fn parse(text: &str) -> Result<ArrayJob, Error> {
    let value: Value = serde_saphyr::from_str(text).map_err(|error| Error::Yaml(first_line(&error.to_string())))?;
    let word = |name| value.get(name).and_then(Value::as_str).unwrap_or("nothing").to_owned();
    if word("apiVersion") != API_VERSION || word("kind") != KIND {
        return Err(Error::Kind { found: format!("{} and {}", word("apiVersion"), word("kind")) });
    }
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
}
