//! Trials on a full disk, and with low limits of the system.

use crate::fault::Fault;
use crate::oracle::{Outcome, check_failure, end};
use crate::scene::{FRAMES, MOVIE, NAME, SERVERS};
use crate::timeline::PHASES;
use crate::trial::Trial;
use api::geometry::Dtype;
use nix::sys::signal::Signal;
use std::time::Instant;
use tests::disk::Disk;
use tests::job::job;
use tests::movie::Movie;
use tests::place::{CommandOutput, Place};
use tests::source::FrameServer;
use tests::until;

/// Frames whose scratch files fill most of a small disk.
const LARGE: Movie = Movie::of(200, 240, Dtype::Uint8);

/// Runs a trial.
pub(crate) fn run(trial: &Trial) -> Outcome {
    let mut random = trial.random.clone();
    match trial.fault {
        Fault::ScratchDiskFull => full_disk(random.below(SERVERS)),
        Fault::FewOpenFiles => {
            let (place, output) = limited(&format!("ulimit -n {}", 16 + random.below(25)), trial.disk, "");
            refused(&place, &output, "TooManyOpenFiles: ")
        }
        Fault::SmallFiles => {
            let save = "--save power=power-file.npy";
            let (place, output) = limited("ulimit -f 16", trial.disk, if trial.disk { "" } else { save });
            refused(&place, &output, "FileSizeLimit")
        }
        other => panic!("{other:?} is not a limit of the system"),
    }
}

fn limited(limit: &str, disk: bool, more: &str) -> (Place, CommandOutput) {
    let (place, source) = (Place::default(), FrameServer::png(MOVIE));
    let job = job(&source.url("{index}"), FRAMES).frame_of(MOVIE).slabs_of(4).fft("power");
    let manifest = place.manifest(NAME, &if disk { job.storage("Disk") } else { job });
    let output = place.run_limited(limit, &format!("run {} --servers {SERVERS} --progress json {more}", manifest.display()));
    (place, output)
}

fn refused(place: &Place, output: &CommandOutput, reason: &str) -> Outcome {
    check_failure(place, output, reason);
    Outcome { phase: PHASES[0], what: format!("exit 1, `{}`", reason.trim_end_matches(": ")), ..Outcome::default() }
}

/// As tests/local/disk.rs, for any server.
fn full_disk(server: usize) -> Outcome {
    let place = Place::default();
    let Some(disk) = Disk::mount(&place.path("scratch"), "32m") else {
        // `tests/run` counts the line.
        println!("skipped: a full disk: the mount of a small disk needs more permissions");
        return Outcome { phase: PHASES[1], what: "skipped".into(), ..Outcome::default() };
    };
    let source = FrameServer::raw(LARGE).holding([15, 31, 47]);
    let job = job(&source.url("{index}"), FRAMES).frame_of(LARGE).slabs_of(4).recenter(200, 240).rechunk([-1, 8, 8]);
    let running = place.start_job(NAME, &job.fft("power").storage("Disk"), SERVERS, &[]);
    source.until_held(SERVERS);
    let servers = running.servers();
    running.signal(Signal::SIGSTOP);
    let reserved = disk.free_bytes();
    servers[server].kill();
    until("the space of the killed server is free", || disk.free_bytes() > reserved);
    let filler = disk.fill();
    running.signal(Signal::SIGCONT);
    let since = Instant::now();
    let output = end(running);
    let seconds = since.elapsed().as_secs_f64();
    std::fs::remove_file(filler).unwrap();
    check_failure(&place, &output, "DiskFull");
    Outcome { phase: PHASES[1], what: "exit 1, `DiskFull`".into(), recovered: Some(seconds), ..Outcome::default() }
}
