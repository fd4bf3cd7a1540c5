//! The plans that the planner considers for a job, in order of preference.

use super::{Pace, Partition, Placement, Plan, memory, pace::decoded_frames};
use crate::job::{Job, Kept, Storage};

/// Bands that a server pulls ahead of the transform if memory allows.
const BANDS_IN_FLIGHT: usize = 4;
/// The planner proposes at most this number of servers.
pub(super) const MOST_SERVERS: usize = 10_000;

/// Plans from the fastest that keeps most to the one that needs least memory. `memory` and `spare` are still empty: see [`counted`].
pub(super) fn candidates(job: &Job, servers: usize, threads: usize) -> impl Iterator<Item = Plan> {
    let partition = Partition::new(job, servers);
    let most_bands = partition.bands().div_ceil(servers).max(1);
    let in_flight = [BANDS_IN_FLIGHT, 2, 1].map(|bands| bands.min(most_bands));
    // The innermost choice below changes first: to decode chunks again costs more than fewer bands in flight or no overlap.
    let paces = Pace::all(job, partition.most_frames(), threads);
    let mut choices = Vec::new();
    for storage in placements(job) {
        for keep in keeps(job) {
            for pace in &paces {
                for bands_in_flight in in_flight {
                    choices.extend([true, false].map(|overlap| (storage, keep.clone(), *pace, bands_in_flight, overlap)));
                }
            }
        }
    }
    let (fft, bins) = (job.fft, job.bins());
    choices.into_iter().map(move |(storage, keep, pace, bands_in_flight, overlap)| {
        let decoded_frames = decoded_frames(&pace, &partition, job);
        Plan { partition, threads, fft, bins, keep, storage, bands_in_flight, overlap, pace, decoded_frames, memory: Vec::new(), spare: 0 }
    })
}

/// `plan` with the memory of each server.
pub(super) fn counted(plan: Plan, job: &Job) -> Plan {
    let memory = plan.ids().map(|id| memory::of(&plan, job, id)).collect();
    Plan { memory, ..plan }
}

/// The fewest servers whose share fits `allowed` bytes each.
pub(super) fn fewest(job: &Job, allowed: u64, threads: usize) -> Option<usize> {
    let fits = |servers: usize| candidates(job, servers, threads).any(|plan| counted(plan, job).peak_bytes() <= allowed);
    let most = job.frames.div_ceil(job.slab_frames).clamp(1, MOST_SERVERS);
    if !fits(most) {
        return None;
    }
    // More servers have smaller shares, so that bisection finds the least number.
    let (mut low, mut high) = (0, most);
    while high - low > 1 {
        let middle = low.midpoint(high);
        if fits(middle) { high = middle } else { low = middle }
    }
    Some(high)
}

/// Placements to try, the faster one first.
fn placements(job: &Job) -> Vec<Placement> {
    match job.storage {
        Storage::Auto if job.exchanges() => vec![Placement::Memory, Placement::TilesOnDisk, Placement::Disk],
        Storage::Auto => vec![Placement::Memory, Placement::Disk],
        Storage::Memory => vec![Placement::Memory],
        Storage::Disk => vec![Placement::Disk],
    }
}

/// Lists of arrays to keep, the longest first: the manifest's list, or all arrays, then all but the raw frames.
fn keeps(job: &Job) -> Vec<Vec<Kept>> {
    if let Some(keep) = &job.keep {
        return vec![keep.clone()];
    }
    let mut all = vec![Kept::Raw];
    all.extend(job.recenter.map(|_| Kept::Recentered));
    match job.fft {
        Some(_) => all.push(Kept::Spectrum),
        None => all.extend(job.rechunk.map(|_| Kept::Rechunked)),
    }
    // Without recentering and exchange the raw frames are the only result.
    let needs_raw = job.recenter.is_none() && !job.exchanges();
    let last_resort = all.iter().copied().filter(|kept| needs_raw || *kept != Kept::Raw).collect();
    vec![all, last_resort]
}
