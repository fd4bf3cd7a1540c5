//! A source that changes while a job runs: frames that are fetched again after the loss of a server must be the frames of the first fetch.

use api::geometry::Dtype;
use tests::job::{Job, job};
use tests::movie::Movie;
use tests::place::{Place, Running};
use tests::source::{Fault, FrameServer};
use tests::until;
use tests::zarr::must_be_equal;

const MOVIE: Movie = Movie::of(40, 48, Dtype::Uint8);
const FRAMES: i64 = 24;
const SERVERS: usize = 2;
/// A frame of server 1, which the tests hold, so that the job waits.
const HELD: i64 = 23;
/// A frame of server 0.
const CHANGED: i64 = 5;

fn the_job(source: &FrameServer) -> Job {
    job(&source.url("{index}"), FRAMES as usize).frame_of(MOVIE).slabs_of(4).rechunk([-1, 8, 8]).fft("power").reduce(&["mean"])
}

/// A job that has loaded every frame but one.
fn almost_loaded(source: &FrameServer, place: &Place, the_job: &Job) -> Running {
    let mut running = place.start_job("changed", the_job, SERVERS, &[]);
    source.until_held(1);
    running.until_done("Load", FRAMES as u64 - 4);
    running
}

/// Kills server 0, and waits until its frames are requested again.
fn lose_server_0(source: &FrameServer, running: &Running) {
    let servers = running.servers();
    until("all servers run", || running.servers().len() == SERVERS);
    servers.into_iter().min().unwrap().kill();
    until("the changed frame is requested again", || source.requests().get(&CHANGED).is_some_and(|&count| count >= 2));
}

#[test]
fn a_frame_that_changed_before_its_second_fetch_fails_the_job() {
    let (place, source) = (Place::default(), FrameServer::raw(MOVIE).holding([HELD]));
    let running = almost_loaded(&source, &place, &the_job(&source));
    source.set_faults([CHANGED], &Fault::Instead(MOVIE.raw(CHANGED + 1)));
    lose_server_0(&source, &running);
    source.release();
    let ended = running.end();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let sentence = ended.sentence();
    assert!(sentence.contains("SourceChanged: ") && sentence.contains("frame 5 was fetched again"), "{sentence}");
    assert!(sentence.contains(&source.url("5")), "the URL is missing: {sentence}");
    place.must_leave_nothing_but(&["changed.json"]);
}

#[test]
fn a_blank_frame_stays_blank_when_its_second_fetch_succeeds() {
    let (place, source) = (Place::default(), FrameServer::raw(MOVIE).holding([HELD]).with(CHANGED, Fault::Missing));
    let the_job = the_job(&source).blank();
    let running = almost_loaded(&source, &place, &the_job);
    source.set_faults([CHANGED], &Fault::Held);
    source.release();
    lose_server_0(&source, &running);
    let (summary, disturbed) = place.results_of("changed", running);
    assert_eq!(summary["frames_blank"], serde_json::json!([CHANGED]));
    let (undisturbed, source) = (Place::default(), FrameServer::raw(MOVIE).with(CHANGED, Fault::Missing));
    let job = self::the_job(&source).blank();
    must_be_equal(&disturbed, &undisturbed.results("undisturbed", &job, SERVERS).1, "with a blank frame");
}

#[test]
fn a_frame_that_vanished_before_its_second_fetch_fails_the_job_even_with_on_error_blank() {
    let (place, source) = (Place::default(), FrameServer::raw(MOVIE).holding([HELD]));
    let the_job = the_job(&source).blank();
    let running = almost_loaded(&source, &place, &the_job);
    source.set_faults([CHANGED], &Fault::Missing);
    lose_server_0(&source, &running);
    source.release();
    let ended = running.end();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let sentence = ended.sentence();
    assert!(sentence.contains("SourceChanged: ") && sentence.contains("frame 5 was readable before"), "{sentence}");
}

#[test]
fn a_damaged_frame_is_fetched_once_more() {
    let damaged = |index: i64| {
        let mut png = MOVIE.png(index);
        let middle = png.len() / 2;
        png[middle] ^= 1;
        png
    };
    let (place, source) = (Place::default(), FrameServer::png(MOVIE));
    let source = source.with(CHANGED, Fault::InsteadOnce(damaged(CHANGED)));
    let (summary, repaired) = place.results("repaired", &the_job(&source), SERVERS);
    assert_eq!(source.requests()[&CHANGED], 2);
    assert_eq!(summary["phases"][0]["retries"], 1, "{summary}");
    let undamaged = FrameServer::png(MOVIE);
    must_be_equal(&repaired, &Place::default().results("undamaged", &the_job(&undamaged), SERVERS).1, "after a second fetch");

    let (place, source) = (Place::default(), FrameServer::png(MOVIE).with(CHANGED, Fault::Instead(damaged(CHANGED))));
    let ended = place.start_job("damaged", &the_job(&source), SERVERS, &[]).end();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.sentence().contains("ChunkDecodeFailed: cannot decode frame 5"), "{}", ended.sentence());
    assert_eq!(source.requests()[&CHANGED], 2);
}
