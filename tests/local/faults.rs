//! Killing any process at any moment ends in the same bytes or in a stated reason.

use api::geometry::Dtype;
use nix::sys::signal::Signal;
use serde_json::Value;
use std::ops::Range;
use std::process::Command;
use std::time::Duration;
use tests::job::{Job, job};
use tests::movie::Movie;
use tests::place::{Place, Running};
use tests::processes::{Process, end_in_time};
use tests::source::FrameServer;
use tests::zarr::{Arrays, must_be_equal};
use tests::{until, within};

const MOVIE: Movie = Movie::of(40, 48, Dtype::Uint8);
const FRAMES: i64 = 48;
const SERVERS: usize = 3;
/// The last frames of each server.
const LAST: [i64; 3] = [15, 31, 47];

/// Frames of a server: slabs of four, four slabs each.
fn share(server: usize) -> Range<i64> {
    let first = server as i64 * 16;
    first..first + 16
}

/// A job that is being run over a source with held frames.
struct Stage {
    place: Place,
    source: FrameServer,
    running: Running,
    /// As first started, in order.
    servers: Vec<Process>,
}

fn the_job(source: &FrameServer) -> Job {
    let job = job(&source.url("{index}"), FRAMES as usize).frame_of(MOVIE).slabs_of(4);
    // Chunks so small that writing them takes a while.
    job.recenter(20, 24).rechunk([4, 2, 2]).fft("power").reduce_all()
}

impl Stage {
    fn holding(held: &[i64], more: &[&str]) -> Self {
        Self::of(held, more, |job| job)
    }

    fn of(held: &[i64], more: &[&str], change: impl Fn(Job) -> Job) -> Self {
        let (place, source) = (Place::default(), FrameServer::raw(MOVIE).holding(held.iter().copied()));
        let running = place.start_job("disturbed", &change(the_job(&source)), SERVERS, more);
        if held.is_empty() {
            source.release();
        } else {
            source.until_held(held.len());
        }
        until("all servers are up", || running.servers().len() == SERVERS);
        let servers = running.servers();
        Self { place, source, running, servers }
    }

    /// Kills a server, and waits until its frames are asked for again.
    fn lose(&self, server: usize) {
        self.servers[server].kill();
        until("all frames of the lost server are asked for again", || self.asked_again(server));
    }

    /// Whether every frame of a server was asked for twice.
    fn asked_again(&self, server: usize) -> bool {
        let requests = self.source.requests();
        share(server).all(|frame| requests.get(&frame).is_some_and(|&count| count >= 2))
    }

    /// Only the frames of the lost servers were fetched more than once.
    fn check_requests(source: &FrameServer, lost: &[usize]) {
        for (frame, count) in source.requests() {
            let server = (frame / 16) as usize;
            let allowed = 1 + lost.iter().filter(|&&id| id == server).count();
            assert_eq!(count, allowed, "requests for frame {frame}");
        }
    }

    /// The job ends as if nothing had happened.
    fn check(self, lost: &[usize]) {
        let Self { place, source, running, .. } = self;
        source.release();
        let (summary, arrays) = place.results_of("disturbed", running);
        Self::check_requests(&source, lost);
        assert!(restarts(&summary) >= 1, "{summary}");
        must_be_equal(&arrays, &undisturbed(), "after a loss");
        place.must_leave_nothing_but(&["disturbed.json", "disturbed"]);
    }
}

fn restarts(summary: &Value) -> u64 {
    summary["restarts"].as_u64().unwrap()
}

/// What the job gives when nothing goes wrong.
fn undisturbed() -> Arrays {
    let (place, source) = (Place::default(), FrameServer::raw(MOVIE));
    let (summary, arrays) = place.results("undisturbed", &the_job(&source), SERVERS);
    assert_eq!(restarts(&summary), 0);
    Stage::check_requests(&source, &[]);
    arrays
}

#[test]
fn a_server_lost_in_load_fetches_only_its_own_frames_again() {
    for server in 0..SERVERS {
        let stage = Stage::holding(&LAST, &[]);
        stage.lose(server);
        stage.check(&[server]);
    }
}

#[test]
fn a_server_lost_in_rechunk_restarts_only_its_slabs() {
    // One frame keeps every band from being whole: two servers have loaded, and pull.
    let mut stage = Stage::holding(&LAST[2..], &[]);
    stage.running.until_done("Load", FRAMES as u64 - 4);
    stage.lose(0);
    stage.check(&[0]);
}

#[test]
fn a_server_that_hangs_is_given_up() {
    let mut stage = Stage::holding(&LAST[2..], &[]);
    stage.running.until_done("Load", FRAMES as u64 - 4);
    stage.servers[1].stop();
    // Longer than any answer is waited for.
    assert!(within(Duration::from_secs(60), || stage.asked_again(1)), "the hung server's frames were not asked for again");
    assert!(end_in_time(&stage.servers[1..2]), "the hung server still lives");
    stage.check(&[1]);
}

#[test]
fn the_server_that_others_wait_for_may_be_lost() {
    let mut stage = Stage::holding(&LAST[2..], &[]);
    stage.running.until_done("Load", FRAMES as u64 - 4);
    stage.lose(2);
    stage.check(&[2]);
}

#[test]
fn two_servers_lost_one_after_the_other_come_back() {
    let mut stage = Stage::holding(&LAST[2..], &[]);
    stage.running.until_done("Load", FRAMES as u64 - 4);
    stage.lose(0);
    stage.lose(1);
    stage.check(&[0, 1]);
}

#[test]
fn a_server_lost_after_its_transform_does_it_again() {
    // Thousands of chunks are still to be written then.
    for server in 0..SERVERS {
        let mut stage = Stage::holding(&[], &[]);
        stage.running.until_done("Fft", 1);
        stage.lose(server);
        stage.check(&[server]);
    }
}

/// A slice of what is being served, once it can be had.
fn slice(place: &Place, of: &str) -> Vec<u8> {
    let mut told = String::new();
    let had = within(Duration::from_secs(20), || {
        let ended = place.call(["get", of, "power[:,3,5:9]", "-o", "slice.npy"]);
        told = ended.sentence();
        ended.code == Some(0)
    });
    assert!(had, "the slice cannot be had: {told}");
    std::fs::read(place.path("slice.npy")).unwrap()
}

/// The job goes on being served at the URL that is given.
fn check_loss_while_serving(server: usize, of: impl Fn(&str) -> String) -> (Stage, String) {
    let mut stage = Stage::holding(&[], &["--serve"]);
    let url = stage.running.until_served();
    let before = slice(&stage.place, &of(&url));
    stage.lose(server);
    until("three servers are up", || stage.running.servers().len() == SERVERS);
    assert_eq!(slice(&stage.place, &of(&url)), before);
    Stage::check_requests(&stage.source, &[server]);
    (stage, url)
}

#[test]
fn a_server_lost_while_serving_comes_back_with_the_same_bytes_and_says_why_it_was_lost() {
    let (stage, url) = check_loss_while_serving(1, str::to_owned);
    let mut asked = Command::new("curl");
    asked.args(["-sf", &url.replace("/?", "/api/v1/servers/1/tasks?")]);
    let told = stage.place.run(asked);
    told.must_succeed();
    let line: Value = serde_json::from_str(told.text().lines().next().unwrap()).unwrap();
    let why = "server 1 was restarted (killed by signal 9, perhaps for lack of memory): it loads its frames";
    assert!(line["marks"][0]["text"].as_str().unwrap().starts_with(why), "{}", line["marks"]);
    assert_eq!((&line["marks"][0]["kind"], &line["marks"][0]["count"]), (&"replaced".into(), &1.into()));
}

#[test]
fn the_front_door_is_found_by_name_after_its_server_is_lost() {
    let _ = check_loss_while_serving(0, |_| "disturbed".to_owned());
}

#[test]
fn without_a_backoff_limit_the_first_loss_ends_the_job() {
    let stage = Stage::of(&LAST, &[], |job| job.backoff_limit(0));
    stage.servers[1].kill();
    let ended = stage.running.end();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let sentence = ended.sentence();
    assert!(sentence.contains("BackoffLimitExceeded") && sentence.contains("backoffLimit"), "{sentence}");
    stage.place.must_leave_nothing_but(&["disturbed.json"]);
}

#[test]
fn a_server_that_is_lost_again_and_again_ends_the_job() {
    let stage = Stage::of(&LAST, &[], |job| job.backoff_limit(2));
    for loss in 0..3 {
        until("three servers are up", || stage.running.servers().len() == SERVERS);
        stage.source.until_held(3 + loss);
        let server = stage.running.servers().into_iter().max().unwrap();
        server.kill();
    }
    let ended = stage.running.end();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.sentence().contains("after 2 restarts"), "{}", ended.sentence());
    stage.place.must_leave_nothing_but(&["disturbed.json"]);
}

#[test]
fn servers_end_with_their_parent_however_suddenly() {
    let stage = Stage::holding(&LAST, &[]);
    stage.running.signal(Signal::SIGKILL);
    assert!(end_in_time(&stage.servers), "some of {:?} still live", stage.servers);
}

fn check_stop(signal: Signal, held: &[i64]) {
    let mut stage = Stage::holding(held, &[]);
    if held.is_empty() {
        // Outputs are being written by then.
        stage.running.until_done("Fft", 1);
    }
    stage.running.signal(signal);
    assert!(end_in_time(&stage.servers), "some of {:?} still live after {signal}", stage.servers);
    let ended = stage.running.end();
    assert_eq!(ended.code, Some(130), "{}", ended.stderr);
    assert!(!stage.place.path("disturbed").exists(), "the out folder was made");
    stage.place.must_leave_nothing_but(&["disturbed.json"]);
}

#[test]
fn ctrl_c_in_load_leaves_nothing_behind() {
    check_stop(Signal::SIGINT, &LAST);
}

#[test]
fn ctrl_c_while_outputs_are_written_leaves_nothing_behind() {
    check_stop(Signal::SIGINT, &[]);
}

#[test]
fn a_polite_request_to_end_leaves_nothing_behind() {
    check_stop(Signal::SIGTERM, &LAST);
}
