use super::*;
use crate::report::conditions::Said;
use api::plan::{Allowance, Budget};

/// Seconds after the start of the work.
fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

fn phase(name: &str, done: u64, total: u64) -> PhaseReport {
    PhaseReport { name: name.into(), seconds: 2.0, bytes: done * 1000, retries: 0, done, total }
}

fn report(phases: Vec<PhaseReport>) -> Report {
    let started_ms = Some(at(0).as_millisecond() as u64);
    Report {
        phases,
        frames_blank: vec![],
        peak_rss_bytes: 0,
        servers_up: 3,
        restarts: 0,
        outputs: (0, 0),
        started_ms,
        last_error: None,
        writing: None,
    }
}

fn story(report: Report) -> Story {
    Story { generation: Some(4), report: Some(report), desired: 3, launched: 3, ..Story::default() }
}

fn started() -> ArrayJobStatus {
    ArrayJobStatus { start_time: Some(time(at(0))), ..ArrayJobStatus::default() }
}

fn done(mut story: Story) -> Story {
    story.facts.ended = Some(Ok("done".into()));
    story
}

fn failed(mut story: Story) -> Story {
    story.facts.ended = Some(Err(Failure { reason: "SourceUnavailable".into(), message: "m".into() }));
    story
}

/// The progress at this time after the start.
fn progress_of(phases: Vec<PhaseReport>, seconds: i64) -> ProgressStatus {
    status(&started(), &story(report(phases)), at(seconds)).progress.unwrap()
}

#[test]
fn percents_are_shares_of_all_phases_and_reach_100_at_the_end_only() {
    let both = |load: u64, fft: u64| vec![phase("Load", load, 1000), phase("Fft", fft, 1000)];
    let cases = [
        (both(0, 0), "0%", "Load"),
        (both(500, 0), "25%", "Load"),
        (both(1000, 0), "50%", "Fft"),
        (both(999, 999), "99%", "Load"),
        (both(1000, 999), "99%", "Fft"),
        (both(1000, 1000), "99%", "Write"),
        // A server that came back counts its share again.
        (both(1200, 500), "75%", "Fft"),
        (vec![], "0%", "Write"),
    ];
    for (phases, percent, step) in cases {
        let progress = progress_of(phases.clone(), 10);
        assert_eq!((progress.percent.as_str(), progress.step.as_str()), (percent, step), "{phases:?}");
    }
    let end = status(&started(), &done(story(report(both(1000, 1000)))), at(10)).progress.unwrap();
    assert_eq!((end.percent.as_str(), end.step.as_str(), end.eta_seconds), ("100%", "Done", None));
}

#[test]
fn what_is_left_is_reckoned_from_what_is_done() {
    let quarter = |seconds| progress_of(vec![phase("Load", 250, 1000)], seconds);
    assert_eq!((quarter(10).eta_seconds, quarter(10).eta.as_deref()), (Some(30), Some("30s")));
    assert_eq!(quarter(100).eta.as_deref(), Some("5m00s"));
    assert_eq!(quarter(2500).eta.as_deref(), Some("2h05m"));
    assert_eq!(progress_of(vec![phase("Load", 1, 1000)], 10).eta, None, "too early to tell");
    assert_eq!(quarter(-5).eta_seconds, Some(0), "clocks differ");
    let mut unstarted = report(vec![phase("Load", 250, 1000)]);
    unstarted.started_ms = None;
    assert_eq!(status(&started(), &story(unstarted), at(10)).progress.unwrap().eta, None);
}

#[test]
fn bytes_and_rate_are_those_of_the_step_at_work() {
    let progress = progress_of(vec![phase("Load", 1000, 1000), phase("Fft", 300, 1000)], 10);
    assert_eq!((progress.bytes, progress.bytes_per_second), (1_300_000, 150_000));
    let mut still = phase("Load", 0, 10);
    still.seconds = 0.0;
    assert_eq!(progress_of(vec![still], 10).bytes_per_second, 0);
}

#[test]
fn phases_wait_run_and_complete() {
    let mut load = phase("Load", 10, 10);
    load.seconds = 1.234_567_8;
    let after = status(&started(), &story(report(vec![load, phase("Rechunk", 3, 10), phase("Fft", 0, 10)])), at(1));
    let told: Vec<(&str, &str, &str)> =
        after.phases.iter().map(|phase| (phase.name.as_str(), phase.state.as_str(), phase.unit.as_str())).collect();
    assert_eq!(told, [("Load", "Complete", "frames"), ("Rechunk", "Running", "bands"), ("Fft", "Waiting", "bands")]);
    assert!((after.phases[0].seconds - 1.235).abs() < f64::EPSILON, "rounded to milliseconds");
}

#[test]
fn the_phase_sums_up_what_is_going_on() {
    let idle = || story(report(vec![phase("Load", 0, 10)]));
    let busy = || story(report(vec![phase("Load", 1, 10)]));
    let suspended = Story { facts: Facts { suspended: true, ..Facts::default() }, ..Story::default() };
    let cases = [
        (ArrayJobStatus::default(), Story::default(), "Pending"),
        (started(), Story::default(), "Starting"),
        (started(), idle(), "Starting"),
        (started(), busy(), "Running"),
        (started(), Story { recovering: true, ..busy() }, "Recovering"),
        (started(), suspended.clone(), "Suspended"),
        (ArrayJobStatus::default(), suspended, "Suspended"),
        (started(), done(busy()), "Complete"),
        (started(), failed(busy()), "Failed"),
        (ArrayJobStatus::default(), failed(Story::default()), "Failed"),
        (started(), failed(Story { recovering: true, ..busy() }), "Failed"),
    ];
    for (before, story, expected) in cases {
        let after = status(&before, &story, at(1));
        assert_eq!(after.phase.as_deref(), Some(expected));
        assert_eq!(status(&after, &story, at(2)), after, "told again, {expected} changes nothing");
    }
}

#[test]
fn the_end_has_a_time_and_it_is_the_first_one() {
    let end = status(&started(), &done(story(report(vec![]))), at(5));
    assert_eq!(end.completion_time.as_deref(), Some("2027-01-15T08:00:05Z"));
    let later =
        status(&end, &Story { facts: Facts { ready: Some(Said::no("Expired", "gone")), ..Facts::default() }, ..Story::default() }, at(500));
    assert_eq!((later.completion_time, later.phase.as_deref()), (end.completion_time, Some("Complete")));
    assert_eq!(status(&started(), &story(report(vec![])), at(5)).completion_time, None);
}

#[test]
fn times_are_whole_seconds() {
    assert_eq!(time("2026-01-01T00:00:00.7Z".parse().unwrap()), "2026-01-01T00:00:01Z");
}

#[test]
fn a_job_that_is_done_keeps_its_numbers_while_a_server_comes_back() {
    let end = status(&started(), &done(story(report(vec![phase("Load", 10, 10)]))), at(5));
    let mut back = report(vec![phase("Load", 4, 10)]);
    back.servers_up = 2;
    let after = status(&end, &story(back), at(60));
    assert_eq!((after.phases, after.progress), (end.phases, end.progress));
    assert_eq!(after.servers.unwrap().summary, "2/3");
}

#[test]
fn blank_frames_are_counted_and_the_first_hundred_listed() {
    let mut many = report(vec![]);
    many.frames_blank = (0..250).map(|frame| frame * 2).collect();
    let after = status(&started(), &story(many), at(1));
    assert_eq!((after.frames_blank.len(), after.frames_blank[99], after.frames_blank_count), (100, 198, Some(250)));
    let none = status(&started(), &story(report(vec![])), at(1));
    assert_eq!((none.frames_blank.len(), none.frames_blank_count), (0, None));
}

#[test]
fn lost_servers_are_told_once_there_are_any() {
    assert_eq!(status(&started(), &story(report(vec![])), at(1)).failures, None);
    let last = LastFailure { server: "stack-1".into(), ..LastFailure::default() };
    let after = status(&started(), &Story { counts: (1, 2), last: Some(last.clone()), ..story(report(vec![])) }, at(1));
    assert_eq!(after.failures, Some(Failures { counted: 1, uncounted: 2, last: Some(last) }));
    let servers = after.servers.unwrap();
    assert_eq!((servers.restarts, servers.summary.as_str(), servers.launched), (3, "3/3", 3));
    assert_eq!(after.observed_generation, Some(4));
}

#[test]
fn a_plan_is_told_in_numbers_and_in_a_sentence() {
    let text = "apiVersion: arrayjob.dev/v1alpha1\nkind: ArrayJob\nmetadata: {name: j}\nspec: {source: {images: {urlTemplate: 'http://h/{index}', \
                count: 100}, frame: {height: 60, width: 80, dtype: uint8}}, recenter: {crop: [30, 40]}, fft: {output: amplitude}, servers: {storage: Disk}}";
    let job = crate::validate::validate(&crate::manifest::parse(text).unwrap(), crate::validate::Place::Cluster).unwrap();
    let plan = Plan::new(&job, Some(3), &Budget { memory: Allowance::PerServer(1 << 30), cores: 2 }).unwrap();
    let told = plan_status(&plan, 2, 1 << 30);
    assert_eq!((told.generation, told.servers, told.threads, told.memory_limit_bytes), (2, 3, 2, 1 << 30));
    assert_eq!((told.frame_bytes, told.storage.as_str()), (100 * 60 * 80, "Disk"));
    assert_eq!(told.keep, ["raw", "recentered", "amplitude"]);
    assert!(told.peak_bytes > 0 && told.peak_bytes <= 1 << 30 && told.scratch_bytes > 0 && told.wire_bytes > 0);
    assert_eq!(told.fingerprint, plan.identity());
    assert!(
        told.summary.starts_with("100 × 60×80 uint8, 3 servers of ") && told.summary.ends_with("arrays on scratch disk"),
        "{}",
        told.summary
    );
}
