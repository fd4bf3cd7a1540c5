//! Checks an assignment before a server allocates anything: a job whose sizes do not fit 64 bits, or a plan that does not fit its job, is an
//! error. The operator's validation excludes these errors, so that only a wrong client causes them.

use super::Assignment;
use crate::geometry::FrameSpec;
use crate::job::{ArrayLayout, Images, Job, MAX_BYTES, MAX_FRAME_BYTES, MAX_FRAMES, Source, Zarr};
use crate::output_grid::OutputGrid;
use crate::plan::{Memory, Plan};
use thiserror::Error;

/// Most bytes of a chunk. Counts of memory of this size fit 64 bits.
const MOST_CHUNK_BYTES: u128 = 1 << 40;
/// Most compute threads, concurrent requests and groups of one server.
const MOST_CONCURRENT: usize = 1 << 16;
/// Most objects of an output.
const MOST_OBJECTS: u128 = 1 << 24;

/// What is wrong with an assignment.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[expect(missing_docs, reason = "the message documents each variant")]
pub enum Invalid {
    #[error("the job is not valid: {0}")]
    Job(&'static str),
    #[error("the plan does not fit its job: {0}")]
    Plan(&'static str),
}

impl Assignment {
    /// Checks sizes, ranges and counts of the job and its plan.
    ///
    /// # Errors
    /// The first rule that does not hold.
    pub fn check(&self) -> Result<(), Invalid> {
        let Self { job, plan, peers, goal: _ } = self;
        job_is_valid(job)?;
        plan_fits(plan, job)?;
        holds(peers.len() == plan.partition.servers, Invalid::Plan("the number of peers is not the number of servers"))?;
        outputs_are_bounded(plan, job)
    }
}

fn holds(rule: bool, otherwise: Invalid) -> Result<(), Invalid> {
    if rule { Ok(()) } else { Err(otherwise) }
}

/// Bytes of `frames` frames.
fn bytes(frames: usize, spec: &FrameSpec) -> u128 {
    let product = |a: u128, b: usize| a.saturating_mul(b as u128);
    [frames, spec.height, spec.width].into_iter().fold(spec.dtype.size() as u128, product)
}

fn job_is_valid(job: &Job) -> Result<(), Invalid> {
    let rule = |rule: bool, text: &'static str| holds(rule, Invalid::Job(text));
    let FrameSpec { height, width, .. } = job.frame;
    rule(job.frames > 0 && height > 0 && width > 0, "frames, height and width are at least 1")?;
    rule(job.frames as u64 <= MAX_FRAMES, "more than 100,000,000 frames")?;
    rule(bytes(1, &job.frame) <= u128::from(MAX_FRAME_BYTES), "a frame has more than 4 GiB")?;
    rule(bytes(job.frames, &job.frame) <= MAX_BYTES, "the frames have more than 256 PiB")?;
    rule((1..=job.frames).contains(&job.slab_frames), "slab_frames is from 1 to the number of frames")?;
    rule((1..=MOST_CONCURRENT).contains(&job.concurrency), "concurrency is from 1 to 65536")?;
    if let Some(recenter) = &job.recenter {
        let [rows, columns] = recenter.crop;
        rule((1..=height).contains(&rows) && (1..=width).contains(&columns), "the crop is not within the frame")?;
    }
    if let Some(chunks) = job.rechunk {
        rule(are_chunks(chunks, job), "a chunk is not within the array")?;
    }
    match &job.source {
        Source::Images(images) => rule(images_are_valid(images, job.frames), "an index or a depth of the source is out of range"),
        Source::Zarr(Zarr { layout: None, .. }) => Ok(()),
        Source::Zarr(Zarr { layout: Some(layout), start, .. }) => {
            rule(layout_is_valid(layout, *start, job), "the layout of the source's array does not hold the frames")
        }
    }
}

/// Whether a chunk shape (t, y, x) lies within the frames of the exchange.
fn are_chunks(chunks: [usize; 3], job: &Job) -> bool {
    let stack = job.stack();
    chunks.iter().zip([job.frames, stack.height, stack.width]).all(|(&chunk, axis)| (1..=axis).contains(&chunk))
}

fn images_are_valid(images: &Images, frames: usize) -> bool {
    let last =
        i64::try_from(frames).ok().and_then(|frames| frames.checked_mul(images.step)).and_then(|last| last.checked_add(images.start));
    let depth = i64::try_from(images.depth).ok().and_then(|depth| depth.checked_mul(images.step));
    last.is_some() && depth.is_some() && (1..=MOST_CONCURRENT.max(frames)).contains(&images.depth)
}

fn layout_is_valid(layout: &ArrayLayout, start: usize, job: &Job) -> bool {
    let ArrayLayout { shape, dtype, chunks, parts } = layout;
    let size = |shape: &[usize; 3]| bytes(shape[0], &FrameSpec { height: shape[1], width: shape[2], dtype: *dtype });
    let positive = shape.iter().chain(chunks).chain(parts).all(|&size| size > 0);
    let within = chunks.iter().zip(parts).all(|(chunk, part)| part <= chunk);
    let frames = start.checked_add(job.frames).is_some_and(|end| end <= shape[0]);
    let frame = FrameSpec { height: shape[1], width: shape[2], dtype: *dtype } == job.frame;
    positive && within && frames && frame && size(shape) <= MAX_BYTES && size(chunks) <= MOST_CHUNK_BYTES
}

fn plan_fits(plan: &Plan, job: &Job) -> Result<(), Invalid> {
    let rule = |rule: bool, text: &'static str| holds(rule, Invalid::Plan(text));
    let (partition, stack) = (&plan.partition, job.stack());
    rule(partition.servers > 0 && plan.memory.len() == partition.servers, "the plan has no memory for each server")?;
    rule((partition.frames, partition.frame, partition.stack) == (job.frames, job.frame, stack), "another shape of the frames")?;
    rule(partition.slab_frames == job.slab_frames, "another slab_frames")?;
    rule(partition.exchanges == job.exchanges() && (plan.fft, plan.bins) == (job.fft, job.bins()), "another exchange or transform")?;
    rule(are_chunks(partition.chunks, job), "a chunk is not within the array")?;
    // A band has at least one panel, which may be wider than the frame.
    let widest = stack.pixels().max(crate::plan::PANEL_BYTES);
    rule((1..=widest).contains(&partition.band_pixels), "band_pixels is from 1 to the pixels of a frame")?;
    let counts = [plan.threads, plan.pace.groups, plan.pace.requests];
    rule(counts.iter().all(|count| (1..=MOST_CONCURRENT).contains(count)), "threads, groups and requests are from 1 to 65536")?;
    rule((1..=plan.bands().max(1)).contains(&plan.bands_in_flight), "window is from 1 to the number of bands")?;
    let most_group = job.frames.max(MOST_CONCURRENT).saturating_mul(2).max(longest_chunk(job));
    rule((1..=most_group).contains(&plan.pace.group), "a group has more frames than the job")?;
    let parts = plan.memory.iter().flat_map(Memory::parts).chain([plan.spare, plan.decoded_frames]);
    rule(parts.into_iter().all(|bytes| u128::from(bytes) <= MAX_BYTES), "a part of a server has more than 256 PiB")
}

/// Frames of the longest chunk of the source.
fn longest_chunk(job: &Job) -> usize {
    match &job.source {
        Source::Zarr(Zarr { layout: Some(layout), .. }) => layout.chunks[0].saturating_mul(8),
        Source::Zarr(Zarr { layout: None, .. }) | Source::Images(_) => 0,
    }
}

/// An invalid output fails when the server writes it; an output of too many objects would occupy the server before that.
fn outputs_are_bounded(plan: &Plan, job: &Job) -> Result<(), Invalid> {
    let arrays = plan.arrays(job);
    let objects =
        job.outputs.iter().filter_map(|output| OutputGrid::new(output, &arrays, &plan.partition).ok()).map(|grid| {
            grid.shape.iter().zip(grid.object()).map(|(&size, &object)| size.div_ceil(object.max(1)) as u128).product::<u128>()
        });
    holds(objects.sum::<u128>() <= MOST_OBJECTS, Invalid::Job("the outputs have more than 16 million objects"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::job;
    use crate::job::{Method, Output, Recenter};
    use crate::phase::{BootId, Phase};
    use crate::plan::{Allowance, Budget};
    use crate::wire::Peer;
    use proptest::prelude::*;
    use serde_json::Value;

    fn valid() -> Assignment {
        let mut job = job(40, 30, 20);
        job.recenter = Some(Recenter { crop: [10, 12], method: Method::Centroid, threshold: None });
        job.rechunk = Some([40, 5, 6]);
        job.outputs = vec![Output { select: "power".into(), url: "file:///o.zarr".into(), chunks: Some(vec![-1, 2, 2]), shards: None }];
        let plan = Plan::new(&job, Some(2), &Budget { memory: Allowance::PerServer(1 << 30), cores: 2 }).unwrap();
        let peer = |boot: &str| Some(Peer { address: "127.0.0.1:1".into(), boot: BootId(boot.into()) });
        Assignment { job, plan, peers: vec![peer("a"), peer("b")], goal: Phase::Fft }
    }

    /// Paths of all values that are not objects or arrays.
    fn leaves(value: &Value, at: &str, into: &mut Vec<String>) {
        match value {
            Value::Object(fields) => fields.iter().for_each(|(name, field)| leaves(field, &format!("{at}/{name}"), into)),
            Value::Array(items) => items.iter().enumerate().for_each(|(index, item)| leaves(item, &format!("{at}/{index}"), into)),
            _ => into.push(at.to_owned()),
        }
    }

    /// All that a server computes from a checked assignment before it allocates.
    fn used(assignment: &Assignment) {
        let Assignment { job, plan, .. } = assignment;
        for id in plan.ids() {
            let memory = plan.needed_memory(job, id);
            assert!(memory.peak() < u64::MAX / 2);
            let groups: usize = plan.groups_of(job, id).iter().map(ExactSizeIterator::len).sum();
            assert_eq!(groups, plan.frames_of(id).len());
            let _ = (plan.bands_of(id), plan.pixels_of(id), plan.wire_bytes(), plan.peak_bytes(), plan.identity(), plan.to_string());
        }
        assert_eq!(plan.owner_of_frame(job.frames - 1), plan.ids().filter(|&id| !plan.frames_of(id).is_empty()).last().unwrap());
    }

    #[test]
    fn a_planned_assignment_is_valid() {
        assert_eq!(valid().check(), Ok(()));
        used(&valid());
    }

    #[test]
    fn a_plan_that_does_not_fit_its_job_is_refused() {
        let check = |change: fn(&mut Assignment), expected: &str| {
            let mut changed = valid();
            change(&mut changed);
            let error = changed.check().unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        };
        check(|a| a.plan.partition.slab_frames = 0, "another slab_frames");
        check(|a| (a.job.slab_frames, a.plan.partition.slab_frames) = (0, 0), "slab_frames is from 1");
        check(|a| a.plan.partition.servers = 0, "no memory for each server");
        check(|a| a.plan.partition.band_pixels = 0, "band_pixels is from 1");
        check(|a| a.plan.bins = 7, "another exchange or transform");
        check(|a| a.plan.threads = 1 << 40, "threads, groups");
        check(|a| a.plan.partition.frames = 1_000_000_000, "another shape");
        check(|a| a.job.frame.width = usize::MAX, "more than 4 GiB");
        check(|a| a.job.frames = 1_000_000_000, "more than 100,000,000 frames");
        check(|a| a.job.recenter.as_mut().unwrap().crop = [31, 1], "the crop is not within the frame");
        check(|a| a.plan.memory[1].stack = u64::MAX, "more than 256 PiB");
        check(|a| a.peers.truncate(1), "the number of peers");
        check(|a| a.plan.pace.group = 0, "a group has");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]
        #[test]
        fn corrupted_fields_are_refused_or_harmless(
            fields in proptest::collection::vec((any::<prop::sample::Index>(), 0usize..12), 1..4),
        ) {
            let mut json = serde_json::to_value(valid()).unwrap();
            let mut paths = Vec::new();
            leaves(&json, "", &mut paths);
            for (path, value) in fields {
                let values = [
                    0.into(), 1.into(), 2.into(), (-1).into(), 63.into(), 1_000_000_000_u64.into(), u64::MAX.into(), i64::MAX.into(),
                    (1_u64 << 40).into(), Value::Null, true.into(), "".into(),
                ];
                *json.pointer_mut(path.get(&paths[..]).as_str()).unwrap() = values[value].clone();
            }
            if let Ok(assignment) = serde_json::from_value::<Assignment>(json)
                && assignment.check().is_ok()
            {
                used(&assignment);
            }
        }
    }
}
