//! Spectra over time: the pixels of a band over all frames in, as segments of consecutive frames; the spectrum of each pixel out.
//!
//! A band is cut into panels of 64 bytes per frame, a panel into groups of sixteen pixels. A group lies in memory as `[frame][pixel]`, so
//! that one vector computes the same step for sixteen pixels and mixes no two of them: the result of a pixel depends on that pixel alone.
//! The mean is subtracted before the transform, because float32 would lose digits to the mean, and is added exactly to the result.

mod amplitude;
mod band_sums;
mod group;
mod lanes;
mod panel;
mod series;
mod target;
#[cfg(test)]
mod tests;
mod transpose;

pub use band_sums::BandSums;
pub use target::{Overwritten, Target};

use crate::pixel::for_dtype;
use api::geometry::{Dtype, cut};
use api::job::{Detrend, FftOutput, Window};
use group::{Level, Row};
use panel::PanelRow;
use std::f64::consts::TAU;
use target::Whole;

/// Pixels of a group, whose spectra are computed at once: 64 bytes of float32.
const GROUP: usize = api::plan::SPECTRA_AT_ONCE;

/// Consecutive frames of a band, as they lie in memory.
///
/// ```
/// use kernels::spectrum::Segment;
///
/// // Two frames of five uint8 pixels; the band has pixels 1 and 2.
/// let frames = [0, 1, 2, 3, 4, 10, 11, 12, 13, 14];
/// let segment = Segment { bytes: &frames[1..], frames: 2, stride: 5 };
/// assert_eq!(segment.bytes[segment.stride..][..2], [11, 12]);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Segment<'a> {
    /// The bytes from the first pixel of the band in the first frame to at least the last pixel of the band in the last frame.
    pub bytes: &'a [u8],
    /// Number of frames.
    pub frames: usize,
    /// Distance of two frames, in bytes.
    pub stride: usize,
}

/// The plan of the spectra of one job, built once and shared by all threads.
///
/// The spectrum of a pixel is the one-sided discrete Fourier transform X(k) = Σ x(t)·e^(−2πikt/T), unscaled, as
/// [`numpy.fft.rfft`](https://numpy.org/doc/stable/reference/generated/numpy.fft.rfft.html), after
/// [`scipy.signal.detrend`](https://docs.scipy.org/doc/scipy/reference/generated/scipy.signal.detrend.html) and with the window of
/// [`scipy.signal.get_window`](https://docs.scipy.org/doc/scipy/reference/generated/scipy.signal.get_window.html).
///
/// ```
/// use api::geometry::Dtype;
/// use api::job::{Detrend, FftOutput, Window};
/// use kernels::spectrum::{Segment, Spectrum};
///
/// // Four frames of two pixels: pixel 0 alternates, pixel 1 is constant.
/// let bytes = [1, 3, 0, 3, 1, 3, 0, 3];
/// let spectrum = Spectrum::new(4, Dtype::Uint8, Window::None, Detrend::None, FftOutput::Power);
/// let mut out = vec![0.0; 2 * spectrum.row()];
/// spectrum.band(&[Segment { bytes: &bytes, frames: 4, stride: 2 }], 2, &mut out, &mut spectrum.scratch(), None);
/// assert_eq!(spectrum.bins(), 3);
/// assert_eq!(out, [4.0, 0.0, 4.0, 144.0, 0.0, 0.0]);
/// ```
#[derive(Debug)]
pub struct Spectrum {
    frames: usize,
    dtype: Dtype,
    detrend: Detrend,
    output: FftOutput,
    /// One weight per frame; empty without a window.
    window: Vec<f32>,
    transform: Transform,
}

#[derive(Debug)]
enum Transform {
    Lanes(lanes::Transform),
    Series(series::Transform),
}

/// Scratch memory of a thread. Each thread has one and uses it for all bands.
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
    /// Plans transforms of `frames` values per pixel.
    ///
    /// # Panics
    /// When `frames` is 0: a bug of the caller.
    pub fn new(frames: usize, dtype: Dtype, window: Window, detrend: Detrend, output: FftOutput) -> Self {
        assert!(frames > 0, "a spectrum of no frames");
        // The periodic Hann window: <https://docs.scipy.org/doc/scipy/reference/generated/scipy.signal.windows.hann.html>.
        let hann = |t: usize| (0.5 - 0.5 * (TAU * t as f64 / frames as f64).cos()) as f32;
        let window = match window {
            Window::None => Vec::new(),
            // scipy.signal.get_window returns 1 for a single sample, where the formula gives 0.
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

    /// Bins of a one-sided spectrum, T/2+1. The other bins of the two-sided spectrum mirror them.
    pub fn bins(&self) -> usize {
        self.frames / 2 + 1
    }

    /// float32 values of a pixel in the result: [`bins`](Self::bins), or twice as many for complex output.
    pub fn row(&self) -> usize {
        match self.output {
            FftOutput::Power | FftOutput::Amplitude => self.bins(),
            FftOutput::Complex => 2 * self.bins(),
        }
    }

    /// Transforms a band of `pixels` pixels into `out`, `[pixel][bin]`; for complex output `[pixel][bin][real, imaginary]`. Power and
    /// amplitude are also added to `sums`; complex values are not.
    ///
    /// # Panics
    /// When the segments do not contain all frames of the band, `out` does not have [`row`](Self::row) values per pixel, or `scratch`
    /// belongs to another spectrum: bugs of the caller.
    pub fn band(&self, segments: &[Segment<'_>], pixels: usize, out: &mut [f32], scratch: &mut Scratch, sums: Option<&mut BandSums>) {
        assert_eq!(out.len(), pixels * self.row(), "the result has a wrong size");
        let Ok(()) = self.band_into(segments, pixels, &mut Whole::new(out), scratch, sums);
    }

    /// As [`band`](Self::band), with space that `target` gives for each group of pixels.
    ///
    /// # Errors
    /// When the target has no space.
    ///
    /// # Panics
    /// As [`band`](Self::band).
    pub fn band_into<T: Target>(
        &self,
        segments: &[Segment<'_>],
        pixels: usize,
        target: &mut T,
        scratch: &mut Scratch,
        mut sums: Option<&mut BandSums>,
    ) -> Result<(), T::Error> {
        assert_eq!(segments.iter().map(|segment| segment.frames).sum::<usize>(), self.frames, "the segments have a wrong number of frames");
        let size = self.dtype.size();
        for panel in cut(pixels, size_of::<PanelRow>() / size) {
            panel::gather(segments, panel.start * size..panel.end * size, pixels * size, &mut scratch.panel);
            for group in cut(panel.len(), GROUP) {
                let done = target.next(group.len() * self.row())?;
                for_dtype!(self.dtype, P => self.group::<P>(group.start, group.len(), scratch, done));
                if let (Some(sums), FftOutput::Power | FftOutput::Amplitude) = (&mut sums, self.output) {
                    sums.add(done, self.frames);
                }
                target.written();
            }
        }
        Ok(())
    }

    /// Transforms a group of `pixels` pixels, from pixel `first` of the panel on, into `out`.
    fn group<P: group::Series>(&self, first: usize, pixels: usize, scratch: &mut Scratch, out: &mut [f32]) {
        let level = Level::of::<P>(&scratch.panel, first, self.detrend, self.window.len());
        group::fill::<P>(&scratch.panel, first, &level, &self.window, &mut scratch.rows);
        match (&self.transform, &mut scratch.transform) {
            (Transform::Lanes(plan), TransformScratch::Lanes(memory)) => {
                let edges = plan.run(&scratch.rows, self.output, memory);
                transpose::transpose(&memory.bins, out);
                if P::DTYPE == Dtype::Float32 && self.output == FftOutput::Amplitude {
                    self.correct_amplitudes(plan, &scratch.rows, pixels, out);
                }
                for (lane, row) in out.chunks_exact_mut(self.row()).enumerate() {
                    for (bin, [re, im]) in edges.iter().enumerate().take(self.bins()) {
                        level.restore(lane, bin, [re.0[lane], im.0[lane]], self.output, row);
                    }
                }
            }
            (Transform::Series(plan), TransformScratch::Series(memory)) => {
                plan.run(&scratch.rows, pixels, &level, self.output, memory, out);
            }
            _ => unreachable!("the scratch belongs to another spectrum"),
        }
    }

    /// Computes amplitudes again whose squares float32 does not hold.
    fn correct_amplitudes(&self, plan: &lanes::Transform, rows: &[Row], pixels: usize, out: &mut [f32]) {
        let mut complex = None;
        for (lane, out) in out.chunks_exact_mut(self.row()).enumerate().take(pixels) {
            if amplitude::is_extreme(out, rows, lane) {
                let bins = complex.get_or_insert_with(|| {
                    let mut memory = plan.scratch(FftOutput::Complex);
                    plan.run(rows, FftOutput::Complex, &mut memory);
                    memory.bins
                });
                amplitude::write(bins, lane, out);
            }
        }
    }
}
