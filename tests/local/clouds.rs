//! Outputs go to the stores of clouds and stacks come from them: az:// and gs://, as `stores.rs` has it of s3://.

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

/// A store, and a folder whose commands find its keys in their environment.
struct Stage {
    place: Place,
    /// Where objects may go.
    root: String,
    environment: Variables,
    /// The same place with keys that are not its own.
    wrong: Variables,
    source: FrameServer,
    _store: Box<dyn Any>,
}

impl Stage {
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

    /// A job over the movie from that frame on: other frames, other values.
    fn job(&self, first: i64) -> Job {
        let job = job(&self.source.url("{index}"), 48).start_step(first, 1).frame_of(MOVIE).slabs_of(4);
        job.recenter(20, 24).fft("power").reduce(&["mean"])
    }

    /// Runs a job of two servers to its end, and has zarr-python and NumPy read each of its outputs; gives its arrays.
    fn check(&self, name: &str, job: Job, outputs: &[(&str, &str, Value)]) -> Arrays {
        let mut questions = Vec::new();
        let mut job = job;
        for (select, key, more) in outputs {
            let url = self.url(key);
            job = job.output(select, &url, more);
            let mut question = more.clone();
            question["select"] = json!(select);
            question["url"] = json!(url);
            questions.push(question);
        }
        let (_, found) = self.place.results(name, &job, 2);
        let list = self.place.write(&format!("{name}-questions.json"), json!(questions).to_string().as_bytes());
        let arrays = self.place.path(name).join("arrays.zarr");
        let said = python_process("stores", &["compare", arrays.to_str().unwrap(), list.to_str().unwrap()], &self.environment);
        let said = said.unwrap_or_else(|said| panic!("{name}: {said}"));
        assert!(said.starts_with(&format!("{} outputs equal", outputs.len())), "{said}");
        found
    }

    /// Outputs of every kind, sources made of them, and the same again with other values on another grid.
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

    /// 16 MiB and more are sent in parts.
    fn check_parts(&self) {
        const LARGE: Movie = Movie::of(256, 256, Dtype::Uint8);
        let source = FrameServer::ready((0..8).map(|index| LARGE.raw(index)).collect());
        let job = job(&source.url("{index}"), 64).frame_of(LARGE).fft("power").keep(&["power"]);
        let shards = json!({"chunks": [64, 32, 32], "shards": [64, 256, 256]});
        let _ = self.check("large", job, &[("power", "large.npy", json!({})), ("power", "large.zarr", shards)]);
    }

    /// Wrong keys and a place that is not there end in one line each, which says `refused` or `missing`, and leave nothing.
    fn check_refusals(&self, nowhere: &str, refused: &str, missing: &str) {
        let with_wrong_keys = Place::with(self.wrong.clone());
        let keys = ["check its keys", "AWS_…, GOOGLE_…, AZURE_…"];
        for (output, more) in [("refused.zarr", json!({"chunks": [-1, 5, 7]})), ("refused.npy", json!({}))] {
            let ended = run(&with_wrong_keys, "output", &self.job(0).output("power", &self.url(output), &more));
            must_say(&ended, &["OutputWriteFailed", output, refused], &keys);
            let ended = run(&self.place, "nowhere", &self.job(0).output("power", &format!("{nowhere}/{output}"), &more));
            must_say(&ended, &["OutputWriteFailed", output, missing], &[]);
        }
        let ended = run(&with_wrong_keys, "source", &zarr(&self.url("refused.zarr"), "").fft("power"));
        must_say(&ended, &["cannot read source.zarr", "refused.zarr", refused], &keys);
        let ended = run(&self.place, "no-source", &zarr(&format!("{nowhere}/refused.zarr"), "").fft("power"));
        must_say(&ended, &["is not a Zarr array"], &[]);
        let urls = ["refused.zarr", "refused.npy"].map(|key| self.url(key));
        python_process("stores", &["absent", &urls[0], &urls[1]], &self.environment).unwrap_or_else(|said| panic!("{said}"));
    }
}

fn run(place: &Place, name: &str, job: &Job) -> CommandOutput {
    place.start_job(name, job, 2, &[]).end()
}

/// It has failed, and says so in one line with all of these in it.
fn must_say(ended: &CommandOutput, what: &[&str], more: &[&str]) {
    let said = ended.sentence();
    assert_eq!(ended.code, Some(1), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    for words in what.iter().chain(more) {
        assert!(said.contains(words), "{words} is not in: {said}");
    }
}

#[test]
fn outputs_and_sources_in_azure_are_numpys() {
    Stage::azure().check_round_trip();
}

#[test]
fn an_output_of_many_parts_in_azure_is_numpys() {
    Stage::azure().check_parts();
}

#[test]
fn what_azure_refuses_is_said_in_a_line() {
    Stage::azure().check_refusals("az://nowhere", "AuthorizationFailure", "ContainerNotFound");
}

#[test]
fn outputs_and_sources_behind_googles_interface_are_numpys() {
    Stage::gcs().check_round_trip();
}

#[test]
fn an_output_of_many_parts_behind_googles_interface_is_numpys() {
    Stage::gcs().check_parts();
}

#[test]
fn what_googles_interface_refuses_is_said_in_a_line() {
    Stage::gcs().check_refusals("gs://nowhere", "AuthenticationRequired", "NoSuchBucket");
}
