//! `arrayjob demo`: a movie of a drifting, beating specimen behind an HTTP server, a job over it, and a check of what came out.

use crate::args::Demo;
use crate::error::Error;
use crate::movie::Movie;
use crate::progress::line;
use crate::projector::{self, CROP, SIZE};
use crate::run::{Settings, run_manifest};
use api::geometry::Element;
use operator::manifest;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;

/// How much sharper the recentered mean has to be.
const SHARPER: f64 = 2.0;

/// Runs the demo.
///
/// # Errors
/// When the job fails, or the arrays do not show what the movie put in.
pub async fn demo(ask: Demo, started: Instant) -> Result<(), Error> {
    let movie = Arc::new(projector::movie(ask.frames)?);
    let failed = |error: std::io::Error| Error::Start(error.into());
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?.to_string();
    // For as long as this process lives.
    tokio::spawn(projector::show(Arc::clone(&movie), listener, Duration::ZERO));
    let text = job(&ask, &address);
    line(&format!("a movie of {} frames is at http://{address}/0.png; the job over it:\n\n{text}", ask.frames));
    let manifest = manifest::parse(&text).map_err(|source| Error::Manifest { path: "demo".into(), source })?;
    let out = ask.out.clone();
    let settings = Settings { out: Some(ask.out), memory: None, serve: ask.serve, progress: ask.progress, started };
    run_manifest(Path::new("demo"), manifest, settings, |outcome| check(&out, &movie, outcome.seconds)).await.map(drop)
}

fn job(ask: &Demo, address: &str) -> String {
    format!(
        "apiVersion: arrayjob.dev/v1alpha1
kind: ArrayJob
metadata: {{name: demo}}
spec:
  source: {{images: {{urlTemplate: \"http://{address}/{{index}}.png\", count: {}}}}}
  recenter: {{crop: [{CROP}, {CROP}]}}
  rechunk: {{chunks: [-1, 32, 32]}}
  fft: {{output: power, window: none, detrend: none}}
  reduce: [mean]
  servers: {{replicas: {}}}
",
        ask.frames, ask.servers
    )
}

/// Reads the arrays that were written and compares them with what the movie put in.
fn check(out: &Path, movie: &Movie, seconds: f64) -> Result<(), Error> {
    let folder = out.join("arrays.zarr");
    let raw = frame_of(&folder, "raw_mean_frame", [SIZE, SIZE])?;
    let recentered = frame_of(&folder, "recentered_mean_frame", [CROP, CROP])?;
    let (before, after) = (sharpness(&raw, SIZE), sharpness(&recentered, CROP));
    let sharper = after / before;
    if sharper.is_nan() || sharper < SHARPER {
        return Err(Error::Check(format!("the recentered mean is only {sharper:.2} times as sharp as the raw one")));
    }
    let mut found = Vec::new();
    for beat in movie.beats() {
        let (y, x) = beat.pixel();
        let spectrum = series_of(&folder, "power", movie.frames(), [y, x])?;
        let strongest = (1..=movie.frames() / 2).max_by(|&a, &b| spectrum[a].total_cmp(&spectrum[b])).unwrap_or(0);
        if strongest != beat.cycles {
            return Err(Error::Check(format!(
                "the {} beats {} times, the spectrum of pixel ({y}, {x}) says {strongest}",
                beat.name, beat.cycles
            )));
        }
        found.push(format!("{} {}", beat.name, beat.cycles));
    }
    line(&format!(
        "\nThe specimen wanders across the frame, so its mean over time is a smear; recentered, it is {sharper:.1} times as sharp ({}).",
        out.join("mean_before_and_after.png").display()
    ));
    line(&format!(
        "Parts of it beat, and each part's strongest frequency is the one that the movie put in: {} cycles ({}).",
        found.join(", "),
        out.join("spectrum_center.svg").display()
    ));
    line(&format!("Both were checked from the arrays in {}, {seconds:.1} s after the start: check passed.", folder.display()));
    Ok(())
}

/// Root mean square of the step from pixel to pixel within the picture, relative to its spread of values.
fn sharpness(values: &[f64], width: usize) -> f64 {
    let steps: f64 = values.chunks_exact(width).flat_map(|row| row.windows(2)).map(|pair| (pair[1] - pair[0]).powi(2)).sum();
    let (least, most) = values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), &v| (least.min(v), most.max(v)));
    (steps / values.len() as f64).sqrt() / (most - least).max(f64::MIN_POSITIVE)
}

/// A float64 array of one chunk.
fn frame_of(folder: &Path, name: &str, shape: [usize; 2]) -> Result<Vec<f64>, Error> {
    let bytes = chunk(folder, name, &[0, 0])?;
    let values: Vec<f64> = bytes.as_chunks().0.iter().map(|&b| f64::from_le_bytes(b)).collect();
    if values.len() == shape[0] * shape[1] { Ok(values) } else { Err(Error::Check(format!("{name} has {} values", values.len()))) }
}

/// One pixel's series of a float32 array in chunks of 32 × 32 pixels.
fn series_of(folder: &Path, name: &str, frames: usize, [y, x]: [usize; 2]) -> Result<Vec<f32>, Error> {
    const EDGE: usize = 32;
    let bytes = chunk(folder, name, &[0, y / EDGE, x / EDGE])?;
    let at = |t: usize| ((t * EDGE + y % EDGE) * EDGE + x % EDGE) * Element::Float32.size();
    (0..frames)
        .map(|t| bytes.get(at(t)..).and_then(|rest| rest.first_chunk()).map(|b| f32::from_le_bytes(*b)))
        .collect::<Option<_>>()
        .ok_or_else(|| Error::Check(format!("{name} ends early")))
}

fn chunk(folder: &Path, name: &str, index: &[usize]) -> Result<Vec<u8>, Error> {
    let path = folder.join(name).join(formats::encode::zarr::chunk_key(index));
    std::fs::read(&path).map_err(|error| Error::Check(format!("{} cannot be read: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_for_a_cluster_is_the_same_job() {
        let example = manifest::parse(include_str!("../../crds/examples/demo.yaml")).unwrap();
        let ask = Demo { out: "out".into(), servers: 2, frames: 400, serve: false, progress: crate::args::ProgressKind::Plain };
        let demo = manifest::parse(&job(&ask, "demo-movie")).unwrap();
        assert_eq!(example.metadata.name, demo.metadata.name);
        // What only a cluster needs to be told, and what the demo finds out.
        let mut spec = example.spec;
        assert_eq!(spec.source.frame.take().map(|frame| (frame.height as usize, frame.width as usize)), Some((SIZE, SIZE)));
        spec.backoff_limit = None;
        spec.servers.as_mut().unwrap().resources = None;
        assert_eq!(spec, demo.spec);
    }
}
