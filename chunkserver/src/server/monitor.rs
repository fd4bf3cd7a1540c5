//! Probes and metrics for monitoring. The routes are read-only and contain no secrets.

use crate::worker::Worker;
use api::phase::{PhaseProgress, Progress};
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use journal::system::rss_bytes;
use std::fmt::Write as _;
use std::sync::Arc;

/// The text format of Prometheus, version 0.0.4 (<https://prometheus.io/docs/instrumenting/exposition_formats/>).
const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The liveness and readiness probe. A response means that the server listens: no port is served before all ports are bound.
pub(super) async fn alive() -> &'static str {
    "ok\n"
}

/// Progress and memory as metrics.
pub(super) async fn metrics(State(worker): State<Arc<Worker>>) -> impl IntoResponse {
    // Read before the peak, so that the peak is never smaller.
    let resident = rss_bytes();
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], text(&worker.progress(), resident))
}

fn text(progress: &Progress, resident: u64) -> String {
    let mut text = String::new();
    for (name, kind, help, value) in PHASE_METRICS {
        family(&mut text, name, kind, help);
        for phase in &progress.phases {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{name}{{phase=\"{}\"}} {}", phase.phase, value(phase));
        }
    }
    for (name, help, value) in [
        ("arrayjob_server_peak_resident_bytes", "Largest resident memory since the start.", progress.peak_rss_bytes),
        ("arrayjob_server_resident_bytes", "Current resident memory.", resident),
    ] {
        family(&mut text, name, "gauge", help);
        let _ = writeln!(text, "{name} {value}");
    }
    let name = "arrayjob_server_checksum_mismatches_total";
    family(&mut text, name, "counter", "Blocks requested again, shares loaded again and reads refused, because of another checksum.");
    let _ = writeln!(text, "{name} {}", progress.checksum_mismatches);
    family(&mut text, "arrayjob_server_info", "gauge", "The version of the program.");
    let _ = writeln!(text, "arrayjob_server_info{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION"));
    text
}

type PhaseMetric = (&'static str, &'static str, &'static str, fn(&PhaseProgress) -> u64);

const PHASE_METRICS: [PhaseMetric; 4] = [
    ("arrayjob_server_phase_done", "gauge", "Finished units: frames or bands.", |phase| phase.done),
    ("arrayjob_server_phase_total", "gauge", "Total units of this server's share.", |phase| phase.total),
    ("arrayjob_server_phase_bytes_total", "counter", "Bytes fetched, cropped, pulled or computed.", |phase| phase.bytes),
    ("arrayjob_server_phase_retries_total", "counter", "Attempts beyond the first.", |phase| phase.retries),
];

fn family(text: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
}
