//! Another program fills the scratch disk while a job runs.

use api::geometry::Dtype;
use nix::sys::signal::Signal;
use std::io::Write as _;
use tests::disk::Disk;
use tests::job::job;
use tests::movie::Movie;
use tests::place::Place;
use tests::source::FrameServer;
use tests::until;

const MOVIE: Movie = Movie::of(200, 240, Dtype::Uint8);
const FRAMES: i64 = 48;
const SERVERS: usize = 3;

#[test]
fn a_disk_that_is_full_when_a_server_restarts_fails_the_job_with_the_reason() {
    let place = Place::default();
    let Some(disk) = Disk::mount(&place.path("scratch"), "32m") else {
        // Not captured by libtest: `tests/run` counts the line.
        let _ = writeln!(std::io::stderr(), "\nskipped: a full disk: the mount of a small disk needs more permissions");
        return;
    };
    let source = FrameServer::raw(MOVIE).holding([15, 31, 47]);
    let job = job(&source.url("{index}"), FRAMES as usize).frame_of(MOVIE).slabs_of(4).recenter(200, 240).rechunk([-1, 8, 8]);
    let running = place.start_job("full", &job.fft("power").storage("Disk"), SERVERS, &[]);
    source.until_held(SERVERS);
    let servers = running.servers();
    // The command cannot restart the server before the disk is full.
    running.signal(Signal::SIGSTOP);
    let reserved = disk.free_bytes();
    servers[1].kill();
    until("the space of the killed server is free", || disk.free_bytes() > reserved);
    let filler = disk.fill();
    running.signal(Signal::SIGCONT);
    let output = running.end();
    assert_eq!(output.code, Some(1), "{}", output.stderr);
    assert!(output.sentence().contains("DiskFull") && output.sentence().contains("free"), "{}", output.sentence());
    std::fs::remove_file(filler).unwrap();
    place.must_leave_nothing_but(&["full.json"]);
}
