//! Every key of a hierarchy, and keys that do not exist.

use super::super::frequencies;
use super::*;
use api::geometry::{Dtype, FrameSpec};
use api::job::{Detrend, Fft, FftOutput, Images, Job, OnError, Recenter, Reduction, Source, Storage, Window};
use api::plan::{Allowance, Budget, Plan};
use serde_json::json;
use std::ops::Range;

fn hierarchy(output: Option<FftOutput>, crop: Option<[usize; 2]>) -> Hierarchy {
    let template = "file:///frames/{index}".into();
    let job = Job {
        name: "movie".into(),
        uid: "u".into(),
        generation: 1,
        source: Source::Images(Images::new(template)),
        frames: 10,
        frame: FrameSpec { height: 12, width: 8, dtype: Dtype::Uint16 },
        on_error: OnError::Fail,
        slab_frames: 4,
        concurrency: 1,
        recenter: crop.map(|crop| Recenter { crop, method: api::job::Method::Centroid, threshold: None }),
        rechunk: Some([10, 5, 4]),
        fft: output.map(|output| Fft { output, window: Window::Hann, detrend: Detrend::Constant }),
        reduce: vec![Reduction::Mean, Reduction::Var],
        keep: None,
        outputs: vec![],
        storage: Storage::Auto,
        backoff_limit: 0,
    };
    let plan = Plan::new(&job, Some(2), &Budget { memory: Allowance::PerServer(1 << 30), cores: 1 }).unwrap();
    Hierarchy::new(&plan.arrays(&job), &plan)
}

fn power() -> Hierarchy {
    hierarchy(Some(FftOutput::Power), Some([6, 8]))
}

#[track_caller]
fn text(hierarchy: &Hierarchy, path: &str) -> Document {
    match hierarchy.find(path) {
        Ok(Node::Document(document)) => document,
        other => panic!("{path}: {other:?}"),
    }
}

#[track_caller]
fn parsed(hierarchy: &Hierarchy, path: &str) -> Value {
    let document = text(hierarchy, path);
    assert_eq!(document.content_type, JSON, "{path}");
    serde_json::from_str(&document.text).unwrap()
}

#[track_caller]
fn chunk_of(hierarchy: &Hierarchy, path: &str) -> (Vec<usize>, Vec<Range<usize>>) {
    match hierarchy.find(path) {
        Ok(Node::Chunk(chunk)) => (chunk.grid.chunks().to_vec(), chunk.region),
        other => panic!("{path}: {other:?}"),
    }
}

#[test]
fn an_array_has_the_same_metadata_in_both_versions() {
    let all = power();
    let v3 = parsed(&all, "/power/zarr.json");
    assert_eq!((&v3["shape"], &v3["data_type"]), (&json!([10, 6, 8]), &json!("float32")));
    assert_eq!(v3["chunk_grid"]["configuration"]["chunk_shape"], json!([10, 5, 4]));
    assert_eq!(v3["dimension_names"], json!(["frequency", "y", "x"]));
    assert_eq!((&v3["attributes"]["units"], &v3["attributes"]["long_name"]), (&json!("value**2"), &json!("power spectrum")));
    let sentence = "abs(numpy.fft.fft(x, axis=0))**2 of the frames less each pixel's mean, under a Hann window; all bins.";
    assert_eq!(v3["attributes"]["description"], json!(sentence));
    let v2 = json!({
        "zarr_format": 2, "shape": [10, 6, 8], "chunks": [10, 5, 4], "dtype": "<f4", "compressor": null, "fill_value": null,
        "order": "C", "filters": null, "dimension_separator": ".",
    });
    assert_eq!(parsed(&all, "/power/.zarray"), v2);
    let mut attributes = v3["attributes"].clone();
    attributes["_ARRAY_DIMENSIONS"] = json!(["frequency", "y", "x"]);
    assert_eq!(parsed(&all, "/power/.zattrs"), attributes);
    assert_eq!(parsed(&all, "/raw/zarr.json")["chunk_grid"]["configuration"]["chunk_shape"], json!([4, 12, 8]));
    for (name, units) in [("centroids", "pixel"), ("raw_var_frame", "value**2"), ("power_var_trace", "value**4"), ("offsets", "pixel")] {
        assert_eq!(parsed(&all, &format!("/{name}/.zattrs"))["units"], units, "{name}");
    }
}

#[test]
fn the_group_contains_all_arrays_and_no_name_has_two_sizes() {
    for all in [power(), hierarchy(Some(FftOutput::Complex), None), hierarchy(None, Some([3, 3]))] {
        let v3 = parsed(&all, "/zarr.json");
        let inline = v3["consolidated_metadata"]["metadata"].as_object().unwrap();
        let v2 = parsed(&all, "/.zmetadata")["metadata"].clone();
        let mut sizes = std::collections::BTreeMap::new();
        assert_eq!(inline.len(), all.views().len());
        for (name, array) in inline {
            assert_eq!(array, &parsed(&all, &format!("/{name}/zarr.json")));
            assert_eq!(v2[format!("{name}/.zarray")], parsed(&all, &format!("/{name}/.zarray")));
            assert_eq!(v2[format!("{name}/.zattrs")], parsed(&all, &format!("/{name}/.zattrs")));
            for (axis, size) in array["dimension_names"].as_array().unwrap().iter().zip(array["shape"].as_array().unwrap()) {
                assert_eq!(sizes.entry(axis.to_string()).or_insert(size.clone()), size, "{axis} of {name}");
            }
        }
        assert_eq!(v2[".zgroup"], parsed(&all, "/.zgroup"));
        assert_eq!(v2.as_object().unwrap().len(), 2 + 2 * inline.len());
        assert_eq!(parsed(&all, "/.zattrs"), json!({}));
        assert!(!inline.contains_key(OME));
    }
    assert_eq!(
        parsed(&power(), "/raw/zarr.json")["dimension_names"],
        json!(["t", "raw_y", "x"].map(|axis| if axis == "x" { "raw_x" } else { axis }))
    );
    assert_eq!(parsed(&hierarchy(None, None), "/raw/zarr.json")["dimension_names"], json!(["t", "y", "x"]));
}

#[test]
fn complex_arrays_have_magnitude_and_phase_and_spectra_a_coordinate() {
    let all = hierarchy(Some(FftOutput::Complex), None);
    let of = |name: &str| parsed(&all, &format!("/{name}/zarr.json"));
    assert_eq!((&of("spectrum")["data_type"], &of("spectrum")["fill_value"]), (&json!("complex64"), &json!([0.0, 0.0])));
    assert_eq!(of("spectrum_abs")["data_type"], "float32");
    assert_eq!((&of("spectrum_phase")["data_type"], &of("spectrum_phase")["attributes"]["units"]), (&json!("float32"), &json!("radian")));
    let frequency = of("frequency");
    assert_eq!(
        (&frequency["data_type"], &frequency["dimension_names"], &frequency["shape"]),
        (&json!("float64"), &json!(["frequency"]), &json!([10]))
    );
    assert_eq!(frequency["attributes"]["units"], "cycles/frame");
    let Ok(Node::Chunk(chunk)) = all.find("/frequency@4/c/2") else { panic!("no chunk") };
    let expected: Vec<u8> = [-0.2, -0.1, 0.0, 0.0].iter().flat_map(|f: &f64| f.to_le_bytes()).collect();
    assert_eq!(frequencies(&chunk), expected, "the last two are padding");
    assert!(hierarchy(None, None).find("/frequency/zarr.json").is_err());
}

#[test]
fn chunks_have_keys_in_both_versions_and_on_any_grid() {
    let all = power();
    for path in ["/power/c/0/1/1", "/power/0.1.1"] {
        assert_eq!(chunk_of(&all, path), (vec![10, 5, 4], vec![0..10, 5..6, 4..8]), "{path}");
    }
    for path in ["/power@1,-1,100/c/9/0/0", "/power@1,-1,100/9.0.0"] {
        assert_eq!(chunk_of(&all, path), (vec![1, 6, 8], vec![9..10, 0..6, 0..8]), "{path}");
    }
    let (chunks, region) = chunk_of(&all, "/power_mean_trace@4/2");
    assert_eq!((chunks, region.len(), &region[0]), (vec![4], 1, &(8..10)));
    assert_eq!(chunk_of(&all, "/raw/c/2/0/0"), (vec![4, 12, 8], vec![8..10, 0..12, 0..8]));
    assert_eq!(parsed(&all, "/raw@2,3,-1/zarr.json")["chunk_grid"]["configuration"]["chunk_shape"], json!([2, 3, 8]));
    assert_eq!(parsed(&all, "/raw@2,3,-1/.zarray")["chunks"], json!([2, 3, 8]));
    let mut identities = std::collections::BTreeSet::new();
    for path in ["/power/c/0/0/0", "/power/c/0/0/1", "/power@10,5,5/c/0/0/0", "/raw@10,5,4/c/0/0/0", "/raw@10,5,4/c/0/1/0"] {
        let Ok(Node::Chunk(chunk)) = all.find(path) else { panic!("{path}") };
        assert!(identities.insert(chunk.identity()), "{path}");
        assert_eq!(chunk.bytes() as usize, chunk.grid.chunks().iter().product::<usize>() * chunk.view.element.size());
    }
}

#[test]
fn images_have_the_metadata_of_ome_ngff() {
    let all = power();
    let ome = parsed(&all, "/ome/raw/zarr.json")["attributes"]["ome"].clone();
    assert_eq!(ome["version"], "0.5");
    let image = &ome["multiscales"][0];
    assert_eq!(image["axes"], json!([{"name": "t", "type": "time"}, {"name": "y", "type": "space"}, {"name": "x", "type": "space"}]));
    assert_eq!(image["datasets"], json!([{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [1.0, 1.0, 1.0]}]}]));
    assert_eq!(parsed(&all, "/ome/power/zarr.json")["attributes"]["ome"]["multiscales"][0]["axes"][0], json!({"name": "frequency"}));
    // Images have plain axis names; xarray needs other names in the group.
    let mut frames = parsed(&all, "/raw@1,-1,-1/zarr.json");
    frames["dimension_names"] = json!(["t", "y", "x"]);
    assert_eq!(parsed(&all, "/ome/raw/0/zarr.json"), frames);
    assert_eq!(chunk_of(&all, "/ome/raw/0/c/3/0/0"), (vec![1, 12, 8], vec![3..4, 0..12, 0..8]));
    assert_eq!(parsed(&all, "/ome/zarr.json"), json!({"zarr_format": 3, "node_type": "group", "attributes": {}}));
    let complex = hierarchy(Some(FftOutput::Complex), None);
    assert!(complex.find("/ome/spectrum/zarr.json").is_err() && complex.find("/ome/spectrum_phase/zarr.json").is_ok());
    assert!(all.find("/ome/centroids/zarr.json").is_err() && all.find("/ome/raw_mean_frame/zarr.json").is_err());
}

#[test]
fn listings_link_to_existing_keys_relative_to_their_address() {
    let all = power();
    let check = |path: &str, links: &[&str], base: Option<&str>| {
        let document = text(&all, path);
        assert_eq!(document.content_type, HTML);
        for link in links {
            assert!(document.text.contains(&format!("<a href=\"{link}\">")), "{path}: no {link} in {}", document.text);
        }
        assert_eq!(document.text.matches("<a ").count(), links.len(), "{path}");
        assert_eq!(document.text.contains("<base"), base.is_some(), "{path}");
        assert!(base.is_none_or(|base| document.text.contains(&format!("<base href=\"{base}/\">"))), "{path}");
        assert!(!document.text.contains("http"), "fsspec takes addresses for entries");
    };
    let names: Vec<String> = all.views().iter().map(|view| format!("{}/", view.name)).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    check("", &names, Some("arrays.zarr"));
    check("/", &names, None);
    check("/power", &["zarr.json", ".zarray", ".zattrs"], Some("power"));
    check("/power@1,2,3/", &["zarr.json", ".zarray", ".zattrs"], None);
    check(
        "/ome/",
        &["raw/", "recentered/", "rechunked/", "power/"]
            .map(|link| link)
            .into_iter()
            .filter(|link| names.contains(link))
            .collect::<Vec<_>>(),
        None,
    );
    check("/ome/raw", &["zarr.json", "0/"], Some("raw"));
}

#[test]
fn errors_name_the_missing_key() {
    let all = power();
    let nothing = [
        "/nothing",
        "/nothing/zarr.json",
        "/power/zarr",
        "/power/.zgroup",
        "/power/.zmetadata",
        "/zarr.jso",
        "//",
        "//zarr.json",
        "/power//",
        "/power/c",
        "/power/c/0/0",
        "/power/c/0/0/0/0",
        "/power/c/1/0/0",
        "/power/c/0/2/0",
        "/power/c/-1/0/0",
        "/power/c/00/0/0",
        "/power/c/+0/0/0",
        "/power/c/0.0.0",
        "/power/0",
        "/power/0.0",
        "/power/0.0.0.0",
        "/power/1.0.0",
        "/power/0.0.99999999999999999999",
        "/power@1,1/zarr.json",
        "/power@0,1,1/zarr.json",
        "/power@1,1,1,1/.zarray",
        "/power@/zarr.json",
        "/power@-2,1,1/c/0/0/0",
        "/@1/zarr.json",
        "/power@1,1,1@1,1,1/zarr.json",
        "/ome/power/.zattrs",
        "/ome/power/0/.zarray",
        "/ome/power/0/0.0.0",
        "/ome/power/1/zarr.json",
        "/ome//",
    ];
    for path in nothing {
        assert!(all.find(path).is_err(), "{path}");
    }
    let message = |path: &str| all.find(path).unwrap_err().to_string();
    assert!(message("/stack/zarr.json").starts_with("there is no array 'stack'; there are raw, "));
    let sentence = "'1,2' is not a chunk grid of 'power', whose shape is [10, 6, 8]; write one size for each axis, or -1 for all of it";
    assert_eq!(message("/power@1,2/zarr.json"), sentence);
    assert_eq!(message("/power/c/1/0/0"), "there is no chunk [1, 0, 0] of 'power': there are [1, 2, 2] along its axes");
}
