//! Zarr readers replace a missing chunk with zeros. Therefore a server never returns 404 for an existing chunk: the request waits, or
//! fails with another error.

use api::geometry::Dtype;
use serde_json::Value;
use std::ops::Range;
use std::thread::JoinHandle;
use tests::job::{Job, job};
use tests::movie::Movie;
use tests::place::{Place, Running};
use tests::referee::python_process;
use tests::source::{Fault, FrameServer};
use tests::until;

const MOVIE: Movie = Movie::of(40, 48, Dtype::Uint8);
const SERVERS: usize = 3;
/// The frames of server 1: four slabs of four frames.
const SECOND: Range<i64> = 16..32;

/// A served job of three servers, and a reader in a separate process.
struct Setup {
    place: Place,
    source: FrameServer,
    running: Running,
    reading: JoinHandle<Result<String, String>>,
}

fn the_job(source: &FrameServer) -> Job {
    job(&source.url("{index}"), 48).frame_of(MOVIE).slabs_of(4).recenter(20, 24).fft("power")
}

impl Setup {
    /// Starts both, and waits until the reader has read all arrays once.
    fn of(how: &'static str) -> Self {
        let (place, source) = (Place::default(), FrameServer::raw(MOVIE));
        let mut running = place.start_job("read", &the_job(&source), SERVERS, &["--serve"]);
        let url = running.until_served();
        let marks = place.path("").to_str().unwrap().to_owned();
        let reading = std::thread::spawn(move || python_process("partial", &[how, &url, &marks], &[]));
        let setup = Self { place, source, running, reading };
        setup.until_marked("ready");
        setup
    }

    /// Waits until the reader has written the mark, or has ended.
    fn until_marked(&self, mark: &str) {
        until(&format!("the reader writes the mark {mark}"), || self.reading.is_finished() || self.place.path(mark).exists());
    }

    fn mark(&self, mark: &str) {
        self.place.write(mark, b"");
    }

    /// Ends the reader; returns its counts of observations.
    fn seen(self) -> Value {
        self.mark("over");
        let output = self.reading.join().unwrap().unwrap_or_else(|output| panic!("{output}"));
        serde_json::from_str(&output).unwrap()
    }
}

#[test]
fn a_request_for_a_missing_chunk_waits_then_fails_with_503_then_succeeds() {
    let setup = Setup::of("waits");
    setup.source.set_faults(SECOND, &Fault::Held);
    setup.running.servers()[1].kill();
    setup.source.until_held(1);
    setup.mark("held");
    setup.until_marked("seen");
    setup.source.release();
    let seen = setup.seen();
    assert!(seen["chunk: 503"].as_u64() >= Some(1), "{seen}");
}

#[test]
fn a_read_waits_for_the_replacement_of_a_lost_server() {
    let setup = Setup::of("reads");
    setup.running.servers()[1].kill();
    until("three servers run", || setup.running.servers().len() == SERVERS);
    let seen = setup.seen();
    assert!(seen["zarr: right"].as_u64() >= Some(4), "{seen}");
    let errors: Vec<&String> = seen.as_object().unwrap().keys().filter(|key| !key.ends_with(": right")).collect();
    assert!(errors.is_empty(), "a reader saw the loss of a server that was replaced within seconds: {seen}");
}

#[test]
fn a_read_fails_when_the_front_door_is_lost() {
    let setup = Setup::of("reads");
    setup.running.servers()[0].kill();
    setup.until_marked("seen");
    let seen = setup.seen();
    assert!(seen["chunk: 0"].as_u64() >= Some(1), "{seen}");
}

#[test]
fn a_read_fails_when_the_job_fails() {
    let setup = Setup::of("reads");
    // The frames no longer exist when the new server requests them.
    setup.source.set_faults(SECOND, &Fault::Missing);
    setup.running.servers()[1].kill();
    setup.until_marked("seen");
    let Setup { place, running, reading, .. } = setup;
    let ended = running.end();
    assert!(ended.code == Some(1) && ended.sentence().contains("SourceUnavailable"), "{}", ended.stderr);
    place.write("over", b"");
    let output = reading.join().unwrap().unwrap_or_else(|output| panic!("{output}"));
    let seen: Value = serde_json::from_str(&output).unwrap();
    assert!(seen["chunk: 0"].as_u64() >= Some(1), "{seen}");
}
