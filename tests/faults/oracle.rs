//! What holds after each trial.

use crate::scene::{NAME, RESULTS, Reference, Results, SELECTION, SHARE, Scene};
use crate::timeline::Timeline;
use nix::sys::signal::Signal;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tests::place::{CommandOutput, Place, Running};
use tests::within;
use tests::zarr::must_be_equal;

/// Longest duration of a trial after its fault.
const LIMIT: Duration = Duration::from_secs(120);

/// Measured memory relative to the plan. The command of a debug build is larger than the plan counts.
const MEMORY: f64 = 1.3;

/// A result of a trial, for its row of the table.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    /// The phase in which the fault was injected.
    pub(crate) phase: &'static str,
    pub(crate) what: String,
    /// Seconds from the fault to the report of a loss.
    pub(crate) noticed: Option<f64>,
    /// Seconds from the fault to the response of the last replacement.
    pub(crate) replaced: Option<f64>,
    pub(crate) recovered: Option<f64>,
    /// A broken promise about these times, which does not change the results.
    pub(crate) late: Option<String>,
}

/// Waits for the end of a command.
pub(crate) fn until_ended(running: &mut Running) {
    assert!(within(LIMIT, || running.ended().is_some()), "the run does not end: {:#?}", running.stderr_lines());
}

/// Waits for the end of a command; returns its output.
pub(crate) fn end(mut running: Running) -> CommandOutput {
    until_ended(&mut running);
    running.end()
}

/// Checks that a run is successful, with the results of the undisturbed run and without other files.
pub(crate) fn check_success(place: &Place, output: &CommandOutput, expected: &Results) {
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    let timeline = check_messages(output, &[]);
    let (planned, peak) = (timeline.planned_bytes().unwrap() as f64, timeline.peak_bytes().unwrap() as f64);
    assert!(peak < MEMORY * planned, "the servers used {peak} bytes, the plan has {planned}");
    check_results(place, expected);
    place.must_leave_nothing_but(&RESULTS);
}

/// Checks that the results in the folder are these.
pub(crate) fn check_results(place: &Place, expected: &Results) {
    let found = Results::of(place);
    must_be_equal(&found.arrays, &expected.arrays, "arrays.zarr");
    assert!(found.power == expected.power, "power.zarr has other bytes");
    assert!(found.slice == expected.slice, "slice.npy has other bytes");
}

/// Checks that a run fails with this reason, and leaves nothing.
pub(crate) fn check_failure(place: &Place, output: &CommandOutput, reason: &str) {
    assert_eq!(output.code, Some(1), "{}", output.stderr);
    check_messages(output, &[reason]);
    place.must_leave_nothing_but(&["run.json"]);
}

/// Checks that standard error has only reports, and one sentence with this text if there is a text.
pub(crate) fn check_messages(output: &CommandOutput, texts: &[&str]) -> Timeline {
    let lines: Vec<String> = output.stderr.lines().map(str::to_owned).collect();
    let timeline = Timeline::of(&lines);
    let sentences = &timeline.sentences;
    let expected = sentences.len() == texts.len() && sentences.iter().zip(texts).all(|(sentence, text)| sentence.contains(text));
    assert!(expected, "standard error has {sentences:#?}, expected {texts:?}");
    timeline
}

/// Checks that only victims are lost, and that only their frames are requested again.
/// `again` has the allowed number of further requests for each frame of a faulty source.
pub(crate) fn check_share(scene: &Scene, victims: &[usize], again: &BTreeMap<i64, usize>) {
    let losses = scene.timeline().losses();
    for server in 0..crate::scene::SERVERS {
        let count = |all: &mut dyn Iterator<Item = usize>| all.filter(|&other| other == server).count();
        let (lost, allowed) = (count(&mut losses.iter().map(|(server, _)| *server)), count(&mut victims.iter().copied()));
        assert!(lost <= allowed, "server {server} is lost {lost} times, expected at most {allowed}: {losses:?}");
    }
    for (frame, requests) in scene.source.requests() {
        let lost = losses.iter().filter(|(server, _)| *server == frame as usize / SHARE).count();
        let allowed = 1 + lost + again.get(&frame).unwrap_or(&0);
        assert!(requests <= allowed, "frame {frame} has {requests} requests, expected at most {allowed}; losses: {losses:?}");
    }
}

/// Waits until a served job returns the expected slice; returns the duration.
pub(crate) fn until_slice(place: &Place, expected: &[u8]) -> Duration {
    let since = Instant::now();
    let mut message = String::new();
    let available = within(LIMIT, || {
        let output = place.call(["get", NAME, SELECTION, "-o", "served.npy"]);
        message = output.sentence();
        output.code == Some(0)
    });
    assert!(available, "the slice is not available: {message}");
    assert!(std::fs::read(place.path("served.npy")).unwrap() == expected, "the served slice has other bytes");
    std::fs::remove_file(place.path("served.npy")).unwrap();
    since.elapsed()
}

/// Ends a served job, and checks that its results stay and nothing else.
pub(crate) fn end_serving(scene: Scene, reference: &Reference) {
    scene.running.signal(Signal::SIGINT);
    let output = end(scene.running);
    assert_eq!(output.code, Some(130), "{}", output.stderr);
    check_messages(&output, &["stopped by a signal"]);
    check_results(&scene.place, &reference.results);
    scene.place.must_leave_nothing_but(&RESULTS);
}
