//! Trials in which the command itself is killed, ended or paused.

use crate::fault::Fault;
use crate::oracle::{Outcome, check_messages, check_results, check_share, check_success, end, end_serving, until_ended, until_slice};
use crate::scene::{MOVIE, NAME, RESULTS, Reference, SERVERS, Scene, the_job};
use crate::timeline::PHASES;
use crate::trial::Trial;
use nix::sys::signal::Signal;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tests::source::FrameServer;
use tests::within;
use tests::zarr::read_array;

/// Longest time until no process of a command is left.
const NOTHING_LEFT: Duration = Duration::from_secs(30);

/// Runs a trial.
pub(crate) fn run(trial: &Trial, reference: &Reference) -> Outcome {
    let mut scene = Scene::start(FrameServer::png(MOVIE), None, trial.moment, trial.disk);
    scene.wait(trial.moment, reference);
    let (at, requested) = (scene.seconds(), !scene.source.requests().is_empty());
    let phase = move |scene: &Scene| if trial.moment.serves() { PHASES[6] } else { scene.timeline().phase_at(at, requested) };
    let mut random = trial.random.clone();
    match trial.fault {
        Fault::RunKilled => {
            scene.running.signal(Signal::SIGKILL);
            killed(scene, trial, reference, phase)
        }
        Fault::RunEnded => {
            scene.running.signal(random.choose(&[Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP]));
            ended(scene, reference, phase)
        }
        Fault::RunPaused => {
            let range = if random.below(4) == 0 { 10_000..20_000 } else { 1000..6000 };
            scene.running.signal(Signal::SIGSTOP);
            scene.source.release();
            std::thread::sleep(random.milliseconds(range));
            let resumed = scene.seconds();
            scene.running.signal(Signal::SIGCONT);
            paused(scene, trial, reference, resumed, phase)
        }
        other => panic!("{other:?} is not a fault of the command"),
    }
}

/// No process stays, and the same manifest runs again without a trace of the killed run.
fn killed(scene: Scene, trial: &Trial, reference: &Reference, phase: impl Fn(&Scene) -> &'static str) -> Outcome {
    let since = Instant::now();
    assert!(within(NOTHING_LEFT, || scene.place.processes().is_empty()), "processes are left: {:?}", scene.place.processes());
    let left = since.elapsed();
    let phase = phase(&scene);
    scene.source.release();
    let Scene { place, source, running, .. } = scene;
    drop(running);
    let again = place.start_job(NAME, &the_job(&place, &source.url("{index}"), trial.disk), SERVERS, &[]);
    check_success(&place, &end(again), &reference.results);
    let what = "no process left; the next run has the same bytes and removes what was left";
    Outcome { phase, what: what.into(), recovered: Some(left.as_secs_f64()), ..Outcome::default() }
}

/// No process and no file stays, except complete results.
fn ended(mut scene: Scene, reference: &Reference, phase: impl Fn(&Scene) -> &'static str) -> Outcome {
    let since = Instant::now();
    let gone = within(NOTHING_LEFT, || scene.running.ended().is_some() && scene.place.processes().is_empty());
    assert!(gone, "processes are left: {:?}", scene.place.processes());
    let left = since.elapsed();
    let phase = phase(&scene);
    let Scene { place, running, .. } = scene;
    let output = end(running);
    let what = match output.code {
        Some(0) => {
            check_success(&place, &output, &reference.results);
            "the run was complete"
        }
        Some(130) => {
            check_messages(&output, &["stopped by a signal"]);
            if place.path(NAME).exists() {
                check_results(&place, &reference.results);
                place.must_leave_nothing_but(&RESULTS);
            } else if phase == PHASES[5] {
                place.must_leave_nothing_but(&RESULTS);
            } else {
                // A complete output stays. Its name exists only after its last byte.
                let [power, slice] = [place.path("power.zarr"), place.path("slice.npy")];
                assert!(!power.exists() || read_array(&power) == reference.results.power, "power.zarr is incomplete");
                assert!(!slice.exists() || std::fs::read(slice).unwrap() == reference.results.slice, "slice.npy is incomplete");
                place.must_leave_nothing_but(&["run.json", "power.zarr", "slice.npy", "zarr.json"]);
            }
            "exit 130, nothing left"
        }
        // Before the command handles signals, which is before its first file.
        None if phase == PHASES[0] => {
            place.must_leave_nothing_but(&["run.json"]);
            "ended by the signal, nothing left"
        }
        other => panic!("exit code {other:?}: {}", output.stderr),
    };
    Outcome { phase, what: what.into(), recovered: Some(left.as_secs_f64()), ..Outcome::default() }
}

/// The servers work on, no server is replaced, and the job has the same results.
fn paused(mut scene: Scene, trial: &Trial, reference: &Reference, resumed: f64, phase: impl Fn(&Scene) -> &'static str) -> Outcome {
    let what = "same bytes, no server replaced";
    let outcome = |phase, recovered| Outcome { phase, what: what.into(), recovered, ..Outcome::default() };
    if trial.moment.serves() {
        let served = until_slice(&scene.place, &reference.results.slice);
        check_share(&scene, &[], &BTreeMap::new());
        let phase = phase(&scene);
        end_serving(scene, reference);
        return outcome(phase, Some(served.as_secs_f64()));
    }
    until_ended(&mut scene.running);
    let recovered = scene.timeline().next_after(resumed);
    check_share(&scene, &[], &BTreeMap::new());
    let phase = phase(&scene);
    check_success(&scene.place, &end(scene.running), &reference.results);
    outcome(phase, recovered)
}
