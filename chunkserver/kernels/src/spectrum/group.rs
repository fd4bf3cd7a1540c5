//! Groups of sixteen pixels over all frames: level and slope are computed and subtracted, then the window is applied.

use super::GROUP;
use super::panel::PanelRow;
use crate::cpu::by_cpu;
use crate::pixel::{Pixel, Whole};
use api::job::{Detrend, FftOutput};

/// One value per pixel of a group: one cache line.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C, align(64))]
pub(super) struct Row(pub(super) [f32; GROUP]);

/// A pixel type, and the sums of its values over time.
pub(super) trait Series: Pixel {
    /// Σv and Σt·v of each pixel of a group. Exact for integers; float32 is summed in float64, in the order of time.
    fn sums(panel: &[PanelRow], first: usize, sloped: bool) -> [[f64; GROUP]; 2];
}

macro_rules! integer {
    ($type:ty) => {
        impl Series for $type {
            fn sums(panel: &[PanelRow], first: usize, sloped: bool) -> [[f64; GROUP]; 2] {
                let (mut sum, mut moment) = ([0_u64; GROUP], [0_u128; GROUP]);
                // The sum of 65536 values of 16 bits fits 32 bits.
                for (i, panel) in panel.chunks(65536).enumerate() {
                    let start = i as u64 * 65536;
                    let part = integer_sums::<Self>(panel, first);
                    for lane in 0..GROUP {
                        sum[lane] += u64::from(part[lane]);
                    }
                    if sloped {
                        let part_moment = integer_moments::<Self>(panel, first);
                        for lane in 0..GROUP {
                            moment[lane] += u128::from(part_moment[lane]) + u128::from(start) * u128::from(part[lane]);
                        }
                    }
                }
                [sum.map(|sum| sum as f64), moment.map(|moment| moment as f64)]
            }
        }
    };
}

integer!(u8);
integer!(u16);

impl Series for f32 {
    fn sums(panel: &[PanelRow], first: usize, _sloped: bool) -> [[f64; GROUP]; 2] {
        real_sums(panel, first)
    }
}

/// The group's pixels of one frame.
#[inline(always)]
fn pixels<P: Pixel>(row: &PanelRow, first: usize) -> &[P::Bytes; GROUP] {
    let pixels: &[[P::Bytes; GROUP]] = bytemuck::cast_slice::<u8, P::Bytes>(&row.0).as_chunks().0;
    &pixels[first / GROUP]
}

by_cpu! {
    fn integer_sums[P: Whole](panel: &[PanelRow], first: usize) -> [u32; GROUP] {
        let mut sums = [0; GROUP];
        for row in panel {
            let pixels = pixels::<P>(row, first);
            for lane in 0..GROUP {
                sums[lane] += P::from_le(pixels[lane]).to_u32();
            }
        }
        sums
    }
}

by_cpu! {
    fn integer_moments[P: Whole](panel: &[PanelRow], first: usize) -> [u64; GROUP] {
        let mut sums = [0; GROUP];
        for (t, row) in panel.iter().enumerate() {
            let pixels = pixels::<P>(row, first);
            for lane in 0..GROUP {
                sums[lane] += t as u64 * u64::from(P::from_le(pixels[lane]).to_u32());
            }
        }
        sums
    }
}

by_cpu! {
    fn real_sums(panel: &[PanelRow], first: usize) -> [[f64; GROUP]; 2] {
        let (mut sums, mut moments) = ([0.0; GROUP], [0.0; GROUP]);
        for (t, row) in panel.iter().enumerate() {
            let pixels = pixels::<f32>(row, first);
            for lane in 0..GROUP {
                let value = f64::from(f32::from_le_bytes(pixels[lane]));
                sums[lane] += value;
                moments[lane] += t as f64 * value;
            }
        }
        [sums, moments]
    }
}

/// What is subtracted from each pixel of a group before the transform, and added to the result.
#[derive(Clone, Copy, Debug)]
pub(super) struct Level {
    frames: usize,
    windowed: bool,
    /// The mean, rounded to float32. Subtracted unless there is a slope.
    shift: [f32; GROUP],
    /// Slope per frame of the least-squares line, for a linear detrend. The line is subtracted in float64.
    slope: Option<[f64; GROUP]>,
    /// The mean, which the line has at the middle of time.
    mean: [f64; GROUP],
    /// The constant whose transform is added to the result.
    restored: [f64; GROUP],
    /// The first bin without a window: the exact sum, or zero after a detrend.
    sum: [f64; GROUP],
}

impl Level {
    pub(super) fn of<P: Series>(panel: &[PanelRow], first: usize, detrend: Detrend, window: usize) -> Self {
        let n = panel.len() as f64;
        let [sum, moment] = P::sums(panel, first, detrend == Detrend::Linear);
        let mean = sum.map(|sum| sum / n);
        let shift = mean.map(|mean| mean as f32);
        let middle = (n - 1.0) / 2.0;
        // Σ(t − middle)² = n(n² − 1)/12. A single frame has slope 0.
        let spread = if panel.len() > 1 { n * (n * n - 1.0) / 12.0 } else { 1.0 };
        let slope = std::array::from_fn(|lane| (moment[lane] - middle * sum[lane]) / spread);
        let (slope, restored, kept) = match detrend {
            Detrend::None => (None, shift.map(f64::from), sum),
            Detrend::Constant => (None, std::array::from_fn(|lane| f64::from(shift[lane]) - mean[lane]), sum.map(|sum| sum * 0.0)),
            Detrend::Linear => (Some(slope), [0.0; GROUP], sum.map(|sum| sum * 0.0)),
        };
        Self { frames: panel.len(), windowed: window > 0, shift, slope, mean, restored, sum: kept }
    }

    /// Writes the first or the second bin of a pixel, given the transform of the shifted values. The level contributes to no other bin.
    pub(super) fn restore(&self, lane: usize, bin: usize, [re, im]: [f32; 2], output: FftOutput, out: &mut [f32]) {
        let frames = self.frames as f64;
        // The transform of a Hann window is T/2 in bin 0 and −T/4 in bins ±1, which are the same bin for T = 2. For T = 1 it is 1.
        let window = match (self.windowed, bin, self.frames) {
            (false, ..) => 0.0,
            (true, _, 1) => 1.0,
            (true, 0, _) => frames / 2.0,
            (true, _, 2) => -1.0,
            (true, ..) => -frames / 4.0,
        };
        let re = if !self.windowed && bin == 0 { self.sum[lane] } else { f64::from(re) + self.restored[lane] * window };
        let im = f64::from(im);
        match output {
            FftOutput::Power => out[bin] = (re * re + im * im) as f32,
            FftOutput::Amplitude => out[bin] = (re * re + im * im).sqrt() as f32,
            FftOutput::Complex => {
                out[2 * bin] = re as f32;
                out[2 * bin + 1] = im as f32;
            }
        }
    }
}

/// Writes the input of the transform to `rows`, `[frame][pixel]`.
pub(super) fn fill<P: Series>(panel: &[PanelRow], first: usize, level: &Level, window: &[f32], rows: &mut [Row]) {
    match &level.slope {
        Some(slope) => fill_sloped::<P>(panel, first, &level.mean, slope, window, rows),
        None if window.is_empty() => fill_level::<P>(panel, first, &level.shift, rows),
        None => fill_windowed::<P>(panel, first, &level.shift, window, rows),
    }
}

by_cpu! {
    fn fill_level[P: Pixel](panel: &[PanelRow], first: usize, shift: &[f32; GROUP], rows: &mut [Row]) {
        for (row, to) in panel.iter().zip(rows) {
            let pixels = pixels::<P>(row, first);
            for lane in 0..GROUP {
                to.0[lane] = P::from_le(pixels[lane]).to_f32() - shift[lane];
            }
        }
    }
}

by_cpu! {
    fn fill_windowed[P: Pixel](panel: &[PanelRow], first: usize, shift: &[f32; GROUP], window: &[f32], rows: &mut [Row]) {
        for ((row, window), to) in panel.iter().zip(window).zip(rows) {
            let pixels = pixels::<P>(row, first);
            for lane in 0..GROUP {
                to.0[lane] = (P::from_le(pixels[lane]).to_f32() - shift[lane]) * window;
            }
        }
    }
}

by_cpu! {
    fn fill_sloped[P: Pixel](panel: &[PanelRow], first: usize, mean: &[f64; GROUP], slope: &[f64; GROUP], window: &[f32], rows: &mut [Row]) {
        let middle = (panel.len() as f64 - 1.0) / 2.0;
        for ((t, row), to) in panel.iter().enumerate().zip(rows) {
            let window = window.get(t).copied().unwrap_or(1.0);
            let pixels = pixels::<P>(row, first);
            for lane in 0..GROUP {
                let line = mean[lane] + slope[lane] * (t as f64 - middle);
                to.0[lane] = (P::from_le(pixels[lane]).to_f64() - line) as f32 * window;
            }
        }
    }
}
