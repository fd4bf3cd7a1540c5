//! Bodies between programs: a body that parses is written and parsed again without a difference, and an assignment that passes its check
//! needs no more than its stated sizes.

use api::digest;
use api::geometry::{Dtype, FrameSpec};
use api::job::{Images, Job, Method, OnError, Output, Recenter, Reduction, Source, Storage};
use api::phase::Progress;
use api::wire::{Assignment, ProbeRequest, Probed, Problem, Ready, Startup};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub(super) fn run(input: &[u8]) {
    if let Some(digests) = digest::decode(input) {
        assert_eq!(digest::encode(&digests), input);
    }
    round_trip::<Progress>(input);
    round_trip::<Problem>(input);
    round_trip::<Probed>(input);
    round_trip::<ProbeRequest>(input);
    round_trip::<Ready>(input);
    round_trip::<Startup>(input);
    if let Some(assignment) = round_trip::<Assignment>(input)
        && assignment.check().is_ok()
    {
        checked(&assignment);
    }
}

fn round_trip<T: Serialize + DeserializeOwned>(input: &[u8]) -> Option<T> {
    let value: T = serde_json::from_slice(input).ok()?;
    let text = serde_json::to_vec(&value).unwrap();
    let again: T = serde_json::from_slice(&text).unwrap();
    assert_eq!(serde_json::to_vec(&again).unwrap(), text);
    Some(value)
}

/// All that a server computes from a checked assignment before it allocates. A long list of frames is not visited.
pub(super) fn checked(assignment: &Assignment) {
    let Assignment { job, plan, .. } = assignment;
    let _ = (assignment.stamp(), plan.wire_bytes(), plan.peak_bytes(), plan.identity(), plan.to_string(), plan.arrays(job));
    for id in plan.ids().take(100) {
        let memory = plan.needed_memory(job, id);
        assert!(memory.peak() < u64::MAX / 2);
        let _ = (plan.bands_of(id), plan.pixels_of(id), plan.frames_of(id));
        if job.frames < 10_000 {
            let groups: usize = plan.groups_of(job, id).iter().map(ExactSizeIterator::len).sum();
            assert_eq!(groups, plan.frames_of(id).len());
        }
    }
    if job.frames < 10_000 {
        let owned: usize = plan.ids().map(|id| plan.frames_of(id).len()).sum();
        assert_eq!(owned, job.frames);
        assert!((0..job.frames).all(|frame| plan.frames_of(plan.owner_of_frame(frame)).contains(&frame)));
    }
}

/// A small job with every phase.
pub(super) fn job() -> Job {
    Job {
        name: "j".into(),
        uid: "u".into(),
        generation: 1,
        source: Source::Images(Images::new("file:///f/{index}".into())),
        frames: 13,
        frame: FrameSpec { height: 9, width: 11, dtype: Dtype::Uint16 },
        on_error: OnError::Fail,
        slab_frames: 4,
        concurrency: 16,
        recenter: Some(Recenter { crop: [7, 10], method: Method::Centroid, threshold: None }),
        rechunk: Some([13, 3, 4]),
        fft: Some(api::job::Fft { output: api::job::FftOutput::Power, window: api::job::Window::None, detrend: api::job::Detrend::None }),
        reduce: vec![Reduction::Mean, Reduction::Std],
        keep: None,
        outputs: vec![Output { select: "power".into(), url: "file:///o.zarr".into(), chunks: Some(vec![-1, 2, 2]), shards: None }],
        storage: Storage::Auto,
        backoff_limit: 3,
    }
}
