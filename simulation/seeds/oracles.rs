//! What must hold after each seed.

use crate::faults::Fault;
use crate::fleet::Platform;
use crate::run::World;
use api::phase::{Failure, reason};
use std::time::Duration;

/// The loop notices the end of a process within this time.
const NOTICED: Duration = Duration::from_secs(2);
/// The loop notices a silent server within this time: two requests after one another, of which each may time out, and slow messages.
const SILENCE_NOTICED: Duration = Duration::from_secs(12);
/// Another server listens within this time after the loop starts it. A start takes up to 5 s.
const STARTED: Duration = Duration::from_secs(6);

/// Whether the job may fail with this failure.
pub(crate) fn may_fail(world: &World, failure: &Failure) -> Result<(), String> {
    let lost = world.fleet.losses().len();
    // A server without a link to the loop is replaced too, and is not a recorded loss.
    if failure.reason == reason::BACKOFF_LIMIT_EXCEEDED && (world.job.backoff_limit == 0 || lost > world.job.backoff_limit as usize) {
        return Ok(());
    }
    Err(format!("the job fails after {lost} losses: {failure:?}"))
}

/// The rules of a job that has ended, before its servers are removed.
pub(crate) fn check(world: &World, schedule: &[(Duration, Fault)], failed: bool) -> Result<(), String> {
    losses_are_noticed(world, schedule, failed)?;
    if failed || schedule.iter().any(|(_, fault)| fault.concerns_source()) {
        return Ok(());
    }
    // Each start of a server loads its own frames once.
    let starts = world.fleet.starts_of_servers();
    for (frame, fetches) in world.frames.fetches().into_iter().enumerate() {
        let owner = world.plan.owner_of_frame(frame).0;
        if fetches == 0 || fetches > starts[owner] {
            return Err(format!("frame {frame} of server {owner} was fetched {fetches} times in {} starts", starts[owner]));
        }
    }
    Ok(())
}

/// A lost server is replaced in time. With one fault alone, because a second fault may hide the first.
fn losses_are_noticed(world: &World, schedule: &[(Duration, Fault)], failed: bool) -> Result<(), String> {
    if failed || schedule.len() > 1 {
        return Ok(());
    }
    for loss in world.fleet.losses().iter() {
        let limit = match world.fleet.platform {
            _ if !loss.is_reported => SILENCE_NOTICED,
            Platform::Processes => NOTICED,
            // A request to the removed server may have to time out first.
            Platform::Pods => SILENCE_NOTICED,
        };
        // A container that is restarted in place needs no replacement, and a server that responds again needs none either.
        let replaced = loss.replaced.or(loss.up).or(loss.recovered);
        let noticed = replaced.is_some_and(|replaced| replaced <= loss.at + limit);
        let up = loss.recovered.is_some() || loss.up.is_some_and(|up| replaced.is_some_and(|replaced| up <= replaced + STARTED));
        if !noticed || !up {
            return Err(format!("a lost server is replaced too late: {loss:?}"));
        }
    }
    Ok(())
}

/// Nothing of ended servers is in memory.
pub(crate) fn nothing_is_left(world: &World) -> Result<(), String> {
    let alive = world.fleet.ended.alive();
    if alive.is_empty() { Ok(()) } else { Err(format!("still in memory after the end: {}", alive.join(", "))) }
}
