//! Connections without the token.

use api::geometry::Dtype;
use std::net::TcpStream;
use std::time::{Duration, Instant};
use tests::http;
use tests::job::job;
use tests::movie::Movie;
use tests::place::Place;
use tests::source::FrameServer;

/// Idle connections, unless the limit of open files is lower.
const IDLE: usize = 5000;
/// Files that the test keeps for itself.
const OWN_FILES: usize = 100;
/// The system repeats a connection attempt after a second while the queue of new connections is full, and again after two more.
const LIMIT: Duration = Duration::from_secs(3);

/// The limit of open files of this process.
fn open_files() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap_or(usize::MAX)
}

#[test]
fn idle_connections_do_not_delay_a_reader() {
    let (place, source) = (Place::default(), FrameServer::raw(Movie::of(20, 30, Dtype::Uint8)));
    let job = job(&source.url("{index}"), 8).frame(20, 30, "uint8").slabs_of(4).reduce(&["mean"]);
    let mut running = place.start_job("served", &job, 1, &["--serve"]);
    let url = running.until_served();
    let (base, token) = url.split_once("/?token=").unwrap();
    let host = base.strip_prefix("http://").unwrap();
    let count = IDLE.min(open_files().saturating_sub(OWN_FILES));
    for round in 0..3 {
        let idle: Vec<TcpStream> = (0..count).map_while(|_| TcpStream::connect(host).ok()).collect();
        let started = Instant::now();
        let (status, _) = http::get(&format!("{base}/api/v1/status"), &[("authorization", &format!("Bearer {token}"))]);
        let took = started.elapsed();
        assert!(status == 200 && took < LIMIT, "round {round}: {status} after {took:?} with {} connections", idle.len());
    }
}
