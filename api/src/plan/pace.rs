//! How frames are loaded: how many together, how many groups at a time.
//!
//! Images come in groups of a few. The chunks of a Zarr array may be long in t: each group that needs part of such a chunk
//! decodes it, so that groups are as large as memory allows, and the plan says how often over the array is decoded.

use super::{Plan, ServerId};
use crate::geometry::cut;
use crate::job::{ArrayLayout, GROUP, Job, Source, Zarr};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// From one size of groups to the next smaller that is tried.
const SMALLER: usize = 8;
/// From one number of requests at a time to the next smaller that is tried.
const FEWER: usize = 4;
/// A decoded piece exists as fetched, as decoded, and as another codec leaves it.
pub(super) const COPIES: u64 = 3;

/// How frames are loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pace {
    /// Frames fetched, decoded and reduced together.
    pub group: usize,
    /// Such groups in hand at a time in one server.
    pub groups: usize,
    /// Requests, and pieces of a Zarr array, that one server has in hand at a time.
    pub requests: usize,
}

impl Pace {
    /// From the one that decodes least, and fastest, to the one that needs least memory. `share` is the most frames of a server.
    pub(super) fn all(job: &Job, share: usize, threads: usize) -> Vec<Self> {
        let Source::Zarr(Zarr { layout: Some(layout), .. }) = &job.source else {
            let group = match &job.source {
                Source::Images(images) => images.group(),
                Source::Zarr(_) => GROUP,
            };
            return vec![Self { group, groups: job.concurrency.div_ceil(group) + threads, requests: job.concurrency }];
        };
        let mut all: Vec<Self> = Vec::new();
        for group in groups_of(layout, share) {
            let mut requests = job.concurrency;
            loop {
                // A large group keeps all requests busy, and one more is computed meanwhile.
                let groups = if group > GROUP * threads.max(4) { 2 } else { requests.div_ceil(pieces(layout, group)) + threads };
                all.push(Self { group, groups, requests });
                if requests == 1 {
                    break;
                }
                requests = (requests / FEWER).max(1);
            }
        }
        all
    }

    /// Bytes of fetched and half-decoded frames: groups, and what is being decoded for them.
    pub(super) fn bytes(&self, plan: &Plan, job: &Job, frames: u64) -> u64 {
        let frame_bytes = plan.frame.bytes() as u64;
        let in_flight = ((self.groups * self.group) as u64).min(frames);
        match &job.source {
            // As fetched, rarely larger than decoded.
            Source::Images(images) => in_flight * (frame_bytes + images.depth as u64),
            Source::Zarr(zarr) => {
                let piece = zarr.layout.map_or(0, |layout| layout.piece_bytes(self.group)) as u64;
                in_flight * frame_bytes + self.requests as u64 * COPIES * piece
            }
        }
    }
}

/// Sizes of groups, the largest first: as long as the pieces would be if all frames were wanted, then fewer frames by whole parts,
/// at last parts of a part.
fn groups_of(layout: &ArrayLayout, share: usize) -> Vec<usize> {
    let (part, piece) = (layout.parts[0], layout.piece(layout.chunks[0])[0]);
    // Groups lie between multiples of their size: a whole chunk is not split, even where a share is less.
    let mut groups = vec![GROUP.next_multiple_of(piece)];
    while let Some(group) = groups.last().map(|&group| group.min(share)).filter(|&group| group > GROUP) {
        let smaller = (group / SMALLER).max(GROUP);
        groups.push(if smaller > part { smaller / part * part } else { smaller }.min(group - 1));
    }
    groups
}

/// Pieces of a group of frames.
fn pieces(layout: &ArrayLayout, group: usize) -> usize {
    let piece = layout.piece(group);
    group.div_ceil(piece[0]) * layout.shape[1].div_ceil(piece[1]) * layout.shape[2].div_ceil(piece[2])
}

impl Plan {
    /// The runs of frames that server `server` loads together, in order.
    pub fn groups_of(&self, job: &Job, server: ServerId) -> Vec<Range<usize>> {
        let own = self.frames_of(server);
        match &job.source {
            Source::Images(_) => groups(own, self.slab_frames, self.pace.group).collect(),
            Source::Zarr(zarr) => aligned(own, zarr.start, self.pace.group).collect(),
        }
    }

    /// Frames that are decoded over the whole job: those of the array that share a part with another group count for both.
    pub(super) fn decoded(&self, job: &Job) -> u64 {
        let Source::Zarr(Zarr { layout: Some(layout), start, .. }) = &job.source else { return self.frames as u64 };
        let runs = self.ids().flat_map(|id| aligned(self.frames_of(id), *start, self.pace.group));
        runs.map(|run| layout.decoded_frames(start + run.start, start + run.end) as u64).sum()
    }
}

/// The runs of frames that one response of the source may carry, within the server's share: groups that are fetched,
/// decoded and reduced together. They stay within a slab, and a volume's response is never split between two groups.
pub fn groups(frames: Range<usize>, slab_frames: usize, group: usize) -> impl Iterator<Item = Range<usize>> {
    let start = frames.start;
    cut(frames.len(), slab_frames)
        .flat_map(move |slab| cut(slab.len(), group).map(move |part| start + slab.start + part.start..start + slab.start + part.end))
}

/// The runs of `frames` between multiples of `group` along the array's own axis, whose index 0 lies `before` frames before
/// the job's: no chunk is split between two groups unless it is longer than they are.
fn aligned(frames: Range<usize>, before: usize, group: usize) -> impl Iterator<Item = Range<usize>> {
    let mut next = frames.start;
    std::iter::from_fn(move || {
        let from = next;
        next = ((from + before) / group * group + group - before).min(frames.end);
        (from < next).then_some(from..next)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::Dtype;

    #[test]
    fn groups_lie_between_the_edges_of_chunks() {
        let runs = |frames, before, group| aligned(frames, before, group).collect::<Vec<_>>();
        assert_eq!(runs(0..20, 0, 8), [0..8, 8..16, 16..20]);
        assert_eq!(runs(5..20, 3, 8), [5..13, 13..20]);
        assert_eq!(runs(5..14, 100, 8), [5..12, 12..14]);
        assert_eq!(runs(7..7, 0, 8), []);
    }

    #[test]
    fn groups_become_smaller_by_whole_parts_first() {
        let groups = |chunk, part, share| {
            let layout = ArrayLayout { shape: [10_000, 10, 10], dtype: Dtype::Uint8, chunks: [chunk, 10, 10], parts: [part, 10, 10] };
            groups_of(&layout, share)
        };
        assert_eq!(groups(1, 1, 5000), [8]);
        assert_eq!(groups(20, 20, 5000), [20, 8]);
        assert_eq!(groups(3, 3, 5000), [9, 6]);
        assert_eq!(groups(10_000, 10_000, 5000), [10_000, 625, 78, 9, 8]);
        assert_eq!(groups(64, 1, 5000), [64, 8]);
        assert_eq!(groups(1000, 20, 5000), [1000, 120, 15, 8]);
        assert_eq!(groups(20, 20, 3), [20]);
        // A shard whose frames are large is read by pieces, so that few of its frames will do.
        let layout = ArrayLayout { shape: [10_000, 2000, 2000], dtype: Dtype::Uint8, chunks: [1000, 2000, 2000], parts: [1, 250, 250] };
        assert_eq!(groups_of(&layout, 5000), [8]);
    }
}
