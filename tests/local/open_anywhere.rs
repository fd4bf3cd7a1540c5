//! A served job opens in zarr, xarray, dask, TensorStore, fsspec, scikit-image and by hand, with the values that NumPy has.

use api::geometry::Dtype;
use tests::job::job;
use tests::movie::Movie;
use tests::place::Place;
use tests::referee::{python, python_process};
use tests::source::FrameServer;

/// Runs a job, and has every reader read what it serves.
fn check(name: &str, dtype: Dtype, output: &str, keep: &[&str], servers: usize) {
    let movie = Movie::of(37, 51, dtype);
    let (place, source) = (Place::default(), FrameServer::raw(movie));
    // Nothing is a multiple of anything.
    let job = job(&source.url("{index}"), 23).frame_of(movie).slabs_of(4).recenter(20, 31).rechunk([7, 9, 11]);
    let job = job.fft(output).reduce(&["mean", "std"]).keep(keep);
    let mut running = place.start_job(name, &job, servers, &["--serve"]);
    let path = |name: &str| place.path(name).to_str().unwrap().to_owned();
    let reference = path("reference");
    python("reference", &["compute", &path(&format!("{name}.json")), &reference]).unwrap_or_else(|said| panic!("{said}"));
    let url = running.until_served();
    let said = python_process("open_anywhere", &[&url, &reference], &[]).unwrap_or_else(|said| panic!("{name}: {said}"));
    assert!(said.contains("ways agree"), "{said}");
}

#[test]
fn bytes_of_one_server_open_anywhere() {
    check("one", Dtype::Uint8, "power", &["raw", "recentered", "rechunked", "power"], 1);
}

#[test]
fn bytes_of_three_servers_open_anywhere() {
    check("three", Dtype::Uint8, "power", &["raw", "recentered", "power"], 3);
}

#[test]
fn complex_spectra_open_anywhere() {
    check("complex", Dtype::Uint16, "complex", &["recentered", "spectrum"], 3);
}
