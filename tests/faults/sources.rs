//! Trials with a source that is busy, away, slow, damaged or changed.

use crate::fault::Fault;
use crate::link::{Link, Mode};
use crate::oracle::{Outcome, check_failure, check_share, check_success, end};
use crate::random::Random;
use crate::scene::{FRAMES, MOVIE, Moment, Reference, Results, SHARE, Scene};
use crate::timeline::PHASES;
use crate::trial::Trial;
use std::collections::BTreeMap;
use std::time::Instant;
use tests::source::{self, FrameServer};
use tests::until;

/// Attempts for a frame.
const ATTEMPTS: usize = 6;

/// Bytes in a second of a connection that is slower than `source.minBytesPerSecond`.
const TOO_SLOW: usize = 40;

/// Runs a trial.
pub(crate) fn run(trial: &Trial, reference: &Reference) -> Outcome {
    let mut random = trial.random.clone();
    match trial.fault {
        Fault::SourceBusy => {
            let times = 1 + random.below(3);
            faulty(trial, reference, source::Fault::Busy(times), times)
        }
        Fault::SourceCutsShort => {
            let times = 1 + random.below(2);
            faulty(trial, reference, source::Fault::CutShort(times), times)
        }
        Fault::SourceDamages => damaged(trial, reference, &mut random),
        Fault::SourceAway => interrupted(trial, reference, Mode::Closed, 500..3000),
        Fault::SourceSilent => interrupted(trial, reference, Mode::Silent, 1000..6000),
        Fault::SourceSlow => interrupted(trial, reference, Mode::Slow(3000), 1000..6000),
        Fault::SourceTooSlow => lasting(trial, reference, Mode::Slow(TOO_SLOW)),
        Fault::SourceGone => lasting(trial, reference, Mode::Closed),
        Fault::SourceChanges => changes(trial, reference, &mut random),
        other => panic!("{other:?} is not a fault of the source"),
    }
}

fn outcome(what: &str, recovered: Option<f64>) -> Outcome {
    Outcome { phase: PHASES[1], what: what.into(), recovered, ..Outcome::default() }
}

/// The whole job with faults of some frames.
fn faulty(trial: &Trial, reference: &Reference, fault: source::Fault, times: usize) -> Outcome {
    let mut random = trial.random.clone();
    let frames: Vec<i64> = (0..6).map(|_| random.below(FRAMES) as i64).collect();
    let source = FrameServer::png(MOVIE);
    source.set_faults(frames.iter().copied(), &fault);
    whole(trial, reference, source, &frames.into_iter().map(|frame| (frame, times)).collect())
}

fn damaged(trial: &Trial, reference: &Reference, random: &mut Random) -> Outcome {
    let frame = random.below(FRAMES) as i64;
    let mut png = MOVIE.png(frame);
    // Compressed pixels, after the header.
    let at = png.len() / 4 + random.below(png.len() / 2);
    png[at] ^= 1 << random.below(8);
    let source = FrameServer::png(MOVIE).with(frame, source::Fault::InsteadOnce(png));
    whole(trial, reference, source, &BTreeMap::from([(frame, 1)]))
}

fn whole(trial: &Trial, reference: &Reference, source: FrameServer, again: &BTreeMap<i64, usize>) -> Outcome {
    let mut scene = Scene::start(source, None, Moment::Any(0.0), trial.disk);
    until("the run ends", || scene.running.ended().is_some());
    check_share(&scene, &[], again);
    let times = scene.source.request_times();
    let between = |frame: &i64| times.get(frame).and_then(|times| Some(times.last()?.duration_since(*times.first()?).as_secs_f64()));
    check_success(&scene.place, &end(scene.running), &reference.results);
    // From the first response with the fault to the request for the frame itself.
    outcome("same bytes", again.keys().filter_map(between).max_by(f64::total_cmp))
}

/// A fault of all connections for a time.
fn interrupted(trial: &Trial, reference: &Reference, mode: Mode, range: std::ops::Range<usize>) -> Outcome {
    let (mut scene, link) = linked(trial, reference);
    link.set(mode);
    scene.source.release();
    std::thread::sleep(trial.random.clone().milliseconds(range));
    let over = scene.seconds();
    link.set(Mode::Open);
    until("the run ends", || scene.running.ended().is_some());
    let recovered = scene.timeline().next_after(over);
    check_share(&scene, &[], &(0..FRAMES as i64).map(|frame| (frame, ATTEMPTS - 1)).collect());
    check_success(&scene.place, &end(scene.running), &reference.results);
    outcome("same bytes", recovered)
}

/// A job over a link, at the moment of its fault.
fn linked(trial: &Trial, reference: &Reference) -> (Scene, Link) {
    let source = FrameServer::png(MOVIE);
    let link = Link::to(&source.url(""));
    let mut scene = Scene::start(source, Some(&link.url("{index}")), trial.moment, trial.disk);
    scene.wait(trial.moment, reference);
    (scene, link)
}

/// A fault of all connections that does not end.
fn lasting(trial: &Trial, reference: &Reference, mode: Mode) -> Outcome {
    let (scene, link) = linked(trial, reference);
    link.set(mode);
    scene.source.release();
    let since = Instant::now();
    let output = end(scene.running);
    let seconds = since.elapsed().as_secs_f64();
    assert!(seconds < 60.0, "the job fails after {seconds} s, expected within 60 s");
    check_failure(&scene.place, &output, "SourceUnavailable: ");
    outcome("exit 1, `SourceUnavailable`", Some(seconds))
}

/// The job fails, or has the results of one version only.
fn changes(trial: &Trial, reference: &Reference, random: &mut Random) -> Outcome {
    let moment = Moment::Load(FRAMES);
    let mut scene = Scene::start(FrameServer::png(MOVIE), None, moment, trial.disk);
    scene.wait(moment, reference);
    std::thread::sleep(random.milliseconds(0..1000));
    // Not the last frame of a server, which the source holds.
    let (server, frame) = (random.below(3), random.below(SHARE - 1));
    let frame = (server * SHARE + frame) as i64;
    let other = source::Fault::Instead(MOVIE.png(frame + 1));
    scene.source.set_faults([frame], &other);
    let since = Instant::now();
    scene.running.servers()[server].kill();
    until("the frame is requested again", || scene.source.requests()[&frame] >= 2);
    scene.source.release();
    let output = end(scene.running);
    let seconds = Some(since.elapsed().as_secs_f64());
    if output.code == Some(1) {
        assert!(output.sentence().contains(&format!("frame {frame} was fetched again")), "{}", output.stderr);
        check_failure(&scene.place, &output, "SourceChanged: ");
        return outcome("exit 1, `SourceChanged`", seconds);
    }
    let mut changed = Scene::start(FrameServer::png(MOVIE).with(frame, other), None, Moment::Any(0.0), trial.disk);
    until("the run ends", || changed.running.ended().is_some());
    check_success(&scene.place, &output, &Results::of(&changed.place));
    outcome("the results of the second version only", seconds)
}
