//! One transform after another, by [realfft](https://docs.rs/realfft): for numbers of frames with prime factors above 5.

use super::GROUP;
use super::amplitude::amplitude;
use super::group::{Level, Row};
use super::transpose::transpose;
use api::job::FftOutput;
use realfft::num_complex::Complex;
use realfft::{RealFftPlanner, RealToComplex};
use std::fmt;
use std::sync::Arc;

/// The plan, shared by all threads.
pub(super) struct Transform(Arc<dyn RealToComplex<f32>>);

impl fmt::Debug for Transform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Transform").field(&self.0.len()).finish()
    }
}

/// Scratch memory of a thread.
#[derive(Debug)]
pub(super) struct Scratch {
    /// `[pixel][frame]`
    series: Vec<f32>,
    spectrum: Vec<Complex<f32>>,
    fft: Vec<Complex<f32>>,
}

impl Transform {
    pub(super) fn new(frames: usize) -> Self {
        Self(RealFftPlanner::new().plan_fft_forward(frames))
    }

    pub(super) fn scratch(&self) -> Scratch {
        Scratch { series: vec![0.0; self.0.len() * GROUP], spectrum: self.0.make_output_vec(), fft: self.0.make_scratch_vec() }
    }

    /// Transforms the first `pixels` columns of `rows` into `out`, `[pixel][bin]`.
    pub(super) fn run(&self, rows: &[Row], pixels: usize, level: &Level, output: FftOutput, scratch: &mut Scratch, out: &mut [f32]) {
        transpose(rows, &mut scratch.series);
        let bins = scratch.spectrum.len();
        let row = if output == FftOutput::Complex { 2 * bins } else { bins };
        let series = scratch.series.chunks_exact_mut(self.0.len()).zip(out.chunks_exact_mut(row));
        for (lane, (series, out)) in series.enumerate().take(pixels) {
            let done = self.0.process_with_scratch(series, &mut scratch.spectrum, &mut scratch.fft);
            debug_assert!(done.is_ok(), "the plan created the buffers");
            match output {
                FftOutput::Complex => {
                    for (out, bin) in out.as_chunks_mut().0.iter_mut().zip(&scratch.spectrum) {
                        *out = [bin.re, bin.im];
                    }
                }
                FftOutput::Power => out.iter_mut().zip(&scratch.spectrum).for_each(|(out, bin)| *out = bin.norm_sqr()),
                FftOutput::Amplitude => out.iter_mut().zip(&scratch.spectrum).for_each(|(out, bin)| *out = amplitude(bin.re, bin.im)),
            }
            for (bin, found) in scratch.spectrum.iter().enumerate().take(2) {
                level.restore(lane, bin, [found.re, found.im], output, out);
            }
        }
    }
}
