//! A job for tests.

use crate::geometry::{Dtype, FrameSpec};
use crate::job::{Color, Detrend, Fft, FftOutput, Images, Job, OnError, Reduction, Source, Storage, Window};

/// Frames of uint8 behind file URLs, and the power of their spectra; slabs of 20 frames.
pub(crate) fn job(frames: usize, height: usize, width: usize) -> Job {
    Job {
        name: "j".into(),
        uid: "u".into(),
        generation: 1,
        source: Source::Images(Images {
            url_template: "file:///f/{index}".into(),
            start: 0,
            step: 1,
            depth: 1,
            color: Color::Refuse,
            headers: vec![],
        }),
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
