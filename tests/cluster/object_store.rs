//! Outputs to an object store and sources from an object store, with keys that only servers read.

use crate::common::{QUICK_MOVIE, TIMEOUT, quick_job, quick_slices};
use serde_json::json;
use tests::cluster::{Plugin, STORE, Stage, node, store_image};
use tests::job::zarr;

#[test]
fn the_output_of_one_job_is_the_source_of_another() {
    let Some(image) = store_image() else {
        return node::skip("the_output_of_one_job_is_the_source_of_another", "the cluster has no image of an object store");
    };
    let stage = Stage::new("store");
    let source = stage.movie(&QUICK_MOVIE);
    stage.store(&image);
    let [stack, series] = ["s3://bucket/stack.zarr", "s3://bucket/series.npy"];
    let sharded = json!({"chunks": [5, 64, 64], "shards": [20, 256, 256]});
    let writing = quick_job(&source.url).secret(STORE).output("raw", stack, &sharded).output("power[:,10,10]", series, &json!({}));
    let writer = stage.start("writer", &writing);
    writer.must_complete(TIMEOUT);
    assert!(!writer.object().to_string().contains(tests::s3::KEYS[1]), "the object contains the secret key");

    let reading = zarr(stack, "").secret(STORE).recenter(128, 128).fft("power").reduce(&["mean"]).keep(&["raw", "recentered", "power"]);
    stage.start("reader", &reading.servers(2).each("500m", "128Mi")).must_complete(TIMEOUT);
    let plugin = Plugin::of(&stage.namespace);
    for selection in ["raw[3]", "power", "centroids"] {
        plugin.call("get", &["reader", selection, "-o", "found.npy"]).must_succeed();
        assert!(plugin.read("found.npy") == quick_slices().slice(selection), "{selection} from the store differs");
    }
    stage.end();
}
