//! Readers of Zarr take a missing chunk for zeros, so that none may ever be missing: it is waited for, or refused.

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
/// Frames of the second server: slabs of four, four slabs each.
const SECOND: Range<i64> = 16..32;

/// A served job of three servers, and a reader at work.
struct Stage {
    place: Place,
    source: FrameServer,
    running: Running,
    reading: JoinHandle<Result<String, String>>,
}

fn the_job(source: &FrameServer) -> Job {
    job(&source.url("{index}"), 48).frame_of(MOVIE).slabs_of(4).recenter(20, 24).fft("power")
}

impl Stage {
    /// Starts both, and waits until the reader has read all there is.
    fn of(how: &'static str) -> Self {
        let (place, source) = (Place::default(), FrameServer::raw(MOVIE));
        let mut running = place.start_job("read", &the_job(&source), SERVERS, &["--serve"]);
        let url = running.until_served();
        let marks = place.path("").to_str().unwrap().to_owned();
        let reading = std::thread::spawn(move || python_process("partial", &[how, &url, &marks], &[]));
        let stage = Self { place, source, running, reading };
        stage.until_marked("ready");
        stage
    }

    /// Waits until the reader has come so far.
    fn until_marked(&self, mark: &str) {
        until(&format!("the reader is {mark}"), || self.reading.is_finished() || self.place.path(mark).exists());
    }

    fn mark(&self, mark: &str) {
        self.place.write(mark, b"");
    }

    /// What the reader has seen.
    fn seen(self) -> Value {
        self.mark("over");
        let said = self.reading.join().unwrap().unwrap_or_else(|said| panic!("{said}"));
        serde_json::from_str(&said).unwrap()
    }
}

#[test]
fn what_is_not_there_is_waited_for_and_then_refused_and_comes_in_the_end() {
    let stage = Stage::of("waits");
    stage.source.set_faults(SECOND, &Fault::Held);
    stage.running.servers()[1].kill();
    stage.source.until_held(1);
    stage.mark("held");
    stage.until_marked("seen");
    stage.source.release();
    let seen = stage.seen();
    assert!(seen["chunk: 503"].as_u64() >= Some(1), "{seen}");
}

#[test]
fn a_server_lost_while_somebody_reads_is_waited_for() {
    let stage = Stage::of("reads");
    stage.running.servers()[1].kill();
    until("three servers are up", || stage.running.servers().len() == SERVERS);
    let seen = stage.seen();
    assert!(seen["zarr: right"].as_u64() >= Some(4), "{seen}");
    let errors: Vec<&String> = seen.as_object().unwrap().keys().filter(|key| !key.ends_with(": right")).collect();
    assert!(errors.is_empty(), "a loss that is made good within seconds was seen: {seen}");
}

#[test]
fn a_front_door_lost_while_somebody_reads_is_an_error() {
    let stage = Stage::of("reads");
    stage.running.servers()[0].kill();
    stage.until_marked("seen");
    let seen = stage.seen();
    assert!(seen["chunk: 0"].as_u64() >= Some(1), "{seen}");
}

#[test]
fn a_job_that_fails_while_somebody_reads_is_an_error() {
    let stage = Stage::of("reads");
    // When its frames are asked for again, there are none any more.
    stage.source.set_faults(SECOND, &Fault::Missing);
    stage.running.servers()[1].kill();
    stage.until_marked("seen");
    let Stage { place, running, reading, .. } = stage;
    let ended = running.end();
    assert!(ended.code == Some(1) && ended.sentence().contains("SourceUnavailable"), "{}", ended.stderr);
    place.write("over", b"");
    let said = reading.join().unwrap().unwrap_or_else(|said| panic!("{said}"));
    let seen: Value = serde_json::from_str(&said).unwrap();
    assert!(seen["chunk: 0"].as_u64() >= Some(1), "{seen}");
}
