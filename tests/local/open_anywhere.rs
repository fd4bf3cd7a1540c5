//! A served job opens in zarr, xarray, dask, TensorStore, fsspec, scikit-image and plain HTTP, with the values of NumPy.

use api::geometry::Dtype;
use tests::job::job;
use tests::movie::Movie;
use tests::place::Place;
use tests::referee::{python, python_process};
use tests::source::FrameServer;

/// Runs a job, and compares the arrays of every reader with the reference.
fn check(name: &str, dtype: Dtype, output: &str, keep: &[&str], servers: usize) {
    let movie = Movie::of(37, 51, dtype);
    let (place, source) = (Place::default(), FrameServer::raw(movie));
    // No size is a multiple of another size.
    let job = job(&source.url("{index}"), 23).frame_of(movie).slabs_of(4).recenter(20, 31).rechunk([7, 9, 11]);
    let job = job.fft(output).reduce(&["mean", "std"]).keep(keep);
    let mut running = place.start_job(name, &job, servers, &["--serve"]);
    let path = |name: &str| place.path(name).to_str().unwrap().to_owned();
    let reference = path("reference");
    python("reference", &["compute", &path(&format!("{name}.json")), &reference]).unwrap_or_else(|output| panic!("{output}"));
    let url = running.until_served();
    let output = python_process("open_anywhere", &[&url, &reference], &[]).unwrap_or_else(|output| panic!("{name}: {output}"));
    assert!(output.contains("ways agree"), "{output}");
}

#[test]
fn uint8_arrays_of_one_server_open_in_every_reader() {
    check("one", Dtype::Uint8, "power", &["raw", "recentered", "rechunked", "power"], 1);
}

#[test]
fn uint8_arrays_of_three_servers_open_in_every_reader() {
    check("three", Dtype::Uint8, "power", &["raw", "recentered", "power"], 3);
}

#[test]
fn complex_spectra_open_in_every_reader() {
    check("complex", Dtype::Uint16, "complex", &["recentered", "spectrum"], 3);
}
