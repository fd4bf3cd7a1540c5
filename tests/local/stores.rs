//! Outputs go to an object store and stacks come from one, as zarr-python and NumPy have them; all of an output, or nothing.

use api::geometry::Dtype;
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tests::job::{Job, job, zarr};
use tests::movie::Movie;
use tests::place::Place;
use tests::processes::end_in_time;
use tests::referee::{python, python_process};
use tests::s3::ObjectStore;
use tests::source::FrameServer;
use tests::until;
use tests::webdav::WebDav;
use tests::zarr::{Arrays, must_be_equal};

const MOVIE: Movie = Movie::of(40, 48, Dtype::Uint8);

/// A job with outputs to a store.
struct Stage {
    place: Place,
    store: ObjectStore,
    source: FrameServer,
}

impl Default for Stage {
    fn default() -> Self {
        let store = ObjectStore::default();
        Self { place: Place::with(store.environment()), store, source: FrameServer::raw(MOVIE) }
    }
}

impl Stage {
    /// A job over the movie from that frame on: other frames, other values.
    fn job(&self, first: i64) -> Job {
        let job = job(&self.source.url("{index}"), 48).start_step(first, 1).frame_of(MOVIE).slabs_of(4);
        job.recenter(20, 24).fft("power").reduce(&["mean"])
    }

    /// Runs a job to its end, and has zarr-python and NumPy read each of its outputs.
    fn check(&self, name: &str, job: Job, outputs: &[(&str, &str, Value)], servers: usize) {
        let mut questions = Vec::new();
        let mut job = job;
        for (select, key, more) in outputs {
            let url = self.store.url(key);
            job = job.output(select, &url, more);
            let mut question = more.clone();
            question["select"] = json!(select);
            question["url"] = json!(url);
            questions.push(question);
        }
        let _ = self.place.results(name, &job, servers);
        self.must_compare(name, &json!(questions));
    }

    /// zarr-python and NumPy read outputs of the job of that name, each as its question says.
    fn must_compare(&self, name: &str, questions: &Value) {
        let list = self.place.write(&format!("{name}-questions.json"), questions.to_string().as_bytes());
        let arrays = self.place.path(name).join("arrays.zarr");
        let said = python_process("stores", &["compare", arrays.to_str().unwrap(), list.to_str().unwrap()], &self.store.environment());
        let said = said.unwrap_or_else(|said| panic!("{name}: {said}"));
        assert!(said.starts_with(&format!("{} outputs equal", questions.as_array().unwrap().len())), "{said}");
    }

    /// Panics when a key is there for readers.
    fn must_be_absent(&self, keys: &[&str]) {
        let urls: Vec<String> = keys.iter().map(|key| self.store.url(key)).collect();
        let arguments: Vec<&str> = std::iter::once("absent").chain(urls.iter().map(String::as_str)).collect();
        python_process("stores", &arguments, &self.store.environment()).unwrap_or_else(|said| panic!("{said}"));
    }

    /// A job with an array of a great many chunks.
    fn long(&self, first: i64) -> Job {
        // Each chunk is a request, small as it is.
        self.job(first).output("power", &self.store.url("long.zarr"), &json!({"chunks": [2, 4, 4]}))
    }

    /// Starts it, and waits until some of the chunks are there.
    fn start_long(&self, name: &str, job: &Job) -> tests::place::Running {
        let before = self.store.objects("long.zarr/");
        let mut running = self.place.start_job(name, job, 3, &[]);
        // The number alone would not do where the same keys are written again.
        until("chunks are being written", || {
            assert!(running.ended().is_none(), "it ended before: {:?}", running.stderr_lines());
            let now = self.store.objects("long.zarr/");
            now != before && now.iter().any(|key| key.contains("/c/"))
        });
        running
    }
}

#[test]
fn outputs_in_an_object_store_are_numpys() {
    let stage = Stage::default();
    let outputs = [
        ("power", "whole.zarr", json!({})),
        ("power", "folder/of/rechunked.zarr", json!({"chunks": [-1, 5, 7]})),
        ("power", "sharded.zarr", json!({"chunks": [6, 5, 8], "shards": [24, 20, 24]})),
        ("recentered", "frames.zarr", json!({"chunks": [1, -1, -1]})),
        ("recentered[::2,:,3:20]", "part.zarr", json!({})),
        ("raw", "raw.zarr", json!({"chunks": [16, 20, 24], "shards": [48, 40, 48]})),
        ("raw_mean_frame", "mean.zarr", json!({})),
        ("power[:,3,::-2]", "slice.npy", json!({})),
        ("raw[7]", "frame.png", json!({})),
        ("recentered[::3]", "stack.tiff", json!({})),
        ("power[2,3]", "row.json", json!({})),
    ];
    for servers in [1, 3] {
        stage.check(&format!("outputs-{servers}"), stage.job(0), &outputs, servers);
    }
    // The same keys again, with other values and on another grid.
    let again = [("power", "whole.zarr", json!({"chunks": [48, 3, 3]})), ("power[:,3,::-2]", "slice.npy", json!({}))];
    stage.check("again", stage.job(100), &again, 3);
}

#[test]
fn outputs_by_webdav_are_numpys() {
    let stage = Stage::default();
    let server = WebDav::default();
    let array = json!({"select": "power", "url": server.url("folder/power.zarr"), "chunks": [-1, 5, 7]});
    let series = json!({"select": "power[:,3,::-2]", "url": server.url("series.npy")});
    // Many servers that make the same folders; then what is there is replaced.
    for (name, first) in [("made", 0), ("replaced", 100)] {
        let job = stage.job(first).output("power", &server.url("folder/power.zarr"), &json!({"chunks": [-1, 5, 7]}));
        let _ = stage.place.results(name, &job.output("power[:,3,::-2]", &server.url("series.npy"), &json!({})), 3);
        stage.must_compare(name, &json!([array, series]));
    }
}

#[test]
fn an_output_of_many_parts_is_numpys() {
    const LARGE: Movie = Movie::of(256, 256, Dtype::Uint8);
    let stage = Stage { source: FrameServer::ready((0..8).map(|index| LARGE.raw(index)).collect()), ..Stage::default() };
    let job = job(&stage.source.url("{index}"), 64).frame_of(LARGE).fft("power").keep(&["power"]);
    // 16 MiB: more than one part of an upload may hold.
    let outputs = [("power", "large.npy", json!({})), ("power", "large.zarr", json!({"chunks": [64, 32, 32], "shards": [64, 256, 256]}))];
    stage.check("large", job, &outputs, 2);
}

#[test]
fn a_run_that_is_killed_while_it_writes_leaves_nothing_that_opens() {
    let stage = Stage::default();
    let job = stage.long(0).output("power", &stage.store.url("slice.npy"), &json!({}));
    let running = stage.start_long("killed", &job);
    let servers = running.servers();
    running.signal(Signal::SIGKILL);
    assert!(end_in_time(&servers), "some of {servers:?} still live");
    stage.must_be_absent(&["long.zarr"]);
    // The file is written by itself: before, or not at all.
    if stage.store.objects("slice.npy").is_empty() {
        stage.must_be_absent(&["slice.npy"]);
    }
}

#[test]
fn a_failed_job_leaves_nothing_that_opens() {
    let stage = Stage::default();
    let running = stage.start_long("failed", &stage.long(0).backoff_limit(0));
    running.servers()[1].kill();
    let ended = running.end();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    stage.must_be_absent(&["long.zarr"]);
}

#[test]
fn a_server_lost_while_outputs_are_written_is_made_good() {
    let stage = Stage::default();
    let running = stage.start_long("lost", &stage.long(0));
    assert!(!stage.store.objects("long.zarr/").contains(&"long.zarr/zarr.json".to_owned()), "the metadata came before the chunks");
    running.servers()[1].kill();
    let (summary, _) = stage.place.results_of("lost", running);
    assert!(summary["restarts"].as_u64() >= Some(1), "{summary}");
    stage.must_compare("lost", &json!([{"select": "power", "url": stage.store.url("long.zarr"), "chunks": [2, 4, 4]}]));
}

#[test]
fn an_output_that_is_half_replaced_does_not_open() {
    let stage = Stage::default();
    let _ = stage.place.results("first", &stage.long(0), 3);
    // Its metadata would fit the other values too.
    let running = stage.place.start_job("second", &stage.long(100), 3, &[]);
    let key = "long.zarr/zarr.json".to_owned();
    until("the metadata of what is replaced is gone", || !stage.store.objects("long.zarr/").contains(&key));
    running.signal(Signal::SIGKILL);
    drop(running);
    stage.must_be_absent(&["long.zarr"]);
}

/// A job over an array, and what it has to give: the same as a job over the frames themselves.
fn check_source(place: &Place, name: &str, url: &str, array: &str, expected: &Arrays) {
    for servers in [1, 3] {
        let job = zarr(url, array).slabs_of(4).recenter(20, 24).fft("power").reduce(&["mean"]);
        let name = format!("{name}-{servers}");
        let (_, arrays) = place.results(&name, &job, servers);
        must_be_equal(&arrays, expected, &name);
    }
}

/// A stage, and what a job over its frames as images gives: what one over them as an array has to equal.
fn with_expected() -> (Stage, Arrays) {
    let stage = Stage::default();
    let (_, expected) = stage.place.results("frames", &stage.job(0), 2);
    (stage, expected)
}

#[test]
fn a_stack_may_be_zarr_of_any_make() {
    let (stage, expected) = with_expected();
    let place = &stage.place;
    let path = |name: &str| place.path(name).to_str().unwrap().to_owned();
    let frames: Vec<u8> = (0..48).flat_map(|index| MOVIE.raw(index)).collect();
    place.write("stack.npy", &npy(&frames, [48, 40, 48]));
    python("stores", &["make", &path("made"), &path("stack.npy")]).unwrap_or_else(|said| panic!("{said}"));
    check_source(place, "blosc", &format!("file://{}", path("made/v2.zarr")), "0", &expected);
    check_source(place, "zstd", &format!("file://{}", path("made/v3.zarr")), "0", &expected);
}

#[test]
fn a_stack_may_be_another_jobs_output() {
    let (stage, expected) = with_expected();
    let raw = stage.job(0).keep(&["raw"]);
    let raw = raw.output("raw", &stage.store.url("raw.zarr"), &json!({"chunks": [5, 16, 16]}));
    let raw = raw.output("raw", &stage.store.url("sharded.zarr"), &json!({"chunks": [4, 20, 12], "shards": [16, 40, 24]}));
    let _ = stage.place.results("raw", &raw, 2);
    check_source(&stage.place, "plain", &stage.store.url("raw.zarr"), "", &expected);
    check_source(&stage.place, "sharded", &stage.store.url("sharded.zarr"), "", &expected);
}

#[test]
fn a_stack_may_be_what_another_job_serves() {
    let (stage, expected) = with_expected();
    let mut serving = stage.place.start_job("serving", &stage.job(0).keep(&["raw", "recentered"]), 3, &["--serve"]);
    let url = serving.until_served();
    let (base, token) = url.split_once("/?token=").unwrap();
    let root = format!("{base}/t/{token}/arrays.zarr");
    check_source(&stage.place, "served", &root, "raw", &expected);
    // What is recentered already is only transformed.
    let (_, arrays) = stage.place.results("transformed", &zarr(&root, "recentered").fft("power"), 2);
    assert!(arrays["power"] == expected["power"], "the spectra of what is served are others");
}

/// Bytes as NumPy's file of them.
fn npy(values: &[u8], shape: [usize; 3]) -> Vec<u8> {
    let [t, y, x] = shape;
    let mut header = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': ({t}, {y}, {x})}}");
    let padding = 64 - (10 + header.len() + 1) % 64;
    header.extend(std::iter::repeat_n(' ', padding));
    header.push('\n');
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend((header.len() as u16).to_le_bytes());
    file.extend(header.as_bytes());
    file.extend(values);
    file
}
