//! Jobs of several tests, and their expected results.

use std::sync::OnceLock;
use std::time::Duration;
use tests::cluster::{Applied, Slices, seconds};
use tests::job::{Job, job};

/// Longer than each of these jobs takes on a slow machine.
pub(crate) const TIMEOUT: Duration = seconds(120);
/// Number of servers of the slow job.
pub(crate) const SERVERS: usize = 3;
/// Time limit for a problem or a change to appear in the status.
pub(crate) const STATUS_TIMEOUT: Duration = seconds(30);

/// A small job, which completes within seconds.
pub(crate) fn quick_job(url: &str) -> Job {
    let job = job(url, 60).frame(512, 512, "uint8").recenter(128, 128).fft("power").reduce(&["mean"]);
    job.keep(&["raw", "recentered", "power"]).servers(2).each("500m", "128Mi")
}

/// Arguments of `arrayjob movie` for the quick job.
pub(crate) const QUICK_MOVIE: [&str; 2] = ["--frames", "60"];

/// Results of the quick job on one machine.
pub(crate) fn quick_slices() -> &'static Slices {
    static SLICES: OnceLock<Slices> = OnceLock::new();
    SLICES.get_or_init(|| Slices::of_job(&QUICK_MOVIE, &["power", "power[:,10,10]", "raw[3]", "centroids", "raw_mean_frame"], quick_job))
}

/// Frames of the slow job.
const FRAMES: usize = 240;

/// A job that takes some time in each phase: large arrays, and servers with a fraction of a processor.
pub(crate) fn slow_job(url: &str) -> Job {
    let job = job(url, FRAMES).frame(512, 512, "uint8").slabs_of(8).concurrency(4);
    job.recenter(512, 512).fft("power").reduce(&["mean"]).servers(SERVERS).each("250m", "256Mi")
}

/// Arguments of `arrayjob movie` for the slow job: a delayed response for each frame makes Load slow.
pub(crate) const SLOW_MOVIE: [&str; 4] = ["--frames", "240", "--delay-ms", "200"];

/// Results of the slow job on one machine.
pub(crate) fn slow_slices() -> &'static Slices {
    static SLICES: OnceLock<Slices> = OnceLock::new();
    let selections = ["power[:,::32,::8]", "recentered[::20]", "centroids", "raw_mean_frame", "power_mean_trace"];
    SLICES.get_or_init(|| Slices::of_job(&SLOW_MOVIE[..2], &selections, slow_job))
}

/// Counters of lost servers: failures, servers that were taken away, and the column RESTARTS.
pub(crate) fn losses(job: &Applied<'_>) -> [u64; 3] {
    let status = job.status();
    let number = |value: &serde_json::Value| value.as_u64().unwrap_or(0);
    let (failures, servers) = (&status["failures"], &status["servers"]);
    [number(&failures["counted"]), number(&failures["uncounted"]), number(&servers["restarts"])]
}
