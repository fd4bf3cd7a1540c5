//! A killed command leaves files; the next command that finds them removes them, and no file of a command that runs.

use api::geometry::Dtype;
use nix::sys::signal::Signal;
use serde_json::json;
use std::time::Duration;
use tests::job::{Job, job};
use tests::movie::Movie;
use tests::place::Place;
use tests::source::FrameServer;
use tests::within;
use tests::zarr::must_be_equal;

const MOVIE: Movie = Movie::of(40, 48, Dtype::Uint8);
const SERVERS: usize = 2;

/// Small chunks make Write slow.
fn the_job(place: &Place, source: &FrameServer) -> Job {
    let job = job(&source.url("{index}"), 48).frame_of(MOVIE).slabs_of(4).rechunk([4, 2, 2]).fft("power").storage("Disk");
    let url = |name: &str| format!("file://{}", place.path(name).display());
    job.output("power", &url("power.zarr"), &json!({"chunks": [4, 2, 2]})).output("power[0]", &url("power.npy"), &json!({}))
}

fn names(place: &Place, folder: &str) -> Vec<String> {
    let entries = std::fs::read_dir(place.path(folder)).into_iter().flatten();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn partial(place: &Place) -> Vec<String> {
    names(place, "").into_iter().filter(|name| name.contains(".partial-")).collect()
}

fn until_no_process(place: &Place) {
    assert!(within(Duration::from_secs(2), || place.processes().is_empty()), "{:?} are left", place.processes());
}

#[test]
fn the_run_after_a_killed_run_leaves_nothing() {
    let (place, source) = (Place::default(), FrameServer::raw(MOVIE));
    let mut running = place.start_job("killed", &the_job(&place, &source), SERVERS, &[]);
    running.until_done("Write", 1);
    running.signal(Signal::SIGKILL);
    drop(running);
    until_no_process(&place);
    assert!(!partial(&place).is_empty() && !names(&place, "scratch").is_empty(), "the killed run leaves files");
    place.results("killed", &the_job(&place, &source), SERVERS);
    place.must_leave_nothing_but(&["killed.json", "killed", "power.zarr", "power.npy", "zarr.json"]);
}

#[test]
fn two_runs_at_once_keep_their_files() {
    let place = Place::default();
    let (held, other) = (FrameServer::raw(MOVIE).holding([47]), FrameServer::raw(MOVIE));
    let first = place.start_job("first", &the_job(&place, &held), SERVERS, &[]);
    held.until_held(1);
    let before = (partial(&place), names(&place, "scratch"));
    assert!(!before.0.is_empty() && !before.1.is_empty(), "{before:?}");
    let outputs = job(&other.url("{index}"), 48).frame_of(MOVIE).slabs_of(4).rechunk([4, 2, 2]).fft("power").storage("Disk");
    let (_, expected) = place.results("second", &outputs, SERVERS);
    assert_eq!((partial(&place), names(&place, "scratch")), before, "the second run removes its own files only");
    held.release();
    let (_, arrays) = place.results_of("first", first);
    must_be_equal(&arrays, &expected, "two runs at once");
}

/// Kills the command of a served job, which leaves its entry.
fn kill_while_serving(place: &Place, job: &Job) {
    let mut running = place.start_job("killed", job, SERVERS, &["--serve"]);
    running.until_served();
    assert_eq!(names(place, "served/arrayjob"), ["killed"]);
    running.signal(Signal::SIGKILL);
    drop(running);
    until_no_process(place);
    assert_eq!(names(place, "served/arrayjob"), ["killed"], "the killed command leaves its entry");
}

#[test]
fn a_job_whose_command_was_killed_is_not_listed_any_more() {
    let (place, source) = (Place::default(), FrameServer::raw(MOVIE));
    kill_while_serving(&place, &job(&source.url("{index}"), 48).frame_of(MOVIE).fft("power"));
    let ended = place.call(["get", "killed", "power[0]", "-o", "slice.npy"]);
    assert!(ended.code == Some(1) && ended.sentence().contains("no job 'killed' is served"), "{}", ended.sentence());
    assert!(names(&place, "served/arrayjob").is_empty());
}

#[test]
fn a_run_that_serves_nothing_removes_the_entry_of_a_killed_run() {
    let (place, source) = (Place::default(), FrameServer::raw(MOVIE));
    let job = job(&source.url("{index}"), 48).frame_of(MOVIE).fft("power");
    kill_while_serving(&place, &job);
    place.results("next", &job, SERVERS);
    assert!(names(&place, "served/arrayjob").is_empty(), "the entry of the killed run is left");
}

#[test]
fn a_served_job_stays_listed_while_other_commands_look_for_jobs() {
    let (place, source) = (Place::default(), FrameServer::raw(MOVIE));
    let job = job(&source.url("{index}"), 48).frame_of(MOVIE).fft("power");
    let mut running = place.start_job("served", &job, SERVERS, &["--serve"]);
    running.until_served();
    for _ in 0..3 {
        assert_eq!(place.call(["get", "other", "power[0]"]).code, Some(1));
        place.call(["get", "served", "power[0]", "-o", "slice.npy"]).must_succeed();
    }
}
