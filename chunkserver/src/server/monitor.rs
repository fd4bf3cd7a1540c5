//! Probes and metrics, for machines that watch machines: nothing here is secret, and nothing can be changed.

use crate::worker::Worker;
use api::phase::{PhaseProgress, Progress};
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use journal::system::rss_bytes;
use std::fmt::Write as _;
use std::sync::Arc;

/// The text format of Prometheus.
const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// That the runtime answers, and with it that the server listens: no port is served before all are bound.
pub(super) async fn alive() -> &'static str {
    "ok\n"
}

/// How far the worker is, as numbers.
pub(super) async fn metrics(State(worker): State<Arc<Worker>>) -> impl IntoResponse {
    // In this order: the largest so far is never less than what was before.
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
        ("arrayjob_server_peak_resident_bytes", "Largest resident memory so far.", progress.peak_rss_bytes),
        ("arrayjob_server_resident_bytes", "Resident memory now.", resident),
    ] {
        family(&mut text, name, "gauge", help);
        let _ = writeln!(text, "{name} {value}");
    }
    family(&mut text, "arrayjob_server_info", "gauge", "The program.");
    let _ = writeln!(text, "arrayjob_server_info{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION"));
    text
}

type PhaseMetric = (&'static str, &'static str, &'static str, fn(&PhaseProgress) -> u64);

const PHASE_METRICS: [PhaseMetric; 4] = [
    ("arrayjob_server_phase_done", "gauge", "Units done: frames, or bands.", |phase| phase.done),
    ("arrayjob_server_phase_total", "gauge", "Units in all of this server's share.", |phase| phase.total),
    ("arrayjob_server_phase_bytes_total", "counter", "Bytes fetched, cropped, pulled or made.", |phase| phase.bytes),
    ("arrayjob_server_phase_retries_total", "counter", "Attempts beyond the first.", |phase| phase.retries),
];

fn family(text: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
}
