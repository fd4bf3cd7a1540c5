//! Outputs to and sources from az:// and gs://. `stores.rs` has the tests of s3://.

use api::geometry::Dtype;
use serde_json::{Value, json};
use std::any::Any;
use tests::azure::Azure;
use tests::gcs::Gcs;
use tests::job::{Job, job, zarr};
use tests::movie::Movie;
use tests::place::{CommandOutput, Place};
use tests::referee::python_process;
use tests::source::FrameServer;
use tests::zarr::{Arrays, must_be_equal};

const MOVIE: Movie = Movie::of(40, 48, Dtype::Uint8);

type Variables = Vec<(&'static str, String)>;

/// A store, and a folder whose commands have the keys of the store in their environment.
struct Setup {
    place: Place,
    /// The URL prefix of all objects.
    root: String,
    environment: Variables,
    /// The same variables with wrong keys.
    wrong: Variables,
    source: FrameServer,
    _store: Box<dyn Any>,
}

impl Setup {
    fn azure() -> Self {
        let store = Azure::default();
        Self::new(store.url(""), store.environment(), store.wrong_environment(), store)
    }

    fn gcs() -> Self {
        let store = Gcs::default();
        Self::new(store.url(""), store.environment(), store.wrong_environment(), store)
    }

    fn new(root: String, environment: Variables, wrong: Variables, store: impl Any) -> Self {
        let place = Place::with(environment.clone());
        Self { place, root, environment, wrong, source: FrameServer::raw(MOVIE), _store: Box::new(store) }
    }

    fn url(&self, key: &str) -> String {
        format!("{}{key}", self.root)
    }

    /// A job over 48 frames of the movie. Another first frame gives other values.
    fn job(&self, first: i64) -> Job {
        let job = job(&self.source.url("{index}"), 48).start_step(first, 1).frame_of(MOVIE).slabs_of(4);
        job.recenter(20, 24).fft("power").reduce(&["mean"])
    }

    /// Runs a job with two servers, and compares each output with zarr-python and NumPy; returns the arrays.
    fn check(&self, name: &str, job: Job, outputs: &[(&str, &str, Value)]) -> Arrays {
        let mut comparisons = Vec::new();
        let mut job = job;
        for (select, key, more) in outputs {
            let url = self.url(key);
            job = job.output(select, &url, more);
            let mut comparison = more.clone();
            comparison["select"] = json!(select);
            comparison["url"] = json!(url);
            comparisons.push(comparison);
        }
        let (_, found) = self.place.results(name, &job, 2);
        let list = self.place.write(&format!("{name}-comparisons.json"), json!(comparisons).to_string().as_bytes());
        let arrays = self.place.path(name).join("arrays.zarr");
        let output = python_process("stores", &["compare", arrays.to_str().unwrap(), list.to_str().unwrap()], &self.environment);
        let output = output.unwrap_or_else(|output| panic!("{name}: {output}"));
        assert!(output.starts_with(&format!("{} outputs equal", outputs.len())), "{output}");
        found
    }

    /// Checks outputs of every kind, the same arrays as sources, and a second job that replaces the outputs on another grid.
    fn check_round_trip(&self) {
        let outputs = [
            ("power", "whole.zarr", json!({})),
            ("power", "a folder/of/sharded.zarr", json!({"chunks": [6, 5, 8], "shards": [24, 20, 24]})),
            ("raw", "raw.zarr", json!({"chunks": [5, 16, 16]})),
            ("raw", "pieces.zarr", json!({"chunks": [4, 20, 12], "shards": [16, 40, 24]})),
            ("power[:,3,::-2]", "slice.npy", json!({})),
        ];
        let keep = ["raw", "recentered", "power"];
        let expected = self.check("outputs", self.job(0).keep(&keep), &outputs);
        for (name, key) in [("plain", "raw.zarr"), ("sharded", "pieces.zarr")] {
            let job = zarr(&self.url(key), "").slabs_of(4).recenter(20, 24).fft("power").reduce(&["mean"]).keep(&keep);
            let (_, arrays) = self.place.results(name, &job, 2);
            must_be_equal(&arrays, &expected, name);
        }
        let again = [
            ("power", "whole.zarr", json!({"chunks": [48, 3, 3]})),
            ("power", "a folder/of/sharded.zarr", json!({})),
            ("power[:,3,::-2]", "slice.npy", json!({})),
        ];
        let _ = self.check("again", self.job(100), &again);
    }

    /// Checks outputs of 16 MiB, which need a multipart upload.
    fn check_parts(&self) {
        const LARGE: Movie = Movie::of(256, 256, Dtype::Uint8);
        let source = FrameServer::ready((0..8).map(|index| LARGE.raw(index)).collect());
        let job = job(&source.url("{index}"), 64).frame_of(LARGE).fft("power").keep(&["power"]);
        let shards = json!({"chunks": [64, 32, 32], "shards": [64, 256, 256]});
        let _ = self.check("large", job, &[("power", "large.npy", json!({})), ("power", "large.zarr", shards)]);
    }

    /// Checks that wrong keys and a missing bucket give one line each, with the text `refused` or `missing`, and create no object.
    fn check_refusals(&self, nowhere: &str, refused: &str, missing: &str) {
        let with_wrong_keys = Place::with(self.wrong.clone());
        let keys = ["check its keys", "AWS_…, GOOGLE_…, AZURE_…"];
        for (output, more) in [("refused.zarr", json!({"chunks": [-1, 5, 7]})), ("refused.npy", json!({}))] {
            let ended = run(&with_wrong_keys, "output", &self.job(0).output("power", &self.url(output), &more));
            must_fail_with(&ended, &["OutputWriteFailed", output, refused], &keys);
            let ended = run(&self.place, "nowhere", &self.job(0).output("power", &format!("{nowhere}/{output}"), &more));
            must_fail_with(&ended, &["OutputWriteFailed", output, missing], &[]);
        }
        let ended = run(&with_wrong_keys, "source", &zarr(&self.url("refused.zarr"), "").fft("power"));
        must_fail_with(&ended, &["cannot read source.zarr", "refused.zarr", refused], &keys);
        let ended = run(&self.place, "no-source", &zarr(&format!("{nowhere}/refused.zarr"), "").fft("power"));
        must_fail_with(&ended, &["is not a Zarr array"], &[]);
        let urls = ["refused.zarr", "refused.npy"].map(|key| self.url(key));
        python_process("stores", &["absent", &urls[0], &urls[1]], &self.environment).unwrap_or_else(|output| panic!("{output}"));
    }
}

fn run(place: &Place, name: &str, job: &Job) -> CommandOutput {
    place.start_job(name, job, 2, &[]).end()
}

/// Checks that the command failed with one line that contains all these words.
fn must_fail_with(ended: &CommandOutput, what: &[&str], more: &[&str]) {
    let sentence = ended.sentence();
    assert_eq!(ended.code, Some(1), "{sentence}");
    assert_eq!(sentence.lines().count(), 1, "{sentence}");
    for words in what.iter().chain(more) {
        assert!(sentence.contains(words), "no '{words}' in: {sentence}");
    }
}

#[test]
fn outputs_and_sources_in_azure_equal_numpy() {
    Setup::azure().check_round_trip();
}

#[test]
fn a_multipart_output_in_azure_equals_numpy() {
    Setup::azure().check_parts();
}

#[test]
fn azure_errors_are_reported_in_one_line() {
    Setup::azure().check_refusals("az://nowhere", "AuthorizationFailure", "ContainerNotFound");
}

#[test]
fn outputs_and_sources_in_gcs_equal_numpy() {
    Setup::gcs().check_round_trip();
}

#[test]
fn a_multipart_output_in_gcs_equals_numpy() {
    Setup::gcs().check_parts();
}

#[test]
fn gcs_errors_are_reported_in_one_line() {
    Setup::gcs().check_refusals("gs://nowhere", "AuthenticationRequired", "NoSuchBucket");
}
