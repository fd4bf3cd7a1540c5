//! Trials in which servers are lost, hang or pause.

use crate::fault::Fault;
use crate::oracle::{Outcome, check_messages, check_share, check_success, end, end_serving, until_ended, until_slice};
use crate::scene::{MOVIE, RESULTS, Reference, SERVERS, Scene};
use crate::timeline::PHASES;
use crate::trial::Trial;
use nix::sys::signal::Signal;
use std::collections::BTreeMap;
use std::thread::available_parallelism;
use std::time::Duration;
use tests::source::FrameServer;
use tests::within;

/// Limits that docs/operations.md states, in seconds.
const NOTICED: f64 = 2.0;
const HANG_NOTICED: f64 = 10.0;
const REPLACED: f64 = 15.0;
/// The time in which a server must report its address, and a margin.
const HANG_AT_START: f64 = 22.0;

/// Runnable threads for each processor of an overloaded machine. The trials themselves are below.
const OVERLOAD: f64 = 8.0;

/// Runs a trial.
pub(crate) fn run(trial: &Trial, reference: &Reference) -> Outcome {
    let mut scene = Scene::start(FrameServer::png(MOVIE), None, trial.moment, trial.disk);
    scene.wait(trial.moment, reference);
    let (at, requested) = (scene.seconds(), !scene.source.requests().is_empty());
    let victims = inject(trial, &scene);
    let resumed = scene.seconds();
    scene.source.release();
    if victims.is_empty() {
        return Outcome { phase: "after the end", what: "the run was complete".into(), ..Outcome::default() };
    }
    let mut outcome = if trial.moment.serves() {
        let served = until_slice(&scene.place, &reference.results.slice);
        let alive = within(Duration::from_secs(30), || scene.running.servers().len() == SERVERS);
        assert!(alive, "not all servers run: {:#?}", scene.running.stderr_lines());
        let replaced = || scene.timeline().replaced_after(at).is_some();
        assert!(trial.fault == Fault::ServerPaused || within(Duration::from_secs(30), replaced), "no replacement is reported");
        Outcome { phase: PHASES[6], what: "same bytes".into(), recovered: Some(served.as_secs_f64()), ..Outcome::default() }
    } else {
        until_ended(&mut scene.running);
        let timeline = scene.timeline();
        Outcome { phase: timeline.phase_at(at, requested), recovered: timeline.recovered_after(at), ..Outcome::default() }
    };
    let timeline = scene.timeline();
    (outcome.noticed, outcome.replaced) = (timeline.noticed_after(at), timeline.replaced_after(at));
    if trial.fault == Fault::ServerPaused && !trial.moment.serves() {
        outcome.recovered = timeline.next_after(resumed);
    }
    check_share(&scene, &victims, &BTreeMap::new());
    if trial.moment.serves() {
        end_serving(scene, reference);
    } else {
        let output = end(scene.running);
        if outcome.phase == PHASES[5] && output.code == Some(1) {
            check_messages(&output, &["check that the job is still served"]);
            // The outputs of the job are complete.
            scene.place.must_leave_nothing_but(&RESULTS);
            outcome.what = "exit 1, run again".into();
        } else {
            check_success(&scene.place, &output, &reference.results);
            outcome.what = "same bytes".into();
        }
    }
    if trial.fault == Fault::ServerPaused {
        assert!(outcome.noticed.is_none(), "a server that pauses is replaced");
    }
    outcome.late = late(trial.fault, &outcome);
    outcome
}

/// Injects the fault; returns the lost servers, one entry for each loss.
fn inject(trial: &Trial, scene: &Scene) -> Vec<usize> {
    let servers = scene.running.servers();
    let mut random = trial.random.clone();
    if servers.is_empty() {
        return Vec::new();
    }
    let victim = random.below(servers.len());
    match trial.fault {
        Fault::ServerKilled => servers[victim].kill(),
        Fault::ServerEnded => servers[victim].signal(Signal::SIGTERM),
        Fault::ServerHangs => servers[victim].stop(),
        Fault::ServerPaused => {
            servers[victim].stop();
            scene.source.release();
            std::thread::sleep(random.milliseconds(1000..6000));
            servers[victim].signal(Signal::SIGCONT);
        }
        Fault::TwoServersKilled => {
            let two: Vec<usize> = (0..servers.len()).filter(|&server| servers.len() == 1 || server != victim).take(2).collect();
            two.iter().for_each(|&server| servers[server].kill());
            return two;
        }
        Fault::AllServersKilled => {
            servers.iter().for_each(|server| server.kill());
            return (0..servers.len()).collect();
        }
        Fault::ServerKilledAgain => {
            servers[victim].kill();
            let replacement = || scene.running.servers().into_iter().find(|server| !servers.contains(server));
            let started = servers.len() == SERVERS && within(Duration::from_secs(15), || replacement().is_some());
            std::thread::sleep(random.milliseconds(0..500));
            if let Some(replacement) = replacement().filter(|_| started) {
                replacement.kill();
                return vec![victim, victim];
            }
        }
        other => panic!("{other:?} is not a fault of servers"),
    }
    vec![victim]
}

/// The broken limit of a time, if there is one. On a machine that is overloaded by other programs, the limits are twice as long.
fn late(fault: Fault, outcome: &Outcome) -> Option<String> {
    let overloaded = load() > OVERLOAD * available_parallelism().map_or(1.0, |cores| cores.get() as f64);
    let (noticed, replaced) = match (fault, outcome.phase == PHASES[0]) {
        (Fault::ServerHangs, true) => (HANG_AT_START, HANG_AT_START),
        (Fault::ServerHangs, false) => (HANG_NOTICED, REPLACED),
        _ => (NOTICED, REPLACED),
    };
    let times = [("noticed", outcome.noticed, noticed), ("replaced", outcome.replaced, replaced)];
    let limits = times.into_iter().map(|(what, seconds, limit)| (what, seconds, if overloaded { 2.0 * limit } else { limit }));
    let late = |&(_, seconds, limit): &(&str, Option<f64>, f64)| seconds.is_some_and(|seconds| seconds > limit);
    let (what, seconds, limit) = limits.into_iter().find(late)?;
    Some(format!("the loss is {what} after {:.1} s, expected within {limit} s", seconds?))
}

/// The mean number of runnable threads in the last minute.
fn load() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|load| load.parse().ok()).unwrap_or_default()
}
