//! Outputs go to an object store and stacks come from one, with keys that only servers see.

use crate::common::{PATIENCE, QUICK_MOVIE, quick_job, quick_slices};
use serde_json::json;
use tests::cluster::{Plugin, STORE, Stage, node, store_image};
use tests::job::zarr;

#[test]
fn one_jobs_output_is_anothers_stack() {
    let Some(image) = store_image() else { return node::skip("one_jobs_output_is_anothers_stack", "this cluster has no image of a store") };
    let stage = Stage::new("store");
    let source = stage.movie(&QUICK_MOVIE);
    stage.store(&image);
    let [stack, series] = ["s3://bucket/stack.zarr", "s3://bucket/series.npy"];
    let sharded = json!({"chunks": [5, 64, 64], "shards": [20, 256, 256]});
    let writing = quick_job(&source.url).secret(STORE).output("raw", stack, &sharded).output("power[:,10,10]", series, &json!({}));
    let writer = stage.start("writer", &writing);
    writer.must_complete(PATIENCE);
    assert!(!writer.object().to_string().contains(tests::s3::KEYS[1]), "the status has a secret in it");

    let reading = zarr(stack, "").secret(STORE).recenter(128, 128).fft("power").reduce(&["mean"]).keep(&["raw", "recentered", "power"]);
    stage.start("reader", &reading.servers(2).each("500m", "128Mi")).must_complete(PATIENCE);
    let plugin = Plugin::of(&stage.namespace);
    for selection in ["raw[3]", "power", "centroids"] {
        plugin.call("get", &["reader", selection, "-o", "found.npy"]).must_succeed();
        assert!(plugin.read("found.npy") == quick_slices().slice(selection), "{selection} by way of a store is another");
    }
    stage.end();
}
