//! Every array of a job equals the result of NumPy, SciPy and scikit-image for the same frames.

use std::path::PathBuf;
use tests::job::{Job, job, volume};
use tests::place::Place;
use tests::referee::python;
use tests::source::FrameServer;

const HEIGHT: usize = 37;
const WIDTH: usize = 51;

/// A folder of frames of one file format, and jobs over these frames.
struct Frames {
    place: Place,
    kind: &'static str,
    count: usize,
}

impl Frames {
    fn of(kind: &'static str, count: usize) -> Self {
        let frames = Self { place: Place::default(), kind, count };
        let (count, height, width) = (count.to_string(), HEIGHT.to_string(), WIDTH.to_string());
        let folder = frames.folder();
        let arguments = [kind, folder.to_str().unwrap(), "--count", &count, "--height", &height, "--width", &width, "--seed", "5"];
        python("make_frames", &arguments).unwrap();
        frames
    }

    fn folder(&self) -> PathBuf {
        self.place.path("frames")
    }

    fn file(&self) -> &'static str {
        match self.kind {
            "jpeg" => "{index:05}.jpg",
            kind if kind.starts_with("png") => "{index:05}.png",
            kind if kind.starts_with("tiff") => "{index:05}.tiff",
            _ => "{index:05}.raw",
        }
    }

    fn url(&self) -> String {
        format!("file://{}/{}", self.folder().display(), self.file())
    }

    /// A job over all frames.
    fn job(&self) -> Job {
        let job = job(&self.url(), self.count);
        match self.kind {
            "raw8" => job.frame(HEIGHT, WIDTH, "uint8"),
            "raw16" => job.frame(HEIGHT, WIDTH, "uint16"),
            "raw_f32" => job.frame(HEIGHT, WIDTH, "float32"),
            _ => job,
        }
    }

    /// Runs a job, and compares every array with the reference.
    fn check(&self, what: &str, job: &Job, servers: usize) {
        let (_, arrays) = self.place.results(what, job, servers);
        assert!(!arrays.is_empty(), "{what}: no arrays");
        let path = |name: &str| self.place.path(name).to_str().unwrap().to_owned();
        let (manifest, reference, result) =
            (path(&format!("{what}.json")), path(&format!("{what}-reference")), path(&format!("{what}/arrays.zarr")));
        let mut compute = vec!["compute", &manifest, &reference];
        if self.kind == "jpeg" {
            compute.extend(["--raw-from", &result, "--within", "3"]);
        }
        python("reference", &compute).unwrap_or_else(|output| panic!("{what}: {output}"));
        let output = python("reference", &["compare", &reference, &result]).unwrap_or_else(|output| panic!("{what}: {output}"));
        assert!(!output.contains("not compared"), "{what}: {output}");
    }
}

fn check_kinds(kinds: &[&'static str]) {
    for kind in kinds {
        let frames = Frames::of(kind, 13);
        frames.check("everything", &frames.job().slabs_of(4).recenter(20, 31).fft("power").reduce_all(), 2);
    }
}

#[test]
fn pngs_equal_scikit_image() {
    check_kinds(&["png8", "png16", "png_palette", "png_interlaced"]);
}

#[test]
fn jpegs_equal_scikit_image_within_three_gray_levels() {
    check_kinds(&["jpeg"]);
}

#[test]
fn tiffs_equal_tifffile() {
    check_kinds(&["tiff8", "tiff16", "tiff_f32", "tiff_deflate"]);
}

#[test]
fn tiled_lzw_tiffs_equal_tifffile() {
    check_kinds(&["tiff_tiled_lzw"]);
}

#[test]
fn raw_pixels_are_read_unchanged() {
    check_kinds(&["raw8", "raw16", "raw_f32"]);
}

#[test]
fn a_volume_has_many_frames_for_each_url() {
    let frames = Frames::of("volume", 26);
    let whole = |job: Job| job.frame(HEIGHT, WIDTH, "uint8").slabs_of(8).recenter(20, 31).fft("power").reduce(&["mean"]);
    frames.check("by-file", &whole(volume(&frames.url(), 26, 4)), 3);
    let source = FrameServer::folder(frames.folder());
    frames.check("by-http", &whole(volume(&source.url(frames.file()), 26, 4)), 3);
    // One request from the job, one from the reference.
    assert!(source.requests().values().all(|&count| count == 2), "{:?}", source.requests());
}

#[test]
fn crops_of_any_size_stay_within_the_frame() {
    for kind in ["png8", "raw_f32"] {
        let frames = Frames::of(kind, 20);
        let job = frames.job().slabs_of(6).reduce(&["mean", "max"]);
        frames.check("none", &job, 2);
        for [height, width] in [[20, 30], [19, 31], [HEIGHT, WIDTH], [1, 1], [HEIGHT, 2]] {
            frames.check(&format!("crop-{height}-{width}"), &job.clone().recenter(height, width), 2);
        }
        let threshold = if kind == "png8" { 60.0 } else { 0.25 };
        frames.check("threshold", &job.clone().recenter(20, 30).threshold(threshold), 2);
        frames.check("threshold-above-all", &job.recenter(20, 30).threshold(1e6), 2);
    }
}

#[test]
fn any_number_of_frames_is_transformed() {
    for count in [1, 2, 13, 97, 100] {
        let frames = Frames::of("raw8", count);
        frames.check(&format!("of-{count}"), &frames.job().recenter(20, 31).fft("power").reduce(&["mean", "std"]), 3);
    }
}

#[test]
fn spectra_equal_scipy_for_every_output_window_and_detrend() {
    for kind in ["raw8", "raw_f32"] {
        let frames = Frames::of(kind, 30);
        for output in ["power", "amplitude", "complex"] {
            for window in ["none", "hann"] {
                for detrend in ["none", "constant", "linear"] {
                    let job = frames.job().slabs_of(7).recenter(11, 13).fft(output).window(window).detrend(detrend);
                    frames.check(&format!("{output}-{window}-{detrend}"), &job.reduce(&["mean", "max"]), 2);
                }
            }
        }
    }
}

#[test]
fn a_chunk_grid_changes_no_value() {
    let frames = Frames::of("png16", 30);
    let job = || frames.job().slabs_of(7).recenter(20, 31);
    for (name, chunks) in [("time", [-1, 10, 10]), ("split", [7, 9, 11]), ("whole", [-1, -1, -1]), ("larger", [1000, 1000, 3])] {
        frames.check(&format!("fft-{name}"), &job().rechunk(chunks).fft("power"), 3);
        frames.check(&format!("no-fft-{name}"), &job().rechunk(chunks), 3);
    }
    frames.check("fft-without-rechunk", &job().fft("power"), 3);
    frames.check("neither", &job(), 3);
    frames.check("rechunked-raw", &frames.job().rechunk([7, 9, 11]), 3);
}

#[test]
fn kept_arrays_are_the_requested_arrays() {
    let frames = Frames::of("raw8", 30);
    let job = || frames.job().slabs_of(7).recenter(20, 31).rechunk([-1, 10, 10]).fft("power").reduce(&["mean"]);
    for keep in [&[][..], &["power"], &["raw", "recentered"], &["rechunked", "power"], &["raw", "recentered", "rechunked", "power"]] {
        let name = format!("keep-{}", keep.join("-"));
        frames.check(&name, &job().keep(keep), 2);
        let arrays = tests::zarr::read(&frames.place.path(&name).join("arrays.zarr"));
        let big: Vec<&str> = ["raw", "recentered", "rechunked", "power"].into_iter().filter(|big| arrays.contains_key(*big)).collect();
        assert_eq!(big, keep);
    }
}

#[test]
fn uneven_shares_equal_the_reference() {
    let frames = Frames::of("raw16", 29);
    let job = |slab| frames.job().slabs_of(slab).recenter(20, 31).fft("power").reduce_all();
    frames.check("more-servers-than-slabs", &job(20), 5);
    frames.check("one-slab", &job(29), 3);
    frames.check("slabs-of-one", &job(1), 4);
    frames.check("nothing-divides", &job(6), 4);
    frames.check("on-disk", &job(6).storage("Disk"), 4);
}

#[test]
fn frames_may_have_any_start_and_step() {
    let frames = Frames::of("raw8", 100);
    let job = || job(&frames.url(), 20).frame(HEIGHT, WIDTH, "uint8").recenter(20, 31).fft("power");
    frames.check("forward", &job().start_step(5, 3), 2);
    frames.check("backward", &job().start_step(90, -4), 2);
}
