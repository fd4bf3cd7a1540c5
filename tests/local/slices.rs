//! Slices equal NumPy's slices in every format. A refused request states the reason.

use api::geometry::Dtype;
use serde_json::json;
use tests::http;
use tests::job::{Job, job};
use tests::movie::Movie;
use tests::place::Place;
use tests::referee::python;
use tests::source::FrameServer;

const MOVIE: Movie = Movie::of(37, 51, Dtype::Uint8);

fn the_job(source: &FrameServer, dtype: &str) -> Job {
    job(&source.url("{index}"), 23)
        .frame(37, 51, dtype)
        .slabs_of(4)
        .recenter(20, 31)
        .rechunk([7, 9, 11])
        .fft("power")
        .reduce(&["mean", "max"])
}

/// Selections, with their formats.
const SELECTIONS: [(&str, &str); 34] = [
    ("power", "npy json"),
    ("power[:]", "npy"),
    ("power[...]", "npy"),
    ("power[5]", "npy png tiff csv"),
    ("power[-1]", "npy"),
    ("power[:,3,4]", "npy csv json"),
    ("power[:,-1,-31]", "npy"),
    ("power[2,3,4]", "npy json csv"),
    ("power[...,4]", "npy png"),
    ("power[5,...]", "npy"),
    ("power[1,...,2:9]", "npy"),
    ("power[::2]", "npy tiff"),
    ("power[::-1]", "npy"),
    ("power[20:2:-3,::-2,30:3:-4]", "npy"),
    ("power[-5:,:7]", "npy"),
    ("power[100:]", "npy"),
    ("power[:,5:5]", "npy"),
    ("power[-100:100:6,-3:,1]", "npy csv"),
    ("power[12]", "npy"),
    ("power[11:13,:,0]", "npy csv"),
    ("raw", "npy tiff"),
    ("raw[7]", "npy png csv tiff json"),
    ("raw[::-5,3:30:7,-2]", "npy csv"),
    ("raw[3:9:2,10,::-1]", "npy png"),
    ("recentered[22,::-1]", "npy png"),
    ("recentered[:,10,15]", "npy csv"),
    ("centroids", "npy csv json"),
    ("centroids[3:7,0]", "npy"),
    ("offsets[::-1]", "npy csv"),
    ("raw_mean_frame", "npy tiff"),
    ("raw_max_frame[5:9,::3]", "npy png"),
    ("power_mean_trace", "npy csv json"),
    ("power_mean_trace[-3]", "npy json"),
    ("recentered_mean_trace[::4]", "npy"),
];

/// Runs a job with `--serve`, gets every selection in every format, and compares the files with NumPy.
fn check(dtype: Dtype) {
    let place = Place::default();
    let source = FrameServer::raw(Movie { frame: api::geometry::FrameSpec { dtype, ..MOVIE.frame } });
    let mut running = place.start_job("served", &the_job(&source, dtype.name()), 3, &["--serve"]);
    let url = running.until_served();
    let mut comparisons = Vec::new();
    for (selection, formats) in SELECTIONS {
        for format in formats.split(' ') {
            let path = place.path(&format!("{}.{format}", comparisons.len()));
            let ended = place.call(["get", &url, selection, "-o", path.to_str().unwrap()]);
            assert_eq!(ended.code, Some(0), "{selection} as {format}: {}", ended.stderr);
            comparisons.push(json!([selection, path]));
        }
    }
    let by_name = place.call(["get", "served", "power[2,3,4:6]"]);
    by_name.must_succeed();
    comparisons.push(json!(["power[2,3,4:6]", place.write("standard-output.json", &by_name.stdout)]));
    compare_with_numpy(&place, "served", &comparisons);
}

fn compare_with_numpy(place: &Place, name: &str, comparisons: &[serde_json::Value]) {
    let list = place.write("comparisons.json", json!(comparisons).to_string().as_bytes());
    let arrays = place.path(name).join("arrays.zarr");
    let output = python("slices", &[arrays.to_str().unwrap(), list.to_str().unwrap()]).unwrap_or_else(|output| panic!("{output}"));
    assert!(output.starts_with(&format!("{} slices equal", comparisons.len())), "{output}");
}

#[test]
fn slices_equal_numpy_in_every_format() {
    check(Dtype::Uint8);
}

#[test]
fn slices_of_other_types_equal_numpy() {
    check(Dtype::Uint16);
    check(Dtype::Float32);
}

#[test]
fn slices_are_saved_in_every_format() {
    let (place, source) = (Place::default(), FrameServer::raw(MOVIE));
    let saved = [
        ("power[:,3,::-2]", "a.npy"),
        ("raw[7]", "b.png"),
        ("power[5]", "c.png"),
        ("power[2:9,3,4]", "d.csv"),
        ("power[2,3]", "e.json"),
        ("recentered[::3]", "f.tiff"),
        ("power[20:2:-3,::2,5:29]", "g.zarr"),
        ("raw_mean_frame", "h.zarr"),
        ("centroids[:,1]", "i.npy"),
    ];
    let saves: Vec<String> = saved.iter().map(|(selection, path)| format!("{selection}={path}")).collect();
    let more: Vec<&str> = saves.iter().flat_map(|save| ["--save", save]).collect();
    let running = place.start_job("saved", &the_job(&source, "uint8"), 3, &more);
    let _ = place.results_of("saved", running);
    let comparisons: Vec<_> = saved.iter().map(|(selection, path)| json!([selection, place.path(path)])).collect();
    compare_with_numpy(&place, "saved", &comparisons);
    let mut expected = vec!["saved.json", "saved", "comparisons.json"];
    expected.extend(saved.iter().map(|(_, path)| *path));
    place.must_leave_nothing_but(&expected);
}

#[test]
fn refused_requests_state_the_reason() {
    let (place, source) = (Place::default(), FrameServer::raw(MOVIE));
    let mut running = place.start_job("served", &the_job(&source, "uint8"), 2, &["--serve"]);
    let url = running.until_served();
    let (base, token) = url.split_once("/?token=").unwrap();
    let bearer = format!("Bearer {token}");
    let check = |path: &str, headers: &[(&str, &str)], status: u16, words: &str| {
        let (found, body) = http::get(&format!("{base}{path}"), headers);
        assert_eq!(found, status, "{path}: {body}");
        assert!(body.contains(words), "{path}: no '{words}' in {body}");
    };
    let key = [("authorization", bearer.as_str())];
    check("/slice/power?sel=0,0,:&format=json", &key, 200, "\"shape\":[31]");
    check(&format!("/slice/power?sel=0,0,:&format=json&token={token}"), &[], 200, "\"shape\":[31]");
    check("/slice/power?sel=0,0,0", &[], 401, "token");
    check("/slice/power?sel=0,0,0", &[("authorization", "Bearer 0123456789abcdef0123456789abcdef")], 401, "token");
    check(&format!("/slice/power?sel=0,0,0&token={}", &token[1..]), &[], 401, "token");
    check("/v1/progress", &[], 401, "token");
    check("/v1/block?band=0", &[], 401, "token");
    check("/slice/powr?sel=0", &key, 404, "powr");
    check("/nowhere", &key, 404, "");
    check("/slice/power?sel=23,0,0", &key, 400, "out of bounds");
    check("/slice/power?sel=0,0,0,0", &key, 400, "");
    check("/slice/power?sel=a", &key, 400, "");
    check("/slice/power?sel=::0", &key, 400, "");
    check("/slice/power?sel=:&format=png", &key, 400, "png");
    check("/slice/power?sel=0&format=docx", &key, 400, "docx");
    // The token of a URL opens no route of the loop and of peers.
    for path in ["/v1/progress", "/v1/block?band=0", "/v1/sums?array=raw_mean_frame"] {
        check(path, &key, 403, "command key");
        check(&format!("/t/{token}{path}"), &[], 403, "command key");
    }
    let ended = place.call(["get", "nobody", "power"]);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.sentence().contains("nobody") && ended.sentence().contains("served"), "{}", ended.sentence());
    let ended = place.call(["get", &url, "power[99]", "-o", "x.npy"]);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.sentence().contains("99 is out of bounds") && !place.path("x.npy").exists(), "{}", ended.sentence());
}
