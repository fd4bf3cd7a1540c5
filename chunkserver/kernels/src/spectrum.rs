//! Bands of pixels over all frames come in, as segments of consecutive frames; every pixel's spectrum over time goes out.
//!
//! A band is cut into panels of 64 bytes a frame, a panel into groups of sixteen pixels, and each group lies in memory as
//! `[frame][pixel]`, so that one vector does the same step for sixteen pixels at once and never mixes two of them: a pixel's result depends
//! on that pixel alone, wherever it falls. The mean is taken off before the transform, which float32 would otherwise lose its
//! digits to, and put back exactly.

mod band_sums;
mod group;
mod lanes;
mod panel;
mod series;
#[cfg(test)]
mod tests;
mod transpose;

pub use band_sums::BandSums;

use crate::pixel::for_dtype;
use api::geometry::{Dtype, cut};
use api::job::{Detrend, FftOutput, Window};
use group::{Level, Row};
use panel::PanelRow;
use std::f64::consts::TAU;

/// Pixels of one group: 64 bytes of float32.
const GROUP: usize = 16;

/// Consecutive frames of a band as they lie in memory.
#[derive(Clone, Copy, Debug)]
pub struct Segment<'a> {
    /// From the band's first pixel of the segment's first frame to the band's last pixel of its last frame, or further.
    pub bytes: &'a [u8],
    /// How many frames.
    pub frames: usize,
    /// Bytes from one frame to the next.
    pub stride: usize,
}

/// How the spectra of one job are computed; built once, shared by all threads.
#[derive(Debug)]
pub struct Spectrum {
    frames: usize,
    dtype: Dtype,
    detrend: Detrend,
    output: FftOutput,
    /// Periodic Hann; empty without a window.
    window: Vec<f32>,
    transform: Transform,
}

#[derive(Debug)]
enum Transform {
    Lanes(lanes::Transform),
    Series(series::Transform),
}

/// What a thread needs to transform panels; one per thread, used again for every band.
#[derive(Debug)]
pub struct Scratch {
    panel: Vec<PanelRow>,
    rows: Vec<Row>,
    transform: TransformScratch,
}

#[derive(Debug)]
enum TransformScratch {
    Lanes(lanes::Scratch),
    Series(series::Scratch),
}

impl Spectrum {
    /// Plans transforms of `frames` values a pixel.
    ///
    /// # Panics
    /// When `frames` is 0: a bug of the caller.
    pub fn new(frames: usize, dtype: Dtype, window: Window, detrend: Detrend, output: FftOutput) -> Self {
        assert!(frames > 0, "a spectrum of no frames");
        let hann = |t: usize| (0.5 - 0.5 * (TAU * t as f64 / frames as f64).cos()) as f32;
        let window = match window {
            Window::None => Vec::new(),
            // scipy.signal.get_window says 1 for a single sample, not 0.
            Window::Hann if frames == 1 => vec![1.0],
            Window::Hann => (0..frames).map(hann).collect(),
        };
        let transform = lanes::Transform::new(frames).map_or_else(|| Transform::Series(series::Transform::new(frames)), Transform::Lanes);
        Self { frames, dtype, detrend, output, window, transform }
    }

    /// Scratch memory for one thread.
    pub fn scratch(&self) -> Scratch {
        Scratch {
            panel: vec![PanelRow::default(); self.frames],
            rows: vec![Row::default(); self.frames],
            transform: match &self.transform {
                Transform::Lanes(lanes) => TransformScratch::Lanes(lanes.scratch(self.output)),
                Transform::Series(series) => TransformScratch::Series(series.scratch()),
            },
        }
    }

    /// Bins of a one-sided spectrum, T/2+1. The others mirror them.
    pub fn bins(&self) -> usize {
        self.frames / 2 + 1
    }

    /// float32 values in a pixel's row of the result: [`bins`](Self::bins), or twice as many for complex output.
    pub fn row(&self) -> usize {
        match self.output {
            FftOutput::Power | FftOutput::Amplitude => self.bins(),
            FftOutput::Complex => 2 * self.bins(),
        }
    }

    /// Transforms a band of `pixels` into `out`, `[pixel][bin]`, real before imaginary part where complex. `sums` are for power and
    /// amplitude; they are left alone when the output is complex.
    ///
    /// # Panics
    /// When the segments do not hold all frames of the band, `out` is not [`row`](Self::row) values a pixel, or `scratch` is another
    /// spectrum's: bugs of the caller.
    pub fn band(&self, segments: &[Segment<'_>], pixels: usize, out: &mut [f32], scratch: &mut Scratch, mut sums: Option<&mut BandSums>) {
        assert_eq!(segments.iter().map(|segment| segment.frames).sum::<usize>(), self.frames, "segments of another number of frames");
        assert_eq!(out.len(), pixels * self.row(), "a result of another size");
        let size = self.dtype.size();
        for panel in cut(pixels, size_of::<PanelRow>() / size) {
            panel::gather(segments, panel.start * size..panel.end * size, pixels * size, &mut scratch.panel);
            for group in cut(panel.len(), GROUP) {
                let first = panel.start + group.start;
                let done = &mut out[first * self.row()..][..group.len() * self.row()];
                for_dtype!(self.dtype, P => self.group::<P>(group.start, group.len(), scratch, done));
                if let (Some(sums), FftOutput::Power | FftOutput::Amplitude) = (&mut sums, self.output) {
                    sums.add(done, self.frames);
                }
            }
        }
    }

    /// Transforms the pixels of a group, which begins at `first` in the panel, into `out`.
    fn group<P: group::Series>(&self, first: usize, pixels: usize, scratch: &mut Scratch, out: &mut [f32]) {
        let level = Level::of::<P>(&scratch.panel, first, self.detrend, self.window.len());
        group::fill::<P>(&scratch.panel, first, &level, &self.window, &mut scratch.rows);
        match (&self.transform, &mut scratch.transform) {
            (Transform::Lanes(plan), TransformScratch::Lanes(memory)) => {
                let edges = plan.run(&scratch.rows, self.output, memory);
                transpose::transpose(&memory.bins, out);
                for (lane, row) in out.chunks_exact_mut(self.row()).enumerate() {
                    for (bin, [re, im]) in edges.iter().enumerate().take(self.bins()) {
                        level.put_back(lane, bin, [re.0[lane], im.0[lane]], self.output, row);
                    }
                }
            }
            (Transform::Series(plan), TransformScratch::Series(memory)) => {
                plan.run(&scratch.rows, pixels, &level, self.output, memory, out);
            }
            _ => unreachable!("scratch of another spectrum"),
        }
    }
}
