//! Invalid jobs are refused at once, with the broken rule: by the API server if possible, otherwise by the operator before any
//! pod starts.

use crate::common::STATUS_TIMEOUT;
use serde_json::json;
use tests::cluster::{Stage, until};
use tests::job::{Job, job};

const URL: &str = "http://nobody.invalid/{index}.png";

fn plain() -> Job {
    job(URL, 60).frame(512, 512, "uint8")
}

/// A job that starts, but whose servers fit no node.
fn waiting() -> Job {
    plain().servers(1).each("100m", "128Mi").on_nodes("arrayjob.dev/no-such-node", "true")
}

#[test]
fn the_api_server_refuses_invalid_manifests() {
    let stage = Stage::new("refused");
    let two_sources = json!({"images": {"urlTemplate": URL, "count": 60}, "volume": {"urlTemplate": URL, "count": 60, "depth": 2}});
    let replicas = |replicas| plain().set("servers", json!({"replicas": replicas}));
    for (name, job, rule) in [
        ("two-sources", plain().set("source", two_sources), "exactly one of images, volume and zarr"),
        ("no-source", plain().set("source", json!({})), "exactly one of images, volume and zarr"),
        ("no-index", job("http://nobody.invalid/frame.png", 60), "must contain {index}"),
        ("large-crop", plain().recenter(513, 512), "recenter.crop must fit source.frame"),
        ("one-sided-crop", plain().set("recenter", json!({"crop": [64]})), "crop"),
        ("step-0", plain().start_step(0, 0), "step must not be 0"),
        ("no-frames", job(URL, 0), "count"),
        ("chunk-0", plain().rechunk([-1, 0, 8]), "-1 for the whole axis"),
        ("fft-of-space", plain().set("fft", json!({"axis": 1})), "the transform is over time"),
        ("replicas-0", replicas(json!(0)), "replicas must be from 1 to 10000, or auto"),
        ("replicas-many", replicas(json!("many")), "replicas must be from 1 to 10000, or auto"),
        ("no-such-reduction", plain().reduce(&["median"]), "median"),
        ("1st", plain(), "metadata.name must be 1 to 50"),
        ("with.dots", plain(), "metadata.name must be 1 to 50"),
        (&"long".repeat(13), plain(), "metadata.name must be 1 to 50"),
    ] {
        let ended = stage.try_apply(&job.manifest(name));
        assert_eq!(ended.code, Some(1), "exit code for {name}");
        assert!(ended.stderr.contains(rule), "no '{rule}' in the error for {name}:\n{}", ended.stderr);
    }
    let misspelt = stage.try_apply(&plain().set("recentre", json!({})).manifest("misspelt"));
    assert!(misspelt.code == Some(1) && misspelt.stderr.contains("recentre"), "{}", misspelt.stderr);
    assert!(stage.list("/apis/arrayjob.dev/v1alpha1", "arrayjobs").is_empty());
    stage.end();
}

#[test]
fn a_started_job_allows_only_permitted_changes() {
    let stage = Stage::new("immutable");
    let job = stage.start("waiting", &waiting());
    until("the job has started", STATUS_TIMEOUT, || {
        let status = job.status();
        if status["startTime"].is_null() { Err(status.to_string()) } else { Ok(()) }
    });
    for change in [
        json!({"source": {"images": {"count": 61}}}),
        json!({"load": {"chunkFrames": 5}}),
        json!({"recenter": {"crop": [64, 64]}}),
        json!({"fft": {}}),
        json!({"servers": {"replicas": 2}}),
        json!({"servers": null}),
        json!({"activeDeadlineSeconds": 60}),
    ] {
        let ended = job.patch(&change);
        assert!(ended.code == Some(1) && ended.stderr.contains("the job has started"), "{change} was not refused: {}", ended.stderr);
    }
    job.patch(&json!({"suspend": true, "ttlSecondsAfterFinished": 60, "backoffLimit": 7})).must_succeed();
    job.until_is("Suspended", STATUS_TIMEOUT);
    job.delete();
    stage.end();
}

#[test]
fn a_job_that_does_not_fit_fails_without_any_pod() {
    let stage = Stage::new("no-room");
    let job = job(URL, 1000).frame(1000, 1000, "uint8").fft("power").servers(2).each("1", "256Mi");
    let job = stage.start("too-large", &job.storage("Memory"));
    let message = job.must_fail("InsufficientMemory", STATUS_TIMEOUT);
    for word in ["256.0 MiB", "17 replicas would fit"] {
        assert!(message.contains(word), "no '{word}' in: {message}");
    }
    assert_eq!(job.status()["servers"]["launched"], 0, "a server was launched");
    assert!(job.children().is_empty(), "{:?} exist", job.children());
    stage.end();
}

#[test]
fn file_urls_are_refused_on_a_cluster() {
    let stage = Stage::new("files");
    let read = stage.start("read", &job("file:///data/{index}.png", 60).frame(512, 512, "uint8"));
    let message = read.must_fail("InvalidSpec", STATUS_TIMEOUT);
    assert!(message.contains("urlTemplate") && message.contains("file://"), "{message}");
    let outputs = json!([{"select": "raw[0]", "url": "file:///out/first.npy"}]);
    let write = stage.start("write", &plain().set("outputs", outputs));
    let message = write.must_fail("InvalidSpec", STATUS_TIMEOUT);
    assert!(message.contains("outputs[0]") && message.contains("file://"), "{message}");
    assert!(read.children().is_empty() && write.children().is_empty());
    stage.end();
}
