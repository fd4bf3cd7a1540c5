//! Outputs to and sources from an object store equal zarr-python and NumPy. An output is complete or does not open.

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

/// A store, a source, and a folder whose commands have the keys of the store.
struct Setup {
    place: Place,
    store: ObjectStore,
    source: FrameServer,
}

impl Default for Setup {
    fn default() -> Self {
        let store = ObjectStore::default();
        Self { place: Place::with(store.environment()), store, source: FrameServer::raw(MOVIE) }
    }
}

impl Setup {
    /// A job over 48 frames of the movie. Another first frame gives other values.
    fn job(&self, first: i64) -> Job {
        let job = job(&self.source.url("{index}"), 48).start_step(first, 1).frame_of(MOVIE).slabs_of(4);
        job.recenter(20, 24).fft("power").reduce(&["mean"])
    }

    /// Runs a job, and compares each output with zarr-python and NumPy.
    fn check(&self, name: &str, job: Job, outputs: &[(&str, &str, Value)], servers: usize) {
        let mut comparisons = Vec::new();
        let mut job = job;
        for (select, key, more) in outputs {
            let url = self.store.url(key);
            job = job.output(select, &url, more);
            let mut comparison = more.clone();
            comparison["select"] = json!(select);
            comparison["url"] = json!(url);
            comparisons.push(comparison);
        }
        let _ = self.place.results(name, &job, servers);
        self.must_compare(name, &json!(comparisons));
    }

    /// Compares outputs of the named job with zarr-python and NumPy.
    fn must_compare(&self, name: &str, comparisons: &Value) {
        let list = self.place.write(&format!("{name}-comparisons.json"), comparisons.to_string().as_bytes());
        let arrays = self.place.path(name).join("arrays.zarr");
        let output = python_process("stores", &["compare", arrays.to_str().unwrap(), list.to_str().unwrap()], &self.store.environment());
        let output = output.unwrap_or_else(|output| panic!("{name}: {output}"));
        assert!(output.starts_with(&format!("{} outputs equal", comparisons.as_array().unwrap().len())), "{output}");
    }

    /// Checks that no reader opens these keys.
    fn must_be_absent(&self, keys: &[&str]) {
        let urls: Vec<String> = keys.iter().map(|key| self.store.url(key)).collect();
        let arguments: Vec<&str> = std::iter::once("absent").chain(urls.iter().map(String::as_str)).collect();
        python_process("stores", &arguments, &self.store.environment()).unwrap_or_else(|output| panic!("{output}"));
    }

    /// A job whose output has many chunks.
    fn long(&self, first: i64) -> Job {
        // Each small chunk is one request.
        self.job(first).output("power", &self.store.url("long.zarr"), &json!({"chunks": [2, 4, 4]}))
    }

    /// Starts it, and waits until some of the chunks are there.
    fn start_long(&self, name: &str, job: &Job) -> tests::place::Running {
        let before = self.store.objects("long.zarr/");
        let mut running = self.place.start_job(name, job, 3, &[]);
        // The number of keys alone does not show the start of a second write of the same keys.
        until("the servers write chunks", || {
            assert!(running.ended().is_none(), "the run ended before the first chunk: {:?}", running.stderr_lines());
            let now = self.store.objects("long.zarr/");
            now != before && now.iter().any(|key| key.contains("/c/"))
        });
        running
    }
}

#[test]
fn outputs_in_an_object_store_equal_numpy() {
    let setup = Setup::default();
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
        setup.check(&format!("outputs-{servers}"), setup.job(0), &outputs, servers);
    }
    // The same keys again, with other values and another chunk grid.
    let again = [("power", "whole.zarr", json!({"chunks": [48, 3, 3]})), ("power[:,3,::-2]", "slice.npy", json!({}))];
    setup.check("again", setup.job(100), &again, 3);
}

#[test]
fn outputs_by_webdav_equal_numpy() {
    let setup = Setup::default();
    let server = WebDav::default();
    let array = json!({"select": "power", "url": server.url("folder/power.zarr"), "chunks": [-1, 5, 7]});
    let series = json!({"select": "power[:,3,::-2]", "url": server.url("series.npy")});
    // Several servers create the same folders. The second job replaces the outputs.
    for (name, first) in [("created", 0), ("replaced", 100)] {
        let job = setup.job(first).output("power", &server.url("folder/power.zarr"), &json!({"chunks": [-1, 5, 7]}));
        let _ = setup.place.results(name, &job.output("power[:,3,::-2]", &server.url("series.npy"), &json!({})), 3);
        setup.must_compare(name, &json!([array, series]));
    }
}

#[test]
fn a_multipart_output_equals_numpy() {
    const LARGE: Movie = Movie::of(256, 256, Dtype::Uint8);
    let setup = Setup { source: FrameServer::ready((0..8).map(|index| LARGE.raw(index)).collect()), ..Setup::default() };
    let job = job(&setup.source.url("{index}"), 64).frame_of(LARGE).fft("power").keep(&["power"]);
    // 16 MiB is larger than one part of a multipart upload.
    let outputs = [("power", "large.npy", json!({})), ("power", "large.zarr", json!({"chunks": [64, 32, 32], "shards": [64, 256, 256]}))];
    setup.check("large", job, &outputs, 2);
}

#[test]
fn a_run_killed_while_it_writes_leaves_no_output_that_opens() {
    let setup = Setup::default();
    let job = setup.long(0).output("power", &setup.store.url("slice.npy"), &json!({}));
    let running = setup.start_long("killed", &job);
    let servers = running.servers();
    running.signal(Signal::SIGKILL);
    assert!(end_in_time(&servers), "some of {servers:?} are still alive");
    setup.must_be_absent(&["long.zarr"]);
    // The file is independent of the array: complete or absent.
    if setup.store.objects("slice.npy").is_empty() {
        setup.must_be_absent(&["slice.npy"]);
    }
}

#[test]
fn a_failed_job_leaves_no_output_that_opens() {
    let setup = Setup::default();
    let running = setup.start_long("failed", &setup.long(0).backoff_limit(0));
    running.servers()[1].kill();
    let ended = running.end();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    setup.must_be_absent(&["long.zarr"]);
}

#[test]
fn a_server_lost_while_outputs_are_written_is_replaced() {
    let setup = Setup::default();
    let running = setup.start_long("lost", &setup.long(0));
    assert!(!setup.store.objects("long.zarr/").contains(&"long.zarr/zarr.json".to_owned()), "the metadata exists before all chunks");
    running.servers()[1].kill();
    let (summary, _) = setup.place.results_of("lost", running);
    assert!(summary["restarts"].as_u64() >= Some(1), "{summary}");
    setup.must_compare("lost", &json!([{"select": "power", "url": setup.store.url("long.zarr"), "chunks": [2, 4, 4]}]));
}

#[test]
fn a_half_replaced_output_does_not_open() {
    let setup = Setup::default();
    let _ = setup.place.results("first", &setup.long(0), 3);
    // The metadata of the first output also fits the second output.
    let running = setup.place.start_job("second", &setup.long(100), 3, &[]);
    let key = "long.zarr/zarr.json".to_owned();
    until("the metadata of the first output is deleted", || !setup.store.objects("long.zarr/").contains(&key));
    running.signal(Signal::SIGKILL);
    drop(running);
    setup.must_be_absent(&["long.zarr"]);
}

/// Checks that a job over an array equals a job over the frames.
fn check_source(place: &Place, name: &str, url: &str, array: &str, expected: &Arrays) {
    for servers in [1, 3] {
        let job = zarr(url, array).slabs_of(4).recenter(20, 24).fft("power").reduce(&["mean"]);
        let name = format!("{name}-{servers}");
        let (_, arrays) = place.results(&name, &job, servers);
        must_be_equal(&arrays, expected, &name);
    }
}

/// A setup, and the results of a job over the frames as images. A job over the same frames as an array must equal these results.
fn with_expected() -> (Setup, Arrays) {
    let setup = Setup::default();
    let (_, expected) = setup.place.results("frames", &setup.job(0), 2);
    (setup, expected)
}

#[test]
fn a_source_may_be_zarr_from_other_writers() {
    let (setup, expected) = with_expected();
    let place = &setup.place;
    let path = |name: &str| place.path(name).to_str().unwrap().to_owned();
    let frames: Vec<u8> = (0..48).flat_map(|index| MOVIE.raw(index)).collect();
    place.write("stack.npy", &npy(&frames, [48, 40, 48]));
    python("stores", &["make", &path("zarr"), &path("stack.npy")]).unwrap_or_else(|output| panic!("{output}"));
    check_source(place, "blosc", &format!("file://{}", path("zarr/v2.zarr")), "0", &expected);
    check_source(place, "zstd", &format!("file://{}", path("zarr/v3.zarr")), "0", &expected);
}

#[test]
fn a_source_may_be_the_output_of_another_job() {
    let (setup, expected) = with_expected();
    let raw = setup.job(0).keep(&["raw"]);
    let raw = raw.output("raw", &setup.store.url("raw.zarr"), &json!({"chunks": [5, 16, 16]}));
    let raw = raw.output("raw", &setup.store.url("sharded.zarr"), &json!({"chunks": [4, 20, 12], "shards": [16, 40, 24]}));
    let _ = setup.place.results("raw", &raw, 2);
    check_source(&setup.place, "plain", &setup.store.url("raw.zarr"), "", &expected);
    check_source(&setup.place, "sharded", &setup.store.url("sharded.zarr"), "", &expected);
}

#[test]
fn a_source_may_be_a_served_job() {
    let (setup, expected) = with_expected();
    let mut serving = setup.place.start_job("serving", &setup.job(0).keep(&["raw", "recentered"]), 3, &["--serve"]);
    let url = serving.until_served();
    let (base, token) = url.split_once("/?token=").unwrap();
    let root = format!("{base}/t/{token}/arrays.zarr");
    check_source(&setup.place, "served", &root, "raw", &expected);
    // The second job only transforms the recentered frames.
    let (_, arrays) = setup.place.results("transformed", &zarr(&root, "recentered").fft("power"), 2);
    assert!(arrays["power"] == expected["power"], "spectra of the served array differ");
}

/// An .npy file of uint8 values (<https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>).
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
