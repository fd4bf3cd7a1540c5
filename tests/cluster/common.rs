//! Jobs that several tests run, and what they have to give.

use std::sync::OnceLock;
use std::time::Duration;
use tests::cluster::{Applied, Slices, seconds};
use tests::job::{Job, job};

/// Longer than any of these jobs takes on a slow machine.
pub(crate) const PATIENCE: Duration = seconds(120);
/// Servers of each job.
pub(crate) const SERVERS: usize = 3;
/// Within so many seconds people are told what stands in the way.
pub(crate) const SOON: Duration = seconds(30);

/// A small job, done within seconds.
pub(crate) fn quick_job(url: &str) -> Job {
    let job = job(url, 60).frame(512, 512, "uint8").recenter(128, 128).fft("power").reduce(&["mean"]);
    job.keep(&["raw", "recentered", "power"]).servers(2).each("500m", "128Mi")
}

/// The movie of the quick job.
pub(crate) const QUICK_MOVIE: [&str; 2] = ["--frames", "60"];

/// What the quick job gives on one machine.
pub(crate) fn quick_slices() -> &'static Slices {
    static SLICES: OnceLock<Slices> = OnceLock::new();
    SLICES.get_or_init(|| Slices::of_job(&QUICK_MOVIE, &["power", "power[:,10,10]", "raw[3]", "centroids", "raw_mean_frame"], quick_job))
}

/// Frames of the slow job.
const FRAMES: usize = 240;

/// A job that takes a while in each phase: large arrays, and servers that are given a fraction of a processor.
pub(crate) fn slow_job(url: &str) -> Job {
    let job = job(url, FRAMES).frame(512, 512, "uint8").slabs_of(8).concurrency(4);
    job.recenter(512, 512).fft("power").reduce(&["mean"]).servers(SERVERS).each("250m", "256Mi")
}

/// The slow job's movie: each frame a moment late, so that loading takes a while.
pub(crate) const SLOW_MOVIE: [&str; 4] = ["--frames", "240", "--delay-ms", "200"];

/// What the slow job gives on one machine.
pub(crate) fn slow_slices() -> &'static Slices {
    static SLICES: OnceLock<Slices> = OnceLock::new();
    let selections = ["power[:,::32,::8]", "recentered[::20]", "centroids", "raw_mean_frame", "power_mean_trace"];
    SLICES.get_or_init(|| Slices::of_job(&SLOW_MOVIE[..2], &selections, slow_job))
}

/// What of the job's own doing is counted: failures by themselves, servers taken away, and the column RESTARTS.
pub(crate) fn losses(job: &Applied<'_>) -> [u64; 3] {
    let status = job.status();
    let number = |value: &serde_json::Value| value.as_u64().unwrap_or(0);
    let (failures, servers) = (&status["failures"], &status["servers"]);
    [number(&failures["counted"]), number(&failures["uncounted"]), number(&servers["restarts"])]
}
