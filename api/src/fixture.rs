//! The job and the progress of the unit tests.

use crate::geometry::{Dtype, FrameSpec};
use crate::job::{Detrend, Fft, FftOutput, Images, Job, OnError, Reduction, Source, Storage, Window};
use crate::phase::{BootId, Progress};

/// uint8 images behind file URLs in slabs of 20 frames, with the power of their spectra and the mean.
pub(crate) fn job(frames: usize, height: usize, width: usize) -> Job {
    Job {
        name: "j".into(),
        uid: "u".into(),
        generation: 1,
        source: Source::Images(Images::new("file:///f/{index}".into())),
        frames,
        frame: FrameSpec { height, width, dtype: Dtype::Uint8 },
        on_error: OnError::Fail,
        slab_frames: 20.min(frames),
        concurrency: 16,
        recenter: None,
        rechunk: None,
        fft: Some(Fft { output: FftOutput::Power, window: Window::None, detrend: Detrend::None }),
        reduce: vec![Reduction::Mean],
        keep: None,
        outputs: vec![],
        storage: Storage::Auto,
        backoff_limit: 3,
    }
}

/// The progress of a server that has just started.
pub(crate) fn progress(boot: &str) -> Progress {
    Progress::idle(BootId(boot.into()))
}
