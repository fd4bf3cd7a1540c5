use super::*;
use crate::geometry::{Dtype, FrameSpec};
use crate::job::{Color, Detrend, Fft, FftOutput, OnError, Output, Source, Storage, Window};
use crate::phase::{BootId, PhaseProgress};
use crate::plan::{Allowance, Budget};
use proptest::prelude::*;

fn job() -> Job {
    Job {
        name: "j".into(),
        uid: "u".into(),
        generation: 1,
        source: Source { url_template: "file:///f/{index}".into(), start: 0, step: 1, depth: 1, color: Color::Refuse, headers: vec![] },
        frames: 100,
        frame: FrameSpec { height: 50, width: 50, dtype: Dtype::Uint8 },
        on_error: OnError::Fail,
        slab_frames: 10,
        concurrency: 4,
        recenter: None,
        rechunk: None,
        fft: Some(Fft { output: FftOutput::Power, window: Window::None, detrend: Detrend::None }),
        reduce: vec![],
        keep: None,
        outputs: vec![
            Output { select: "power".into(), path: "/o.npy".into() },
            Output { select: "power[0]".into(), path: "/p.npy".into() },
        ],
        storage: Storage::Auto,
        backoff_limit: 3,
    }
}

fn plan(job: &Job) -> Plan {
    Plan::new(job, Some(3), &Budget { memory: Allowance::Shared(8 << 30), cores: 2 }).unwrap()
}

/// A fleet on paper: carries out steps at once, and can be harmed.
struct World {
    observed: Observed,
    starts: u32,
}

impl World {
    fn new() -> Self {
        Self { observed: Observed { servers: vec![Seen::Absent; 3], restarts: 0 }, starts: 0 }
    }

    fn carry_out(&mut self, step: &Step) {
        match step {
            Step::Launch(ids) => {
                for id in ids {
                    if matches!(self.observed.servers[id.0], Seen::Exited(_)) {
                        self.observed.restarts += 1;
                    }
                    self.observed.servers[id.0] = Seen::Starting;
                }
            }
            Step::Assign(ids, assignment) => {
                for id in ids {
                    if let Seen::Up { progress, .. } = &mut self.observed.servers[id.0] {
                        progress.assignment = Some((assignment.job.uid.clone(), assignment.job.generation));
                        progress.stamp = assignment.stamp();
                        if progress.phases.is_empty() {
                            progress.phases = [Phase::Load, Phase::Recenter, Phase::Rechunk, Phase::Fft].map(phase).to_vec();
                        }
                    }
                }
            }
            Step::Write(writes) => {
                for (id, output) in writes {
                    if let Seen::Up { progress, .. } = &mut self.observed.servers[id.0] {
                        progress.writing.push(*output);
                    }
                }
            }
            Step::Wait | Step::Finish | Step::Fail(_) => {}
        }
    }

    /// Time passes: what starts is up, what works gets further.
    fn work(&mut self) {
        for seen in &mut self.observed.servers {
            match seen {
                Seen::Starting => {
                    self.starts += 1;
                    let boot = BootId(format!("b{}", self.starts));
                    let progress = Progress {
                        boot,
                        assignment: None,
                        stamp: 0,
                        milestone: 0,
                        phases: vec![],
                        blank: vec![],
                        writing: vec![],
                        written: vec![],
                        failure: None,
                        peak_rss_bytes: 0,
                    };
                    *seen = Seen::Up { address: format!("h:{}", self.starts), progress: Box::new(progress) };
                }
                Seen::Up { progress, .. } => {
                    if let Some(phase) = progress.phases.iter_mut().find(|phase| !phase.complete()) {
                        phase.done += 1;
                    }
                    progress.written.append(&mut progress.writing);
                }
                Seen::Absent | Seen::Exited(_) => {}
            }
        }
    }
}

fn phase(phase: Phase) -> PhaseProgress {
    PhaseProgress { phase, done: 0, total: 2, bytes: 0, retries: 0, started_ms: 0, ended_ms: 0 }
}

#[test]
fn an_undisturbed_job_goes_launch_assign_wait_write_finish() {
    let (job, mut world) = (job(), World::new());
    let plan = plan(&job);
    let mut names = vec![];
    for _ in 0..50 {
        let step = next_step(&job, &plan, &world.observed);
        let name = match &step {
            Step::Launch(ids) => format!("launch {}", ids.len()),
            Step::Assign(ids, _) => format!("assign {}", ids.len()),
            Step::Write(writes) => format!("write {}", writes.len()),
            Step::Wait => "wait".into(),
            Step::Finish => "finish".into(),
            Step::Fail(failure) => failure.reason.clone(),
        };
        if names.last() != Some(&name) {
            names.push(name);
        }
        if step == Step::Finish {
            break;
        }
        world.carry_out(&step);
        world.work();
    }
    assert_eq!(names, ["launch 3", "assign 3", "wait", "write 2", "finish"]);
}

#[test]
fn a_failure_that_a_server_reports_fails_the_job_in_its_words() {
    let (job, mut world) = (job(), World::new());
    let plan = plan(&job);
    world.carry_out(&next_step(&job, &plan, &world.observed));
    world.work();
    if let Seen::Up { progress, .. } = &mut world.observed.servers[1] {
        progress.failure = Some(Failure { reason: reason::SOURCE_UNAVAILABLE.into(), message: "frame 7 is gone".into() });
    }
    let Step::Fail(failure) = next_step(&job, &plan, &world.observed) else { panic!() };
    assert_eq!(failure.message, "frame 7 is gone (server 1)");
}

#[test]
fn a_lost_server_is_started_again_and_every_peer_is_told() {
    let (job, mut world) = (job(), World::new());
    let plan = plan(&job);
    for _ in 0..4 {
        let step = next_step(&job, &plan, &world.observed);
        world.carry_out(&step);
        world.work();
    }
    world.observed.servers[2] = Seen::Exited("signal 9".into());
    let step = next_step(&job, &plan, &world.observed);
    assert_eq!(step, Step::Launch(vec![ServerId(2)]));
    world.carry_out(&step);
    world.work();
    let Step::Assign(ids, assignment) = next_step(&job, &plan, &world.observed) else { panic!() };
    assert_eq!(ids.len(), 3, "the two that stayed learn the new address, the new one learns all");
    assert!(assignment.peers.iter().all(Option::is_some));
}

proptest! {
    /// Servers vanish at any turn; it ends in Finish, or in Fail once the limit is reached, and never hangs.
    #[test]
    fn any_losses_end_in_finish_or_fail(losses in proptest::collection::vec((0usize..60, 0usize..3), 0..8), limit in 0u32..10, overlap: bool) {
        let mut job = job();
        job.backoff_limit = limit;
        let mut plan = plan(&job);
        plan.overlap = overlap;
        let mut world = World::new();
        for turn in 0..400 {
            for (_, server) in losses.iter().filter(|(at, _)| *at == turn) {
                if !matches!(world.observed.servers[*server], Seen::Absent) {
                    world.observed.servers[*server] = Seen::Exited("killed".into());
                }
            }
            match next_step(&job, &plan, &world.observed) {
                Step::Finish => {
                    prop_assert!(world.observed.progress().all(|(_, p)| p.complete_through(Phase::Fft)));
                    return Ok(());
                }
                Step::Fail(failure) => {
                    prop_assert_eq!(failure.reason, reason::BACKOFF_LIMIT_EXCEEDED);
                    prop_assert!(world.observed.restarts >= limit);
                    return Ok(());
                }
                step => world.carry_out(&step),
            }
            world.work();
        }
        prop_assert!(false, "neither finished nor failed");
    }
}
