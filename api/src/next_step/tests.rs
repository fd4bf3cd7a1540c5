mod assigned;

use super::*;
use crate::fixture;
use crate::job::Output;
use crate::phase::PhaseProgress;
use crate::plan::{Allowance, Budget};
use proptest::prelude::*;

/// A job with a Zarr output and a file.
fn job() -> Job {
    let output = |select: &str, url: &str| Output { select: select.into(), url: url.into(), chunks: None, shards: None };
    let outputs = vec![output("power", "file:///o.zarr"), output("power[0]", "file:///p.npy")];
    Job { slab_frames: 10, outputs, ..fixture::job(100, 50, 50) }
}

fn plan(job: &Job) -> Plan {
    Plan::new(job, Some(3), &Budget { memory: Allowance::Shared(8 << 30), cores: 2 }).unwrap()
}

/// A simulated fleet that carries out steps at once, and that tests can harm.
struct World {
    observed: Observed,
    starts: usize,
    /// Turns between the start of a server and its first response; start `n` uses number `n` modulo the length.
    lags: Vec<u32>,
    /// For each server that does not respond: the number of turns, and its state after them. Without a state, the server starts again.
    away: Vec<(u32, Option<Seen>)>,
    /// The last phase that each server may begin.
    goals: Vec<Phase>,
}

impl World {
    fn new() -> Self {
        let observed = Observed { servers: vec![Seen::Absent; 3], restarts: 0, oom_kills: 0, untrusted: 0 };
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
                    assert!(self.may_begin(*writing), "{writing:?} starts before the stage that it needs");
                    if let Seen::Up { progress, .. } = &mut self.observed.servers[id.0] {
                        progress.writing.push(*writing);
                    }
                }
            }
            Step::Wait | Step::Finish | Step::Fail(_) => {}
        }
    }

    /// A new start of a server without an assignment, at `address` or at an address of its own.
    fn boot(&mut self, address: Option<String>) -> Seen {
        self.starts += 1;
        let progress = fixture::progress(&format!("b{}", self.starts));
        Seen::Up { address: address.unwrap_or_else(|| format!("h:{}", self.starts)), progress: Box::new(progress) }
    }

    /// One turn passes: starting servers respond, working servers complete one unit up to their goal, and stages complete.
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

    /// Whether every server has computed all its results since its start, and every output is written.
    fn all_is_done(&self, job: &Job) -> bool {
        let servers = self.observed.servers.iter().all(
            |seen| matches!(seen, Seen::Up { progress, .. } if progress.phases.len() == 4 && progress.phases.iter().all(PhaseProgress::complete)),
        );
        let last = [Writing { output: 0, stage: Stage::Close }, Writing { output: 1, stage: Stage::Whole }];
        assert_eq!(last.len(), job.outputs.len());
        servers && last.iter().all(|last| self.observed.progress().any(|(_, progress)| progress.written.contains(last)))
    }

    /// Whether the stages before `writing` are complete on the servers that do them.
    fn may_begin(&self, writing: Writing) -> bool {
        let written = |stage| {
            let of = Writing { stage, ..writing };
            self.observed.progress().filter(|(_, progress)| progress.written.contains(&of)).count()
        };
        let part = Writing { stage: Stage::Part, ..writing };
        let begun = written(Stage::Part) > 0 || self.observed.progress().any(|(_, progress)| progress.writing.contains(&part));
        match writing.stage {
            Stage::Whole => true,
            // A second Open deletes the objects that servers have written.
            Stage::Open => !begun,
            Stage::Part => written(Stage::Open) == 1 || begun,
            Stage::Close => written(Stage::Part) == 3,
        }
    }
}

/// A fault of a started server.
#[derive(Clone, Copy, Debug)]
enum Harm {
    /// The server ends by itself.
    Exit,
    /// The server is removed from outside.
    Lose,
    /// The server ends without a trace.
    Vanish,
    /// The server restarts in place: the same address, another boot id, no assignment.
    Reboot,
    /// The server does not respond for a number of turns, and then continues its work.
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
fn a_job_without_faults_goes_launch_assign_wait_write_finish() {
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
fn the_failure_of_a_server_fails_the_job_with_its_message() {
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
fn an_ended_server_is_restarted_and_every_server_gets_its_new_address() {
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
    assert_eq!(ids.len(), 3, "the two survivors need the new address, the new server needs the assignment");
    assert!(assignment.peers.iter().all(Option::is_some));
}

#[test]
fn a_server_that_is_removed_from_outside_is_always_replaced() {
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
fn a_server_that_restarts_in_place_is_assigned_again_and_its_peers_get_its_boot_id() {
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
    let Step::Assign(ids, assignment) = next_step(&job, &plan, &world.observed) else { panic!("no assignment") };
    assert_eq!(ids.len(), 3);
    let (_, progress) = world.observed.progress().nth(1).unwrap();
    assert_eq!(assignment.peers[1].as_ref().unwrap().boot, progress.boot);
}

#[test]
fn an_array_is_not_opened_again_while_a_server_writes_its_part() {
    let (job, mut world) = (job(), World::new());
    let plan = plan(&job);
    while !matches!(next_step(&job, &plan, &world.observed), Step::Write(_)) {
        world.carry_out(&next_step(&job, &plan, &world.observed));
        world.work();
    }
    // The array may be closed: all servers were replaced after its end, and server 1 finds nothing to write.
    let part = Writing { output: 0, stage: Stage::Part };
    let Seen::Up { progress, .. } = &mut world.observed.servers[1] else { panic!("server 1 is not up") };
    progress.writing.push(part);
    let Step::Write(writes) = next_step(&job, &plan, &world.observed) else { panic!("nothing to write") };
    assert!(!writes.iter().any(|(_, writing)| writing.stage == Stage::Open), "{writes:?}");
    assert!(writes.contains(&(ServerId(0), part)) && writes.contains(&(ServerId(2), part)), "{writes:?}");
}

#[test]
fn a_second_kill_for_lack_of_memory_fails_the_job_before_all_restarts_are_used() {
    let (job, mut world) = (job(), World::new());
    let plan = plan(&job);
    world.observed.servers[1] = Seen::Exited("killed by the kernel".into());
    world.observed.oom_kills = 1;
    assert_eq!(next_step(&job, &plan, &world.observed), Step::Launch(plan.ids().collect()));
    (world.observed.oom_kills, world.observed.restarts) = (2, 1);
    let Step::Fail(failure) = next_step(&job, &plan, &world.observed) else { panic!("the job continues") };
    assert_eq!(failure.reason, reason::INSUFFICIENT_MEMORY);
    assert!(failure.message.contains("2 times") && failure.message.contains("killed by the kernel"), "{}", failure.message);
}

/// Turns with faults.
const TROUBLED: u32 = 60;
/// Most turns of a job without faults: the longest start, the work, the writing, and a turn for each step.
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

/// Runs the loop to its end, and checks each step.
fn outcome(job: &Job, overlap: bool, lags: Vec<u32>, harms: &[(u32, usize, Harm)]) -> Result<(World, Step), TestCaseError> {
    let mut plan = plan(job);
    plan.overlap = overlap;
    let mut world = World { lags, ..World::new() };
    for turn in 0..TROUBLED + QUIET {
        harms.iter().filter(|(at, ..)| *at == turn).for_each(|&(_, id, harm)| world.harm(id, harm));
        let step = next_step(job, &plan, &world.observed);
        prop_assert_eq!(&step, &next_step(job, &plan, &world.observed), "the same state gives the same step");
        match &step {
            Step::Finish => prop_assert!(world.all_is_done(job), "finished early: {:?}", world.observed),
            Step::Assign(_, assignment) => {
                for (id, progress) in world.observed.progress() {
                    let peer = assignment.peers[id.0].as_ref();
                    prop_assert_eq!(
                        peer.map(|peer| &peer.boot),
                        Some(&progress.boot),
                        "the assignment has the current boot id of each peer"
                    );
                }
                let loaded = |(_, p): (ServerId, &Progress)| !p.phases.is_empty() && p.complete_through(Phase::Recenter);
                let all_loaded = world.observed.progress().count() == 3 && world.observed.progress().all(loaded);
                prop_assert!(
                    overlap || all_loaded || assignment.goal == Phase::Recenter,
                    "servers pull blocks before all frames are loaded"
                );
            }
            Step::Launch(_) | Step::Write(_) | Step::Wait | Step::Fail(_) => {}
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
    /// Faults of every kind, at any turn. The loop always ends: in Finish, or in Fail after more ends than `backoff_limit`.
    #[test]
    fn any_faults_end_in_finish_or_fail(
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

    /// A server that is removed, vanishes or does not respond has not ended by itself. The job completes even with a backoff limit of 0.
    #[test]
    fn losses_from_outside_end_in_finish(
        harms in harms(false), lags in proptest::collection::vec(0u32..6, 1..4), overlap: bool,
    ) {
        let job = Job { backoff_limit: 0, ..job() };
        let (world, step) = outcome(&job, overlap, lags, &harms)?;
        prop_assert_eq!(step, Step::Finish);
        prop_assert_eq!(world.observed.restarts, 0);
    }
}
