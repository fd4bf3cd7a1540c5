use super::*;
use crate::report::conditions::ConditionState;
use api::plan::{Allowance, Budget};

/// Seconds after the start of the work.
fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

fn phase(name: &str, done: u64, total: u64) -> PhaseReport {
    PhaseReport { name: name.into(), seconds: 2.0, bytes: done * 1000, retries: 0, done, total }
}

fn report(phases: Vec<PhaseReport>) -> Report {
    Report {
        phases,
        frames_blank: vec![],
        frames_without_centroid: vec![],
        peak_rss_bytes: 0,
        servers_up: 3,
        restarts: 0,
        outputs: (0, 0),
        work_seconds: Some(10.0),
        last_error: None,
        writing: None,
    }
}

fn input(report: Report) -> StatusInput {
    StatusInput { generation: Some(4), report: Some(report), desired: 3, launched: 3, ..StatusInput::default() }
}

fn started() -> ArrayJobStatus {
    ArrayJobStatus { start_time: Some(time(at(0))), ..ArrayJobStatus::default() }
}

fn done(mut input: StatusInput) -> StatusInput {
    input.facts.ended = Some(Ok("done".into()));
    input
}

fn failed(mut input: StatusInput) -> StatusInput {
    input.facts.ended = Some(Err(Failure { reason: "SourceUnavailable".into(), message: "m".into() }));
    input
}

/// The progress after this time of work. The operator's clock has stepped by a day.
fn progress_of(phases: Vec<PhaseReport>, seconds: u32) -> ProgressStatus {
    let report = Report { work_seconds: Some(f64::from(seconds)), ..report(phases) };
    status(&started(), &input(report), at(86_400)).progress.unwrap()
}

#[test]
fn percent_is_the_mean_of_all_phases_and_100_only_at_the_end() {
    let both = |load: u64, fft: u64| vec![phase("Load", load, 1000), phase("Fft", fft, 1000)];
    let cases = [
        (both(0, 0), "0%", "Load"),
        (both(500, 0), "25%", "Load"),
        (both(1000, 0), "50%", "Fft"),
        (both(999, 999), "99%", "Load"),
        (both(1000, 999), "99%", "Fft"),
        (both(1000, 1000), "99%", "Write"),
        // A replaced server counts its share again.
        (both(1200, 500), "75%", "Fft"),
        (vec![], "0%", "Write"),
    ];
    for (phases, percent, step) in cases {
        let progress = progress_of(phases.clone(), 10);
        assert_eq!((progress.percent.as_str(), progress.step.as_str()), (percent, step), "{phases:?}");
    }
    let end = status(&started(), &done(input(report(both(1000, 1000)))), at(10)).progress.unwrap();
    assert_eq!((end.percent.as_str(), end.step.as_str(), end.eta_seconds), ("100%", "Done", None));
}

#[test]
fn the_remaining_time_is_estimated_from_the_completed_share() {
    let quarter = |seconds| progress_of(vec![phase("Load", 250, 1000)], seconds);
    assert_eq!((quarter(10).eta_seconds, quarter(10).eta.as_deref()), (Some(30), Some("30s")));
    assert_eq!(quarter(100).eta.as_deref(), Some("5m00s"));
    assert_eq!(quarter(2500).eta.as_deref(), Some("2h05m"));
    assert_eq!(progress_of(vec![phase("Load", 1, 1000)], 10).eta, None, "no estimate below 2 %");
    let mut unstarted = report(vec![phase("Load", 250, 1000)]);
    unstarted.work_seconds = None;
    assert_eq!(status(&started(), &input(unstarted), at(10)).progress.unwrap().eta, None);
}

#[test]
fn the_rate_is_that_of_the_current_phase() {
    let progress = progress_of(vec![phase("Load", 1000, 1000), phase("Fft", 300, 1000)], 10);
    assert_eq!((progress.bytes, progress.bytes_per_second), (1_300_000, 150_000));
    let mut still = phase("Load", 0, 10);
    still.seconds = 0.0;
    assert_eq!(progress_of(vec![still], 10).bytes_per_second, 0);
}

#[test]
fn phases_are_waiting_running_or_complete() {
    let mut load = phase("Load", 10, 10);
    load.seconds = 1.234_567_8;
    let after = status(&started(), &input(report(vec![load, phase("Rechunk", 3, 10), phase("Fft", 0, 10)])), at(1));
    let states: Vec<(&str, &str, &str)> =
        after.phases.iter().map(|phase| (phase.name.as_str(), phase.state.as_str(), phase.unit.as_str())).collect();
    assert_eq!(states, [("Load", "Complete", "frames"), ("Rechunk", "Running", "bands"), ("Fft", "Waiting", "bands")]);
    assert!((after.phases[0].seconds - 1.235).abs() < f64::EPSILON, "rounded to milliseconds");
}

#[test]
fn the_phase_follows_from_conditions_and_progress() {
    let idle = || input(report(vec![phase("Load", 0, 10)]));
    let busy = || input(report(vec![phase("Load", 1, 10)]));
    let suspended = StatusInput { facts: Facts { suspended: true, ..Facts::default() }, ..StatusInput::default() };
    let cases = [
        (ArrayJobStatus::default(), StatusInput::default(), "Pending"),
        (started(), StatusInput::default(), "Starting"),
        (started(), idle(), "Starting"),
        (started(), busy(), "Running"),
        (started(), StatusInput { recovering: true, ..busy() }, "Recovering"),
        (started(), suspended.clone(), "Suspended"),
        (ArrayJobStatus::default(), suspended, "Suspended"),
        (started(), done(busy()), "Complete"),
        (started(), failed(busy()), "Failed"),
        (ArrayJobStatus::default(), failed(StatusInput::default()), "Failed"),
        (started(), failed(StatusInput { recovering: true, ..busy() }), "Failed"),
    ];
    for (before, input, expected) in cases {
        let after = status(&before, &input, at(1));
        assert_eq!(after.phase.as_deref(), Some(expected));
        assert_eq!(status(&after, &input, at(2)), after, "the same input changes nothing: {expected}");
    }
}

#[test]
fn the_completion_time_is_set_once() {
    let end = status(&started(), &done(input(report(vec![]))), at(5));
    assert_eq!(end.completion_time.as_deref(), Some("2027-01-15T08:00:05Z"));
    let later = status(
        &end,
        &StatusInput {
            facts: Facts { ready: Some(ConditionState::false_because("Expired", "gone")), ..Facts::default() },
            ..StatusInput::default()
        },
        at(500),
    );
    assert_eq!((later.completion_time, later.phase.as_deref()), (end.completion_time, Some("Complete")));
    assert_eq!(status(&started(), &input(report(vec![])), at(5)).completion_time, None);
}

#[test]
fn times_are_whole_seconds() {
    assert_eq!(time("2026-01-01T00:00:00.7Z".parse().unwrap()), "2026-01-01T00:00:01Z");
}

#[test]
fn a_complete_job_keeps_its_numbers_while_a_server_is_replaced() {
    let end = status(&started(), &done(input(report(vec![phase("Load", 10, 10)]))), at(5));
    let mut replaced = report(vec![phase("Load", 4, 10)]);
    replaced.servers_up = 2;
    let after = status(&end, &input(replaced), at(60));
    assert_eq!((after.phases, after.progress), (end.phases, end.progress));
    assert_eq!(after.servers.unwrap().summary, "2/3");
}

#[test]
fn blank_frames_and_frames_without_a_centroid_are_counted_and_the_first_hundred_listed() {
    let mut many = report(vec![]);
    many.frames_blank = (0..250).map(|frame| frame * 2).collect();
    many.frames_without_centroid = (0..101).collect();
    let after = status(&started(), &input(many), at(1));
    assert_eq!((after.frames_without_centroid.len(), after.frames_without_centroid_count), (100, Some(101)));
    assert_eq!((after.frames_blank.len(), after.frames_blank[99], after.frames_blank_count), (100, 198, Some(250)));
    let none = status(&started(), &input(report(vec![])), at(1));
    assert_eq!((none.frames_blank.len(), none.frames_blank_count, none.frames_without_centroid_count), (0, None, None));
}

#[test]
fn failures_are_present_after_the_first_lost_server() {
    assert_eq!(status(&started(), &input(report(vec![])), at(1)).failures, None);
    let last = LastFailure { server: "stack-1".into(), ..LastFailure::default() };
    let after = status(&started(), &StatusInput { counts: (1, 2), last: Some(last.clone()), ..input(report(vec![])) }, at(1));
    assert_eq!(after.failures, Some(Failures { counted: 1, uncounted: 2, last: Some(last) }));
    let servers = after.servers.unwrap();
    assert_eq!((servers.restarts, servers.summary.as_str(), servers.launched), (3, "3/3", 3));
    assert_eq!(after.observed_generation, Some(4));
}

#[test]
fn a_plan_has_numbers_and_a_summary() {
    let text = "apiVersion: arrayjob.dev/v1alpha1\nkind: ArrayJob\nmetadata: {name: j}\nspec: {source: {images: {urlTemplate: 'http://h/{index}', \
                count: 100}, frame: {height: 60, width: 80, dtype: uint8}}, recenter: {crop: [30, 40]}, fft: {output: amplitude}, servers: {storage: Disk}}";
    let job = crate::validate::validate(&crate::manifest::parse(text).unwrap(), crate::validate::Platform::Cluster).unwrap();
    let plan = Plan::new(&job, Some(3), &Budget { memory: Allowance::PerServer(1 << 30), cores: 2 }).unwrap();
    let recorded = plan_status(&plan, 2, 1 << 30);
    assert_eq!((recorded.generation, recorded.servers, recorded.threads, recorded.memory_limit_bytes), (2, 3, 2, 1 << 30));
    assert_eq!((recorded.frame_bytes, recorded.storage.as_str()), (100 * 60 * 80, "Disk"));
    assert_eq!(recorded.keep, ["raw", "recentered", "amplitude"]);
    assert!(recorded.peak_bytes > 0 && recorded.peak_bytes <= 1 << 30 && recorded.scratch_bytes > 0 && recorded.wire_bytes > 0);
    assert_eq!(recorded.fingerprint, plan.identity());
    assert!(
        recorded.summary.starts_with("100 × 60×80 uint8, 3 servers of ") && recorded.summary.ends_with("arrays on scratch disk"),
        "{}",
        recorded.summary
    );
}
