//! The pace of loading: how many frames together, how many groups and requests at a time.
//!
//! Images are loaded in small groups. A chunk of a Zarr array may be long in t, and each group that needs a part of the chunk decodes
//! the chunk. Groups of an array are therefore as large as memory allows, and the plan states how often the array is decoded.

use super::{Partition, Plan, ServerId};
use crate::geometry::cut;
use crate::job::{ArrayLayout, GROUP, Job, Source, Zarr};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Factor between one group size and the next smaller size to try.
const SMALLER: usize = 8;
/// Factor between one number of concurrent requests and the next smaller number to try.
const FEWER: usize = 4;
/// Copies of a piece during its decode: as fetched, as decoded, and one intermediate result between codecs.
const COPIES: u64 = 3;
/// Frames whose memory holds one response in any case: color and alpha of a frame, which does not compress.
const FEWEST_FRAMES: u64 = 4;

/// The pace at which one server loads frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pace {
    /// Frames that a server fetches, decodes and reduces together.
    pub group: usize,
    /// Groups that one server processes at a time.
    pub groups: usize,
    /// Concurrent requests of one server; of a Zarr array, concurrent pieces.
    pub requests: usize,
}

impl Pace {
    /// Paces to try, from the one that decodes least and fastest to the one that needs least memory. `most_frames` is an upper bound of
    /// the frames of one server.
    pub(super) fn all(job: &Job, most_frames: usize, threads: usize) -> Vec<Self> {
        let layout = match &job.source {
            Source::Images(images) => return vec![Self::of_small_groups(images.group(), job.concurrency, threads)],
            Source::Zarr(Zarr { layout: None, .. }) => return vec![Self::of_small_groups(GROUP, job.concurrency, threads)],
            Source::Zarr(Zarr { layout: Some(layout), .. }) => layout,
        };
        let mut all: Vec<Self> = Vec::new();
        for group in group_sizes(layout, most_frames) {
            let mut requests = job.concurrency;
            loop {
                // A large group keeps all requests busy while the server computes one more group.
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

    fn of_small_groups(group: usize, requests: usize, threads: usize) -> Self {
        Self { group, groups: requests.div_ceil(group) + threads, requests }
    }

    /// Bytes of fetched and partly decoded frames on a server with `frames` frames: groups, and the pieces that are decoded for them.
    pub fn bytes(&self, partition: &Partition, job: &Job, frames: u64) -> u64 {
        let frame_bytes = partition.frame.bytes() as u64;
        let in_flight = ((self.groups * self.group) as u64).min(frames);
        match &job.source {
            // Fetched bytes; an encoded frame is rarely larger than the decoded frame. Servers fetch fewer frames at a time if bodies are
            // larger, and a body may have color and alpha.
            Source::Images(images) => in_flight.max(FEWEST_FRAMES) * (frame_bytes + images.depth as u64),
            Source::Zarr(zarr) => {
                let piece = zarr.layout.map_or(0, |layout| layout.piece_bytes(self.group)) as u64;
                in_flight * frame_bytes + self.requests as u64 * COPIES * piece
            }
        }
    }
}

/// Group sizes to try, the largest first. The first size is that of a piece if all frames of a chunk are wanted. The next sizes have
/// fewer whole parts, and the last sizes are fractions of a part.
fn group_sizes(layout: &ArrayLayout, most_frames: usize) -> Vec<usize> {
    let (part, piece) = (layout.parts[0], layout.piece(layout.chunks[0])[0]);
    // Groups lie between multiples of their size: no group splits a chunk, even if a server has fewer frames.
    let mut sizes = vec![GROUP.next_multiple_of(piece)];
    while let Some(size) = sizes.last().map(|&size| size.min(most_frames)).filter(|&size| size > GROUP) {
        let smaller = (size / SMALLER).max(GROUP);
        sizes.push(match smaller / part {
            0 => smaller,
            parts => parts * part,
        });
    }
    sizes
}

/// Number of pieces of a group of frames.
fn pieces(layout: &ArrayLayout, group: usize) -> usize {
    let piece = layout.piece(group);
    group.div_ceil(piece[0]) * layout.shape[1].div_ceil(piece[1]) * layout.shape[2].div_ceil(piece[2])
}

impl Plan {
    /// The runs of frames that `server` loads together, in order.
    pub fn groups_of(&self, job: &Job, server: ServerId) -> Vec<Range<usize>> {
        let own = self.frames_of(server);
        match &job.source {
            Source::Images(_) => groups(own, self.partition.slab_frames, self.pace.group).collect(),
            Source::Zarr(zarr) => aligned(own, zarr.start, self.pace.group).collect(),
        }
    }
}

/// Frames that all servers decode in total. A frame counts twice if its part of the array belongs to two groups.
pub(super) fn decoded_frames(pace: &Pace, partition: &Partition, job: &Job) -> u64 {
    let Source::Zarr(Zarr { layout: Some(layout), start, .. }) = &job.source else { return partition.frames as u64 };
    let runs = partition.ids().flat_map(|id| aligned(partition.frames_of(id), *start, pace.group));
    runs.map(|run| layout.decoded_frames(start + run.start, start + run.end) as u64).sum()
}

/// Cuts the frames of one server into runs of at most `group` frames, which the server fetches, decodes and reduces together. No run
/// crosses the edge of a slab, and no response of a volume is split between two runs.
pub fn groups(frames: Range<usize>, slab_frames: usize, group: usize) -> impl Iterator<Item = Range<usize>> {
    let start = frames.start;
    cut(frames.len(), slab_frames)
        .flat_map(move |slab| cut(slab.len(), group).map(move |part| start + slab.start + part.start..start + slab.start + part.end))
}

/// Cuts `frames` at multiples of `group` along axis 0 of the array; frame 0 of the job is frame `before` of the array. A run splits a
/// chunk only if the chunk has more than `group` frames.
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
    fn runs_end_at_multiples_of_the_group_size_in_the_array() {
        let runs = |frames, before, group| aligned(frames, before, group).collect::<Vec<_>>();
        assert_eq!(runs(0..20, 0, 8), [0..8, 8..16, 16..20]);
        assert_eq!(runs(5..20, 3, 8), [5..13, 13..20]);
        assert_eq!(runs(5..14, 100, 8), [5..12, 12..14]);
        assert_eq!(runs(7..7, 0, 8), []);
    }

    #[test]
    fn group_sizes_shrink_by_whole_parts_first() {
        let sizes = |chunk, part, most_frames| {
            let layout = ArrayLayout { shape: [10_000, 10, 10], dtype: Dtype::Uint8, chunks: [chunk, 10, 10], parts: [part, 10, 10] };
            group_sizes(&layout, most_frames)
        };
        assert_eq!(sizes(1, 1, 5000), [8]);
        assert_eq!(sizes(20, 20, 5000), [20, 8]);
        assert_eq!(sizes(3, 3, 5000), [9, 6]);
        assert_eq!(sizes(10_000, 10_000, 5000), [10_000, 625, 78, 9, 8]);
        assert_eq!(sizes(64, 1, 5000), [64, 8]);
        assert_eq!(sizes(1000, 20, 5000), [1000, 120, 15, 8]);
        assert_eq!(sizes(20, 20, 3), [20]);
        // Pieces of a shard with large frames have few frames, so that a small group is enough.
        let layout = ArrayLayout { shape: [10_000, 2000, 2000], dtype: Dtype::Uint8, chunks: [1000, 2000, 2000], parts: [1, 250, 250] };
        assert_eq!(group_sizes(&layout, 5000), [8]);
    }
}
