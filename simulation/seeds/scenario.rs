//! A seed: a job without faults, the same job with faults, and the comparison of both.

use crate::dice::Dice;
use crate::faults::{Fault, KINDS, faults};
use crate::fleet::Platform;
use crate::outputs::{Files, Outputs};
use crate::run::{Arrays, PATIENCE, World};
use crate::{jobs, oracles, reference};
use api::job::Job;
use api::phase::Failure;
use api::plan::Plan;
use std::time::Duration;
use tokio::runtime::Runtime;
use transport::http::simulation::at;

/// The results of the job without faults.
struct Expected {
    arrays: Arrays,
    files: Files,
    /// Simulated time until its end.
    took: Duration,
}

/// The summary of a seed that passed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Summary {
    /// The hash of all events.
    pub(crate) digest: u64,
    /// Simulated time, in milliseconds.
    pub(crate) millis: u64,
    /// The job failed with a reason that the faults permit.
    pub(crate) failed: u64,
    /// Reads of arrays that were complete while faults happened.
    pub(crate) reads: u64,
    /// Number of faults of each kind.
    pub(crate) faults: [u64; KINDS.len()],
}

fn runtime() -> Runtime {
    let built = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).max_blocking_threads(1).build();
    built.expect("a runtime")
}

/// A world of a new runtime, whose servers fetch frames over the network of the world.
fn in_world<T>(world: impl AsyncFnOnce() -> World, work: impl AsyncFnOnce(&World) -> T) -> T {
    let runtime = runtime();
    let world = runtime.block_on(world());
    at(&world.network.endpoint("loader"), || runtime.block_on(work(&world)))
}

/// Runs a seed. The error names the violated rule.
pub(crate) fn run(seed: u64, print: bool) -> Result<Summary, String> {
    let expected = undisturbed(seed)?;
    let took = expected.took;
    let platform = Dice::new(seed, "platform").pick(&[Platform::Processes, Platform::Pods]);
    let (mut job, plan, outputs) = planned(seed);
    if Dice::new(seed, "backoff").percent(4) {
        job.backoff_limit = 0;
    }
    let schedule = faults(seed, plan.partition.servers, platform, took);
    if print {
        println!("{platform:?}, {} servers, {} frames, {took:?} without faults: {schedule:#?}", plan.partition.servers, job.frames);
    }
    in_world(async || World::new(seed, job, plan, platform, print), async |world| disturbed(world, &schedule, &expected, &outputs).await)
}

/// The job of a seed, its plan, and an empty folder for its outputs.
fn planned(seed: u64) -> (Job, Plan, Outputs) {
    let mut job = jobs::job(seed);
    let plan = jobs::plan(seed, &job);
    let outputs = Outputs::new();
    outputs.add_to(&mut job, &plan, seed);
    (job, plan, outputs)
}

/// The job without faults.
fn undisturbed(seed: u64) -> Result<Expected, String> {
    let (job, plan, outputs) = planned(seed);
    in_world(
        async || World::new(seed, job, plan, Platform::Processes, false),
        async |world| {
            let ended = tokio::time::timeout(PATIENCE, world.complete()).await;
            ended.map_err(|_| "the job without faults does not end")?.map_err(|failure| format!("without faults: {failure:?}"))?;
            let took = world.trace.now();
            let arrays = world.read_all().await.map_err(|error| format!("without faults: {error}"))?;
            reference::check(&world.job, &world.frames.stack(), &arrays)?;
            world.end().await;
            Ok(Expected { arrays, files: outputs.files(), took })
        },
    )
}

/// The job with faults.
async fn disturbed(world: &World, schedule: &[(Duration, Fault)], expected: &Expected, outputs: &Outputs) -> Result<Summary, String> {
    let end = schedule.iter().map(|(at, fault)| *at + fault.lasts()).max().unwrap_or_default();
    let mut summary = Summary::default();
    let job = async {
        let ended = tokio::time::timeout(end + PATIENCE, world.complete_again()).await;
        let ended: Result<(), Failure> = ended.map_err(|_| format!("the job does not end within {PATIENCE:?} of the last fault"))?;
        world.trace.event(&format!("the job ends: {ended:?}"));
        if let Err(failure) = ended {
            oracles::may_fail(world, &failure)?;
            return Ok(true);
        }
        if outputs.files() != expected.files {
            return Err("the outputs differ from the outputs without faults".into());
        }
        // Faults go on while the arrays are served.
        tokio::select! {
            biased;
            read = world.read_finally(end, &expected.arrays) => read.map(|()| false),
            failure = world.keep_again() => oracles::may_fail(world, &failure).map(|()| true),
        }
    };
    let watched = async {
        tokio::select! {
            biased;
            ended = job => ended,
            // Ends with an error only.
            wrong = world.read_meanwhile(&expected.arrays, &mut summary.reads) => Err(wrong),
        }
    };
    let injected = async {
        world.inject(schedule).await;
        std::future::pending::<()>().await;
    };
    let failed = tokio::select! {
        biased;
        ended = watched => ended?,
        () = injected => false,
    };
    summary.failed = u64::from(failed);
    oracles::check(world, schedule, failed)?;
    world.end().await;
    // Tasks end after their last pause.
    tokio::time::sleep(Duration::from_secs(120)).await;
    oracles::nothing_is_left(world)?;
    summary.digest = world.trace.digest();
    summary.millis = world.trace.now().as_millis() as u64;
    schedule.iter().for_each(|(_, fault)| summary.faults[fault.kind()] += 1);
    Ok(summary)
}
