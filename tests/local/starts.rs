//! Servers and commands that end during the start, and how soon a lost server is noticed and replaced.

use api::geometry::Dtype;
use nix::sys::signal::Signal;
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use tests::job::{Job, job};
use tests::movie::Movie;
use tests::place::{Place, Running};
use tests::processes::{Process, end_in_time};
use tests::source::FrameServer;
use tests::zarr::must_be_equal;
use tests::{until, within};

const MOVIE: Movie = Movie::of(40, 48, Dtype::Uint8);
const SERVERS: usize = 3;

fn the_job(source: &FrameServer) -> Job {
    job(&source.url("{index}"), 48).frame_of(MOVIE).slabs_of(4).fft("power").reduce_all()
}

/// Kills each server as soon as it exists, until `enough` servers are killed or the command has ended. Returns the number of kills.
fn kill_at_start(running: &mut Running, enough: usize) -> usize {
    let mut killed = BTreeSet::<Process>::new();
    until("the servers are killed", || {
        for server in running.servers() {
            if killed.len() < enough && killed.insert(server) {
                server.kill();
            }
        }
        killed.len() == enough || running.ended().is_some()
    });
    killed.len()
}

#[test]
fn servers_that_are_killed_during_their_start_are_started_again() {
    const KILLS: usize = 8;
    let (place, source) = (Place::default(), FrameServer::raw(MOVIE));
    let mut running = place.start_job("killed", &the_job(&source).backoff_limit(20), SERVERS, &[]);
    assert_eq!(kill_at_start(&mut running, KILLS), KILLS);
    let (summary, arrays) = place.results_of("killed", running);
    assert_eq!(summary["restarts"], KILLS, "{summary}");
    let (_, expected) = place.results("undisturbed", &the_job(&source), SERVERS);
    must_be_equal(&arrays, &expected, "after kills during the start");
    place.must_leave_nothing_but(&["killed.json", "killed", "undisturbed.json", "undisturbed"]);
}

#[test]
fn a_server_that_ends_at_each_start_fails_the_job_with_its_last_end() {
    let (place, source) = (Place::default(), FrameServer::raw(MOVIE));
    let mut running = place.start_job("killed", &the_job(&source).backoff_limit(2), 1, &[]);
    assert_eq!(kill_at_start(&mut running, usize::MAX), 3);
    let ended = running.end();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let sentence = ended.sentence();
    assert!(sentence.contains("BackoffLimitExceeded: a server ended (killed by signal 9"), "{sentence}");
    assert!(sentence.contains("after 2 restarts"), "{sentence}");
    place.must_leave_nothing_but(&["killed.json"]);
}

#[test]
fn a_command_that_is_killed_during_the_start_leaves_no_process() {
    let source = FrameServer::raw(MOVIE);
    for servers in 1..=4 {
        let place = Place::default();
        let running = place.start_job("killed", &the_job(&source), 4, &[]);
        until("some servers start", || running.servers().len() >= servers);
        running.signal(Signal::SIGKILL);
        drop(running);
        assert!(within(Duration::from_secs(2), || place.processes().is_empty()), "{:?} are left", place.processes());
    }
}

#[test]
fn a_server_whose_input_ends_before_its_settings_ends_without_a_message() {
    // The input of commands of a place is empty.
    let ended = Place::default().call(["chunk-server"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
}

#[test]
fn stopped_servers_end_when_their_command_is_killed() {
    let (place, source) = (Place::default(), FrameServer::raw(MOVIE).holding([47]));
    let running = place.start_job("killed", &the_job(&source), SERVERS, &[]);
    source.until_held(1);
    let servers = running.servers();
    servers.iter().for_each(|server| server.stop());
    running.signal(Signal::SIGKILL);
    assert!(end_in_time(&servers), "some of {servers:?} are left");
}

#[test]
fn for_lack_of_memory_a_server_is_killed_before_its_command() {
    let (place, source) = (Place::default(), FrameServer::raw(MOVIE).holding([47]));
    let running = place.start_job("scored", &the_job(&source), SERVERS, &[]);
    source.until_held(1);
    let command = place.processes().into_iter().map(Process::oom_score_adjustment).min();
    let servers = running.servers().into_iter().map(Process::oom_score_adjustment).min();
    assert!(servers > command, "{servers:?} {command:?}");
}

/// Waits for an event of server `server`; returns its time in seconds since the start of the command.
fn seconds_of(running: &mut Running, event: &str, server: usize) -> f64 {
    let is = |line: &Value| if line[event]["server"] == server { line["seconds"].as_f64() } else { None };
    running.until_reported(event, is)
}

#[test]
fn a_killed_server_is_noticed_within_2_s_and_replaced_within_15_s() {
    let (place, source) = (Place::default(), FrameServer::raw(MOVIE).holding([15, 31, 47]));
    let started = Instant::now();
    let mut running = place.start_job("killed", &the_job(&source), SERVERS, &[]);
    source.until_held(SERVERS);
    running.servers()[1].kill();
    // The command starts after `started`: its times are at most this much smaller.
    let killed = started.elapsed().as_secs_f64();
    let lost = seconds_of(&mut running, "lost", 1);
    let restarted = seconds_of(&mut running, "restarted", 1);
    println!("noticed after {:.3} s, replaced after {:.3} s", lost - killed, restarted - killed);
    assert!(lost - killed < 2.0 && restarted - killed < 15.0, "killed at {killed}, noticed at {lost}, replaced at {restarted}");
    source.release();
    running.end().must_succeed();
}

#[test]
fn a_server_that_hangs_does_not_delay_the_replacement_of_another_server() {
    let (place, source) = (Place::default(), FrameServer::raw(MOVIE).holding([15, 31, 47]));
    let mut running = place.start_job("killed", &the_job(&source), SERVERS, &[]);
    source.until_held(SERVERS);
    let servers = running.servers();
    servers[0].stop();
    let killed = Instant::now();
    servers[1].kill();
    seconds_of(&mut running, "lost", 1);
    assert!(killed.elapsed() < Duration::from_secs(3), "noticed after {:?}", killed.elapsed());
    until("a replacement starts", || running.servers().len() == SERVERS);
    assert!(killed.elapsed() < Duration::from_secs(5), "replaced after {:?}", killed.elapsed());
}
