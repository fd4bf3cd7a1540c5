//! `arrayjob demo`: a movie of a drifting, beating cell behind an HTTP server, a job over it, and a check of the results.

use crate::args::Demo;
use crate::console::message;
use crate::error::Error;
use crate::movie::Movie;
use crate::projector::{self, CROP, SIZE};
use crate::run::{Settings, run_manifest};
use ndarray::{Array2, Array3, s};
use operator::manifest;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;

/// Least ratio of the sharpness of the recentered mean to the sharpness of the raw mean.
const SHARPER: f64 = 2.0;
/// Height and width of the job's chunks, in pixels.
const CHUNK: usize = 32;

/// Runs the demo.
///
/// # Errors
/// The job fails, or the arrays do not match the movie.
pub async fn demo(args: Demo, started: Instant) -> Result<(), Error> {
    let movie = Arc::new(projector::movie(args.frames)?);
    let failed = |error: std::io::Error| Error::Start(error.into());
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?.to_string();
    // Ends with the process.
    tokio::spawn(projector::show(Arc::clone(&movie), listener, Duration::ZERO));
    let text = job(&args, &address);
    message(&format!("a movie of {} frames is at http://{address}/0.png; the job over it:\n\n{text}", args.frames));
    let manifest = manifest::parse(&text).map_err(|source| Error::Manifest { path: "demo".into(), source })?;
    let out = args.out.clone();
    let settings = Settings { name: "demo".into(), out: Some(args.out), memory: None, serve: args.serve, progress: args.progress, started };
    run_manifest(manifest, settings, |outcome| check(&out, &movie, outcome.seconds)).await
}

/// The manifest of the demo.
fn job(args: &Demo, address: &str) -> String {
    format!(
        "apiVersion: arrayjob.dev/v1alpha1
kind: ArrayJob
metadata: {{name: demo}}
spec:
  source: {{images: {{urlTemplate: \"http://{address}/{{index}}.png\", count: {}}}}}
  recenter: {{crop: [{CROP}, {CROP}]}}
  rechunk: {{chunks: [-1, {CHUNK}, {CHUNK}]}}
  fft: {{output: power, window: none, detrend: none}}
  reduce: [mean]
  servers: {{replicas: {}}}
",
        args.frames, args.servers
    )
}

/// Compares the written arrays with the movie.
fn check(out: &Path, movie: &Movie, seconds: f64) -> Result<(), Error> {
    let folder = out.join("arrays.zarr");
    let raw = mean_frame(&folder, "raw_mean_frame", SIZE)?;
    let recentered = mean_frame(&folder, "recentered_mean_frame", CROP)?;
    let sharper = sharpness(&recentered) / sharpness(&raw);
    if sharper.is_nan() || sharper < SHARPER {
        return Err(Error::Check(format!("the recentered mean is only {sharper:.2} times as sharp as the raw mean")));
    }
    let mut found = Vec::new();
    for beat in movie.beats() {
        let (y, x) = beat.pixel();
        let spectrum = pixel_series(&folder, "power", movie.frames(), (y, x))?;
        let strongest = (1..=movie.frames() / 2).max_by(|&a, &b| spectrum[a].total_cmp(&spectrum[b])).unwrap_or(0);
        if strongest != beat.cycles {
            return Err(Error::Check(format!(
                "the {} beats {} times, but the spectrum of pixel ({y}, {x}) has its peak at {strongest}",
                beat.name, beat.cycles
            )));
        }
        found.push(format!("{} {}", beat.name, beat.cycles));
    }
    message(&format!(
        "\nThe cell drifts across the frame, so the mean of raw frames is blurred. The mean of recentered frames is {sharper:.1} times as \
         sharp ({}).",
        out.join("mean_before_and_after.png").display()
    ));
    message(&format!(
        "Parts of the cell beat. The peak of each part's spectrum is at the frequency of the movie, in cycles: {} ({}).",
        found.join(", "),
        out.join("spectrum_center.svg").display()
    ));
    message(&format!("Both results were read from {}, {seconds:.1} s after the start: check passed.", folder.display()));
    Ok(())
}

/// Root mean square of the difference between horizontal neighbors, relative to the range of values.
fn sharpness(frame: &Array2<f64>) -> f64 {
    let difference = &frame.slice(s![.., 1..]) - &frame.slice(s![.., ..-1]);
    let squares: f64 = difference.iter().map(|step| step.powi(2)).sum();
    let (least, most) = frame.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), &v| (least.min(v), most.max(v)));
    (squares / frame.len() as f64).sqrt() / (most - least).max(f64::MIN_POSITIVE)
}

/// A float64 array of shape (`size`, `size`) in one chunk.
fn mean_frame(folder: &Path, name: &str, size: usize) -> Result<Array2<f64>, Error> {
    let values: Vec<f64> = chunk(folder, name, &[0, 0])?.as_chunks().0.iter().map(|&bytes| f64::from_le_bytes(bytes)).collect();
    let found = values.len();
    Array2::from_shape_vec((size, size), values).map_err(|_| wrong_shape(name, &[size, size], found))
}

/// The series of pixel (y, x) of a float32 array whose chunks have shape (`frames`, [`CHUNK`], [`CHUNK`]).
fn pixel_series(folder: &Path, name: &str, frames: usize, (y, x): (usize, usize)) -> Result<Vec<f32>, Error> {
    let bytes = chunk(folder, name, &[0, y / CHUNK, x / CHUNK])?;
    let values: Vec<f32> = bytes.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
    let found = values.len();
    let chunk = Array3::from_shape_vec((frames, CHUNK, CHUNK), values).map_err(|_| wrong_shape(name, &[frames, CHUNK, CHUNK], found))?;
    Ok(chunk.slice(s![.., y % CHUNK, x % CHUNK]).to_vec())
}

fn wrong_shape(name: &str, shape: &[usize], found: usize) -> Error {
    Error::Check(format!("a chunk of {name} has {found} values, not {shape:?}"))
}

/// The bytes of a chunk of an array that the demo wrote.
fn chunk(folder: &Path, name: &str, index: &[usize]) -> Result<Vec<u8>, Error> {
    let path = folder.join(name).join(formats::encode::zarr::chunk_key(index));
    std::fs::read(&path).map_err(|error| Error::Check(format!("cannot read {}: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_for_a_cluster_is_the_demos_job() {
        let example = manifest::parse(include_str!("../../crds/examples/demo.yaml")).unwrap();
        let args = Demo { out: "out".into(), servers: 2, frames: 400, serve: false, progress: crate::args::ProgressKind::Plain };
        let demo = manifest::parse(&job(&args, "demo-movie")).unwrap();
        assert_eq!(example.metadata.name, demo.metadata.name);
        // Only a cluster needs these fields. The demo reads the shape of a frame from the first frame.
        let mut spec = example.spec;
        assert_eq!(spec.source.frame.take().map(|frame| (frame.height as usize, frame.width as usize)), Some((SIZE, SIZE)));
        spec.backoff_limit = None;
        spec.servers.as_mut().unwrap().resources = None;
        assert_eq!(spec, demo.spec);
    }
}
