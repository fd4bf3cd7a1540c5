//! After the kill of any process at any moment, the job gives identical results or fails with a stated reason.

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
/// The last frame of each server.
const LAST: [i64; 3] = [15, 31, 47];

/// The frames of a server: four slabs of four frames.
fn share(server: usize) -> Range<i64> {
    let first = server as i64 * 16;
    first..first + 16
}

/// A running job over a source with held frames.
struct Setup {
    place: Place,
    source: FrameServer,
    running: Running,
    /// The first server processes, in order of their start.
    servers: Vec<Process>,
}

fn the_job(source: &FrameServer) -> Job {
    let job = job(&source.url("{index}"), FRAMES as usize).frame_of(MOVIE).slabs_of(4);
    // Small chunks make Write slow.
    job.recenter(20, 24).rechunk([4, 2, 2]).fft("power").reduce_all()
}

impl Setup {
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
        until("all servers run", || running.servers().len() == SERVERS);
        let servers = running.servers();
        Self { place, source, running, servers }
    }

    /// Kills a server, and waits until all its frames are requested again.
    fn kill_server(&self, server: usize) {
        self.servers[server].kill();
        until("all frames of the lost server are requested again", || self.requested_again(server));
    }

    /// Whether every frame of a server was requested twice.
    fn requested_again(&self, server: usize) -> bool {
        let requests = self.source.requests();
        share(server).all(|frame| requests.get(&frame).is_some_and(|&count| count >= 2))
    }

    /// Checks that only the frames of lost servers were fetched more than once.
    fn check_requests(source: &FrameServer, lost: &[usize]) {
        for (frame, count) in source.requests() {
            let server = (frame / 16) as usize;
            let allowed = 1 + lost.iter().filter(|&&id| id == server).count();
            assert_eq!(count, allowed, "requests for frame {frame}");
        }
    }

    /// Checks that the job completes with the results of an undisturbed job.
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

/// The results of the job without faults.
fn undisturbed() -> Arrays {
    let (place, source) = (Place::default(), FrameServer::raw(MOVIE));
    let (summary, arrays) = place.results("undisturbed", &the_job(&source), SERVERS);
    assert_eq!(restarts(&summary), 0);
    Setup::check_requests(&source, &[]);
    arrays
}

#[test]
fn a_server_lost_in_load_fetches_only_its_own_frames_again() {
    for server in 0..SERVERS {
        let setup = Setup::holding(&LAST, &[]);
        // The last frame may be requested before another one.
        until("all frames are requested", || setup.source.requests().len() == FRAMES as usize);
        setup.kill_server(server);
        setup.check(&[server]);
    }
}

#[test]
fn a_server_lost_in_rechunk_restarts_only_its_slabs() {
    // One held frame keeps every band incomplete. Two servers have loaded all frames, and pull blocks.
    let mut setup = Setup::holding(&LAST[2..], &[]);
    setup.running.until_done("Load", FRAMES as u64 - 4);
    setup.kill_server(0);
    setup.check(&[0]);
}

#[test]
fn a_server_that_hangs_is_replaced() {
    let mut setup = Setup::holding(&LAST[2..], &[]);
    setup.running.until_done("Load", FRAMES as u64 - 4);
    setup.servers[1].stop();
    // The limit is longer than the request timeout of the loop.
    assert!(within(Duration::from_secs(60), || setup.requested_again(1)), "the frames of the hung server were not requested again");
    assert!(end_in_time(&setup.servers[1..2]), "the hung server is still alive");
    setup.check(&[1]);
}

#[test]
fn a_server_that_others_wait_for_is_replaced() {
    let mut setup = Setup::holding(&LAST[2..], &[]);
    setup.running.until_done("Load", FRAMES as u64 - 4);
    setup.kill_server(2);
    setup.check(&[2]);
}

#[test]
fn two_servers_lost_in_sequence_are_replaced() {
    let mut setup = Setup::holding(&LAST[2..], &[]);
    setup.running.until_done("Load", FRAMES as u64 - 4);
    setup.kill_server(0);
    setup.kill_server(1);
    setup.check(&[0, 1]);
}

#[test]
fn a_server_lost_after_its_transform_repeats_only_its_share() {
    // Thousands of chunks are not yet written at this point.
    for server in 0..SERVERS {
        let mut setup = Setup::holding(&[], &[]);
        setup.running.until_done("Fft", 1);
        setup.kill_server(server);
        setup.check(&[server]);
    }
}

/// Waits for a slice of the served job; returns it as .npy.
fn slice(place: &Place, of: &str) -> Vec<u8> {
    let mut message = String::new();
    let available = within(Duration::from_secs(20), || {
        let ended = place.call(["get", of, "power[:,3,5:9]", "-o", "slice.npy"]);
        message = ended.sentence();
        ended.code == Some(0)
    });
    assert!(available, "the slice is not available: {message}");
    std::fs::read(place.path("slice.npy")).unwrap()
}

/// Kills a server of a served job, and checks that the slice is available again. `of` returns the target for `arrayjob get`.
fn check_loss_while_serving(server: usize, of: impl Fn(&str) -> String) -> (Setup, String) {
    let mut setup = Setup::holding(&[], &["--serve"]);
    let url = setup.running.until_served();
    let before = slice(&setup.place, &of(&url));
    setup.kill_server(server);
    until("three servers run", || setup.running.servers().len() == SERVERS);
    assert_eq!(slice(&setup.place, &of(&url)), before);
    Setup::check_requests(&setup.source, &[server]);
    (setup, url)
}

#[test]
fn a_server_lost_while_serving_returns_the_same_bytes_and_the_reason_of_the_loss() {
    let (setup, url) = check_loss_while_serving(1, str::to_owned);
    let mut curl = Command::new("curl");
    curl.args(["-sf", &url.replace("/?", "/api/v1/servers/1/tasks?")]);
    let response = setup.place.run(curl);
    response.must_succeed();
    let line: Value = serde_json::from_str(response.text().lines().next().unwrap()).unwrap();
    let reason =
        "server 1 was restarted (killed by signal 9, perhaps for lack of memory): it loads its frames and computes its pixels again";
    assert!(line["marks"][0]["text"].as_str().unwrap().starts_with(reason), "{}", line["marks"]);
    assert_eq!((&line["marks"][0]["kind"], &line["marks"][0]["count"]), (&"replaced".into(), &1.into()));
}

#[test]
fn the_job_is_found_by_name_after_the_loss_of_the_front_door() {
    let _ = check_loss_while_serving(0, |_| "disturbed".to_owned());
}

#[test]
fn with_backoff_limit_0_the_first_loss_fails_the_job() {
    let setup = Setup::of(&LAST, &[], |job| job.backoff_limit(0));
    setup.servers[1].kill();
    let ended = setup.running.end();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let sentence = ended.sentence();
    assert!(sentence.contains("BackoffLimitExceeded") && sentence.contains("backoffLimit"), "{sentence}");
    setup.place.must_leave_nothing_but(&["disturbed.json"]);
}

#[test]
fn repeated_losses_of_a_server_fail_the_job() {
    let setup = Setup::of(&LAST, &[], |job| job.backoff_limit(2));
    for loss in 0..3 {
        until("three servers run", || setup.running.servers().len() == SERVERS);
        setup.source.until_held(3 + loss);
        let server = setup.running.servers().into_iter().max().unwrap();
        server.kill();
    }
    let ended = setup.running.end();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.sentence().contains("after 2 restarts"), "{}", ended.sentence());
    setup.place.must_leave_nothing_but(&["disturbed.json"]);
}

#[test]
fn servers_end_when_their_parent_is_killed() {
    let setup = Setup::holding(&LAST, &[]);
    setup.running.signal(Signal::SIGKILL);
    assert!(end_in_time(&setup.servers), "some of {:?} are still alive", setup.servers);
}

fn check_stop(signal: Signal, held: &[i64]) {
    let mut setup = Setup::holding(held, &[]);
    if held.is_empty() {
        // The servers write outputs at this point.
        setup.running.until_done("Fft", 1);
    }
    setup.running.signal(signal);
    assert!(end_in_time(&setup.servers), "some of {:?} are still alive after {signal}", setup.servers);
    let ended = setup.running.end();
    assert_eq!(ended.code, Some(130), "{}", ended.stderr);
    assert!(!setup.place.path("disturbed").exists(), "the output folder exists");
    setup.place.must_leave_nothing_but(&["disturbed.json"]);
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
fn sigterm_in_load_leaves_nothing_behind() {
    check_stop(Signal::SIGTERM, &LAST);
}
