//! Reductions of two-sided spectra: per pixel over all bins (the result is a frame) and per bin over all pixels (the result is a trace).

use crate::cpu::by_cpu;
use crate::pixel::Pixel;
use crate::reduce::{Double, Doubles, Malformed, Ops, Reader, Writer, array, real};
use api::geometry::Element;
use api::job::Reduction;
use std::collections::BTreeMap;

/// Sums of the power or amplitude of bands of pixels.
///
/// The sums of a pixel are float64, in an order that depends on T alone. The sums of a bin are float64 over groups of sixteen pixels,
/// counted from the first pixel of the band, and double-double over groups, so that the order of bands and servers does not change the
/// result for ordinary data.
///
/// ```
/// use api::geometry::{Dtype, Element};
/// use api::job::{Detrend, FftOutput, Reduction, Window};
/// use kernels::reduce::{Malformed, Ops};
/// use kernels::spectrum::{BandSums, Segment, Spectrum};
///
/// // Four frames of two pixels: pixel 0 alternates, pixel 1 is constant.
/// let bytes = [1, 3, 0, 3, 1, 3, 0, 3];
/// let spectrum = Spectrum::new(4, Dtype::Uint8, Window::None, Detrend::None, FftOutput::Power);
/// let mut sums = BandSums::new(4, Ops::of(&[Reduction::Max]), 0);
/// let mut out = vec![0.0; 2 * spectrum.row()];
/// spectrum.band(&[Segment { bytes: &bytes, frames: 4, stride: 2 }], 2, &mut out, &mut spectrum.scratch(), Some(&mut sums));
///
/// let sums = BandSums::from_bytes(&sums.to_bytes())?;
/// let bytes = |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
/// assert_eq!(sums.pixels(), 2);
/// assert_eq!(sums.finish_pixels(Reduction::Max), (Element::Float32, bytes(&[4.0, 144.0])));
/// assert_eq!(sums.finish_bins(Reduction::Max), (Element::Float32, bytes(&[144.0, 0.0, 4.0, 0.0])));
/// # Ok::<(), Malformed>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct BandSums {
    frames: usize,
    ops: Ops,
    /// Index of the next pixel in the frame.
    next_pixel: usize,
    runs: BTreeMap<usize, Run>,
    pixels: u64,
    sum: Doubles,
    squares: Doubles,
    min: Vec<f32>,
    max: Vec<f32>,
    /// The sums of one group per bin; zero between groups.
    partial: Vec<f64>,
}

/// The sums of consecutive pixels over all bins. Vectors of sums that `ops` does not select are empty.
#[derive(Clone, Debug, Default, PartialEq)]
struct Run {
    pixels: usize,
    sum: Vec<f64>,
    squares: Vec<f64>,
    min: Vec<f32>,
    max: Vec<f32>,
}

impl BandSums {
    /// Sums of no pixels yet. The pixels that are added are consecutive from `first_pixel` on, in the flattened frame.
    pub fn new(frames: usize, ops: Ops, first_pixel: usize) -> Self {
        let bins = frames / 2 + 1;
        let of = |wanted: bool| if wanted { bins } else { 0 };
        Self {
            frames,
            ops,
            next_pixel: first_pixel,
            runs: BTreeMap::new(),
            pixels: 0,
            sum: Doubles::new(of(ops.sum)),
            squares: Doubles::new(of(ops.squares)),
            min: vec![f32::LEAST_OF_NONE; of(ops.min)],
            max: vec![f32::MOST_OF_NONE; of(ops.max)],
            partial: vec![0.0; bins],
        }
    }

    /// Number of pixels.
    pub fn pixels(&self) -> u64 {
        self.pixels
    }

    /// Adds the one-sided spectra of a group of pixels, `[pixel][bin]`.
    pub(super) fn add(&mut self, spectra: &[f32], frames: usize) {
        assert_eq!(frames, self.frames, "the spectra have a wrong number of frames");
        let bins = frames / 2 + 1;
        let pixels = spectra.len() / bins;
        let first = match self.runs.last_entry() {
            Some(run) if run.key() + run.get().pixels == self.next_pixel => *run.key(),
            _ => self.next_pixel,
        };
        let run = self.runs.entry(first).or_default();
        // For an even number of frames the last bin has no mirror image.
        let mirrored = (frames - 1) / 2;
        if self.ops.sum {
            spectra.chunks_exact(bins).for_each(|row| run.sum.push(add_row(row, mirrored, &mut self.partial)));
            self.sum.add(&self.partial);
            self.partial.fill(0.0);
        }
        if self.ops.squares {
            spectra.chunks_exact(bins).for_each(|row| run.squares.push(add_row_squares(row, mirrored, &mut self.partial)));
            self.squares.add(&self.partial);
            self.partial.fill(0.0);
        }
        if self.ops.min {
            spectra.chunks_exact(bins).for_each(|row| run.min.push(least(row, &mut self.min)));
        }
        if self.ops.max {
            spectra.chunks_exact(bins).for_each(|row| run.max.push(most(row, &mut self.max)));
        }
        run.pixels += pixels;
        self.next_pixel += pixels;
        self.pixels += pixels as u64;
    }

    /// Adds the sums of other pixels of the same job, in any order. Bands that are added later still follow the last pixel of `self`.
    ///
    /// # Panics
    /// When `other` has another number of frames or selection of sums: a bug of the caller.
    pub fn merge(&mut self, other: &Self) {
        assert_eq!((self.frames, self.ops), (other.frames, other.ops), "sums of another job");
        self.sum.merge(&other.sum);
        self.squares.merge(&other.squares);
        self.min.iter_mut().zip(&other.min).for_each(|(min, more)| *min = min.least(*more));
        self.max.iter_mut().zip(&other.max).for_each(|(max, more)| *max = max.most(*more));
        self.pixels += other.pixels;
        self.runs.extend(other.runs.iter().map(|(first, run)| (*first, run.clone())));
    }

    /// One value per pixel over all T bins, in the order of pixels, little endian: float64, or float32 for min and max.
    ///
    /// # Panics
    /// When the sums for `op` were not computed: a bug of the caller.
    pub fn finish_pixels(&self, op: Reduction) -> (Element, Vec<u8>) {
        assert!(self.ops.serve(op), "the sums for {op:?} were not computed");
        let float = |value: f64| Double { high: value, low: 0.0 };
        let runs = self.runs.values();
        match op {
            Reduction::Min => (Element::Float32, array(runs.flat_map(|run| &run.min).map(|v| v.to_le_bytes()))),
            Reduction::Max => (Element::Float32, array(runs.flat_map(|run| &run.max).map(|v| v.to_le_bytes()))),
            Reduction::Mean | Reduction::Sum | Reduction::Std | Reduction::Var => {
                let values = runs.flat_map(|run| {
                    let squares = run.squares.iter().copied().chain(std::iter::repeat(0.0));
                    run.sum.iter().zip(squares).map(|(sum, squares)| real(op, self.frames as u64, float(*sum), float(squares)))
                });
                (Element::Float64, array(values.map(f64::to_le_bytes)))
            }
        }
    }

    /// One value per bin over all pixels, for all T bins in the order of
    /// [`numpy.fft.fftfreq`](https://numpy.org/doc/stable/reference/generated/numpy.fft.fftfreq.html), little endian: float64, or float32
    /// for min and max.
    ///
    /// # Panics
    /// When the sums for `op` were not computed: a bug of the caller.
    pub fn finish_bins(&self, op: Reduction) -> (Element, Vec<u8>) {
        assert!(self.ops.serve(op), "the sums for {op:?} were not computed");
        let bins = (0..self.frames).map(|bin| bin.min(self.frames - bin));
        match op {
            Reduction::Min => (Element::Float32, array(bins.map(|bin| self.min[bin].to_le_bytes()))),
            Reduction::Max => (Element::Float32, array(bins.map(|bin| self.max[bin].to_le_bytes()))),
            Reduction::Mean | Reduction::Sum | Reduction::Std | Reduction::Var => {
                let squares = |bin| if self.ops.squares { self.squares.get(bin) } else { Double::default() };
                (Element::Float64, array(bins.map(|bin| real(op, self.pixels, self.sum.get(bin), squares(bin)).to_le_bytes())))
            }
        }
    }

    /// The sums as a message to another server.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut to = Writer::default();
        to.u8(self.ops.bits());
        for number in [self.frames, self.next_pixel, self.pixels as usize, self.runs.len()] {
            to.u64(number as u64);
        }
        self.sum.write(&mut to);
        self.squares.write(&mut to);
        to.f32s(&self.min);
        to.f32s(&self.max);
        for (first, run) in &self.runs {
            to.u64(*first as u64);
            to.u64(run.pixels as u64);
            to.f64s(&run.sum);
            to.f64s(&run.squares);
            to.f32s(&run.min);
            to.f32s(&run.max);
        }
        to.into_bytes()
    }

    /// The sums that another server sent.
    ///
    /// # Errors
    /// When the bytes are not what [`to_bytes`](Self::to_bytes) writes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut from = Reader(bytes);
        let ops = Ops::from_bits(from.u8()?)?;
        let (frames, next_pixel, pixels, runs) = (from.usize()?, from.usize()?, from.u64()?, from.usize()?);
        // Without sums the length of the message does not confirm the number of frames.
        if frames == 0 || (ops.is_empty() && runs > 0) {
            return Err(Malformed);
        }
        let bins = frames / 2 + 1;
        let of = |wanted: bool, count: usize| if wanted { count } else { 0 };
        let sum = Doubles::read(&mut from, of(ops.sum, bins))?;
        let squares = Doubles::read(&mut from, of(ops.squares, bins))?;
        let (min, max) = (from.f32s(of(ops.min, bins))?, from.f32s(of(ops.max, bins))?);
        let mut read = BTreeMap::new();
        for _ in 0..runs {
            let (first, pixels) = (from.usize()?, from.usize()?);
            let run = Run {
                pixels,
                sum: from.f64s(of(ops.sum, pixels))?,
                squares: from.f64s(of(ops.squares, pixels))?,
                min: from.f32s(of(ops.min, pixels))?,
                max: from.f32s(of(ops.max, pixels))?,
            };
            read.insert(first, run);
        }
        from.end()?;
        let partial = if ops.is_empty() { Vec::new() } else { vec![0.0; bins] };
        Ok(Self { frames, ops, next_pixel, runs: read, pixels, sum, squares, min, max, partial })
    }
}

/// Partial sums of a row, the same number on every CPU, so that every CPU adds in the same order.
const LANES: usize = 16;

by_cpu! {
    // Adds a row to the sums of each bin, and returns the sum of the row over the two-sided spectrum.
    fn add_row(row: &[f32], mirrored: usize, bins: &mut [f64]) -> f64 {
        add_each(row, mirrored, bins, f64::from)
    }
}

by_cpu! {
    fn add_row_squares(row: &[f32], mirrored: usize, bins: &mut [f64]) -> f64 {
        add_each(row, mirrored, bins, |value| f64::from(value) * f64::from(value))
    }
}

#[inline(always)]
fn add_each(row: &[f32], mirrored: usize, bins: &mut [f64], value: impl Fn(f32) -> f64) -> f64 {
    let mut lanes = [0.0; LANES];
    let (inner, inner_bins) = (row[1..=mirrored].as_chunks::<LANES>(), bins[1..=mirrored].as_chunks_mut::<LANES>());
    for (row, bins) in inner.0.iter().zip(inner_bins.0) {
        for lane in 0..LANES {
            let value = value(row[lane]);
            bins[lane] += value;
            lanes[lane] += value;
        }
    }
    for ((row, bin), lane) in inner.1.iter().zip(inner_bins.1).zip(&mut lanes) {
        let value = value(*row);
        *bin += value;
        *lane += value;
    }
    let mut alone = value(row[0]);
    bins[0] += alone;
    if let Some(last) = row.get(mirrored + 1) {
        bins[mirrored + 1] += value(*last);
        alone += value(*last);
    }
    2.0 * lanes.iter().sum::<f64>() + alone
}

by_cpu! {
    fn least(row: &[f32], bins: &mut [f32]) -> f32 {
        extreme(row, bins, f32::LEAST_OF_NONE, f32::least)
    }
}

by_cpu! {
    fn most(row: &[f32], bins: &mut [f32]) -> f32 {
        extreme(row, bins, f32::MOST_OF_NONE, f32::most)
    }
}

#[inline(always)]
fn extreme(row: &[f32], bins: &mut [f32], none: f32, of: impl Fn(f32, f32) -> f32) -> f32 {
    let mut lanes = [none; LANES];
    let (row, bins) = (row.as_chunks::<LANES>(), bins.as_chunks_mut::<LANES>());
    for (row, bins) in row.0.iter().zip(bins.0) {
        for lane in 0..LANES {
            bins[lane] = of(bins[lane], row[lane]);
            lanes[lane] = of(lanes[lane], row[lane]);
        }
    }
    for ((value, bin), lane) in row.1.iter().zip(bins.1).zip(&mut lanes) {
        *bin = of(*bin, *value);
        *lane = of(*lane, *value);
    }
    lanes.into_iter().fold(none, of)
}
