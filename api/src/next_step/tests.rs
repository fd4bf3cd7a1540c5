use super::*;
use crate::fixture;
use crate::job::Output;
use crate::phase::{BootId, PhaseProgress};
use crate::plan::{Allowance, Budget};
use proptest::prelude::*;

/// A job with both kinds of output.
fn job() -> Job {
    let output = |select: &str, url: &str| Output { select: select.into(), url: url.into(), chunks: None, shards: None };
    let outputs = vec![output("power", "file:///o.zarr"), output("power[0]", "file:///p.npy")];
    Job { slab_frames: 10, outputs, ..fixture::job(100, 50, 50) }
}

fn plan(job: &Job) -> Plan {
    Plan::new(job, Some(3), &Budget { memory: Allowance::Shared(8 << 30), cores: 2 }).unwrap()
}

/// A fleet on paper: carries out steps at once, and can be harmed.
struct World {
    observed: Observed,
    starts: usize,
    /// Turns that each start takes before the server answers, over and over.
    lags: Vec<u32>,
    /// Of servers that do not answer: for how many turns, and what they are then; a new start where nothing is said.
    away: Vec<(u32, Option<Seen>)>,
    /// The last phase that each server was told to work on.
    goals: Vec<Phase>,
}

impl World {
    fn new() -> Self {
        let observed = Observed { servers: vec![Seen::Absent; 3], restarts: 0 };
        Self { observed, starts: 0, lags: vec![0], away: vec![(0, None); 3], goals: vec![Phase::Load; 3] }
    }

    fn carry_out(&mut self, step: &Step) {
        match step {
            Step::Launch(ids) => {
                for id in ids {
                    if matches!(self.observed.servers[id.0], Seen::Exited(_)) {
                        self.observed.restarts += 1;
                    }
                    self.observed.servers[id.0] = Seen::Starting;
                    self.away[id.0] = (self.lags[self.starts % self.lags.len()], None);
                }
            }
            Step::Assign(ids, assignment) => {
                for id in ids {
                    if let Seen::Up { progress, .. } = &mut self.observed.servers[id.0] {
                        progress.assignment = Some((assignment.job.uid.clone(), assignment.job.generation));
                        progress.stamp = assignment.stamp();
                        self.goals[id.0] = assignment.goal;
                        if progress.phases.is_empty() {
                            progress.phases = [Phase::Load, Phase::Recenter, Phase::Rechunk, Phase::Fft].map(phase).to_vec();
                        }
                    }
                }
            }
            Step::Write(writes) => {
                for (id, writing) in writes {
                    assert!(self.may_begin(*writing), "{writing:?} stands on what is not written yet");
                    if let Seen::Up { progress, .. } = &mut self.observed.servers[id.0] {
                        progress.writing.push(*writing);
                    }
                }
            }
            Step::Wait | Step::Finish | Step::Fail(_) => {}
        }
    }

    /// A start of a server that knows nothing, at this address or at one of its own.
    fn boot(&mut self, address: Option<String>) -> Seen {
        self.starts += 1;
        let progress = Progress {
            boot: BootId(format!("b{}", self.starts)),
            assignment: None,
            stamp: 0,
            milestone: 0,
            phases: vec![],
            blank: vec![],
            writing: vec![],
            written: vec![],
            failure: None,
            last_error: None,
            peak_rss_bytes: 0,
            vitals: None,
        };
        Seen::Up { address: address.unwrap_or_else(|| format!("h:{}", self.starts)), progress: Box::new(progress) }
    }

    /// Time passes: what starts is up, what works gets further, as far as it may.
    fn work(&mut self) {
        for id in 0..self.observed.servers.len() {
            let goal = self.goals[id];
            match &mut self.observed.servers[id] {
                Seen::Starting if self.away[id].0 > 0 => self.away[id].0 -= 1,
                Seen::Starting => self.observed.servers[id] = self.away[id].1.take().unwrap_or_else(|| self.boot(None)),
                Seen::Up { progress, .. } => {
                    if let Some(phase) = progress.phases.iter_mut().find(|phase| !phase.complete() && phase.phase <= goal) {
                        phase.done += 1;
                    }
                    progress.written.append(&mut progress.writing);
                }
                Seen::Absent | Seen::Exited(_) | Seen::Lost(_) => {}
            }
        }
    }

    /// Whether every server has all its results in its memory now, and every output is written.
    fn all_is_done(&self, job: &Job) -> bool {
        let servers = self.observed.servers.iter().all(
            |seen| matches!(seen, Seen::Up { progress, .. } if progress.phases.len() == 4 && progress.phases.iter().all(PhaseProgress::complete)),
        );
        let last = [Writing { output: 0, stage: Stage::Close }, Writing { output: 1, stage: Stage::Whole }];
        assert_eq!(last.len(), job.outputs.len());
        servers && last.iter().all(|last| self.observed.progress().any(|(_, progress)| progress.written.contains(last)))
    }

    /// Whether all that a stage stands on is there: one server has opened, all have written their parts.
    fn may_begin(&self, writing: Writing) -> bool {
        let written = |stage| {
            let of = Writing { stage, ..writing };
            self.observed.progress().filter(|(_, progress)| progress.written.contains(&of)).count()
        };
        match writing.stage {
            Stage::Whole => true,
            // It would undo what others have written.
            Stage::Open => written(Stage::Part) == 0,
            Stage::Part => written(Stage::Open) == 1 || written(Stage::Part) > 0,
            Stage::Close => written(Stage::Part) == 3,
        }
    }
}

/// What can become of a server that was started.
#[derive(Clone, Copy, Debug)]
enum Harm {
    /// It ends by itself.
    Exit,
    /// It is taken away.
    Lose,
    /// It is gone without a trace.
    Vanish,
    /// It is started again in place: same address, another boot, nothing in its memory.
    Reboot,
    /// It does not answer for so many turns, and then goes on where it was.
    Mute(u32),
}

impl World {
    fn harm(&mut self, id: usize, harm: Harm) {
        let seen = self.observed.servers[id].clone();
        self.observed.servers[id] = match (harm, seen) {
            (_, Seen::Absent) => Seen::Absent,
            (Harm::Exit, _) => Seen::Exited("killed".into()),
            (Harm::Lose, _) => Seen::Lost("evicted".into()),
            (Harm::Vanish, _) => Seen::Absent,
            (Harm::Reboot, Seen::Up { address, .. }) => self.boot(Some(address)),
            (Harm::Mute(turns), seen @ Seen::Up { .. }) => {
                self.away[id] = (turns, Some(seen));
                Seen::Starting
            }
            (Harm::Reboot | Harm::Mute(_), other) => other,
        };
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
    assert_eq!(names, ["launch 3", "assign 3", "wait", "write 2", "write 3", "write 1", "finish"]);
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

#[test]
fn a_server_that_is_taken_away_is_replaced_however_often() {
    let (mut job, mut world) = (job(), World::new());
    job.backoff_limit = 0;
    let plan = plan(&job);
    for _ in 0..50 {
        world.carry_out(&next_step(&job, &plan, &world.observed));
        world.work();
        world.harm(1, Harm::Lose);
        assert_eq!(next_step(&job, &plan, &world.observed), Step::Launch(vec![ServerId(1)]));
    }
}

#[test]
fn a_server_that_starts_again_in_place_is_assigned_again_and_its_peers_learn_its_boot() {
    let (job, mut world) = (job(), World::new());
    let plan = plan(&job);
    for _ in 0..5 {
        world.carry_out(&next_step(&job, &plan, &world.observed));
        world.work();
    }
    let address = |world: &World| {
        world.observed.servers.iter().map(|seen| format!("{seen:?}").split('"').nth(1).unwrap().to_owned()).collect::<Vec<_>>()
    };
    let before = address(&world);
    world.harm(1, Harm::Reboot);
    assert_eq!(address(&world), before);
    let Step::Assign(ids, assignment) = next_step(&job, &plan, &world.observed) else { panic!("nobody is told") };
    assert_eq!(ids.len(), 3);
    let (_, progress) = world.observed.progress().nth(1).unwrap();
    assert_eq!(assignment.peers[1].as_ref().unwrap().boot, progress.boot);
}

/// Turns in which harm is done.
const TROUBLED: u32 = 60;
/// Turns that a job takes at most once nobody harms it: the longest start, the work, the writing, and a turn for each step.
const QUIET: u32 = 40;

fn harms(exits: bool) -> impl Strategy<Value = Vec<(u32, usize, Harm)>> {
    let harm = (0u32..5, 0u32..6).prop_map(move |(kind, turns)| match kind {
        0 if exits => Harm::Exit,
        1 => Harm::Vanish,
        2 => Harm::Reboot,
        3 => Harm::Mute(turns),
        _ => Harm::Lose,
    });
    proptest::collection::vec((0..TROUBLED, 0usize..3, harm), 0..12)
}

/// Turns the loop until it ends, and checks each step on the way.
fn outcome(job: &Job, overlap: bool, lags: Vec<u32>, harms: &[(u32, usize, Harm)]) -> Result<(World, Step), TestCaseError> {
    let mut plan = plan(job);
    plan.overlap = overlap;
    let mut world = World { lags, ..World::new() };
    for turn in 0..TROUBLED + QUIET {
        harms.iter().filter(|(at, ..)| *at == turn).for_each(|&(_, id, harm)| world.harm(id, harm));
        let step = next_step(job, &plan, &world.observed);
        prop_assert_eq!(&step, &next_step(job, &plan, &world.observed), "the same sight gives the same step");
        match &step {
            Step::Finish => prop_assert!(world.all_is_done(job), "finished early: {:?}", world.observed),
            Step::Assign(_, assignment) => {
                for (id, progress) in world.observed.progress() {
                    let peer = assignment.peers[id.0].as_ref();
                    prop_assert_eq!(peer.map(|peer| &peer.boot), Some(&progress.boot), "peers are told who is there now");
                }
                let loaded = |(_, p): (ServerId, &Progress)| !p.phases.is_empty() && p.complete_through(Phase::Recenter);
                let all_loaded = world.observed.progress().count() == 3 && world.observed.progress().all(loaded);
                prop_assert!(overlap || all_loaded || assignment.goal == Phase::Recenter, "blocks are pulled before all is loaded");
            }
            _ => {}
        }
        if matches!(step, Step::Finish | Step::Fail(_)) {
            return Ok((world, step));
        }
        world.carry_out(&step);
        world.work();
    }
    Err(TestCaseError::fail(format!("neither finished nor failed: {:?}", world.observed)))
}

proptest! {
    /// Servers end, vanish, are taken away, start again or say nothing, at any turn; it ends in Finish, or in Fail once so many
    /// have ended by themselves, and never hangs.
    #[test]
    fn any_losses_end_in_finish_or_fail(
        harms in harms(true), lags in proptest::collection::vec(0u32..6, 1..4), limit in 0u32..4, overlap: bool,
    ) {
        let job = Job { backoff_limit: limit, ..job() };
        let (world, step) = outcome(&job, overlap, lags, &harms)?;
        if let Step::Fail(failure) = step {
            prop_assert_eq!(failure.reason, reason::BACKOFF_LIMIT_EXCEEDED);
            prop_assert!(world.observed.restarts >= limit);
            prop_assert!(world.observed.servers.iter().any(|seen| matches!(seen, Seen::Exited(_))));
        }
    }

    /// Whoever is taken away, vanishes or says nothing has not failed: such a job ends well, even where nothing is forgiven.
    #[test]
    fn losses_that_are_nobodys_failure_end_in_finish(
        harms in harms(false), lags in proptest::collection::vec(0u32..6, 1..4), overlap: bool,
    ) {
        let job = Job { backoff_limit: 0, ..job() };
        let (world, step) = outcome(&job, overlap, lags, &harms)?;
        prop_assert_eq!(step, Step::Finish);
        prop_assert_eq!(world.observed.restarts, 0);
    }
}
