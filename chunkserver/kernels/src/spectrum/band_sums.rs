//! Sums of spectra: per pixel over all bins (a frame) and per bin over all pixels (a trace), over the whole, two-sided spectrum.

use crate::cpu::by_cpu;
use crate::pixel::Pixel;
use crate::reduce::{Double, Doubles, Malformed, Ops, Reader, Writer, array, real};
use api::geometry::Element;
use api::job::Reduction;
use std::collections::BTreeMap;

/// Sums of the power or amplitude of bands of pixels. A pixel's sums are float64, in an order that depends on T alone. A bin's sums
/// are over sixteen pixels at a time, counted from the band's first, in float64, and over these in double-double, so that the order
/// of bands and servers does not show in ordinary data.
#[derive(Clone, Debug, PartialEq)]
pub struct BandSums {
    frames: usize,
    ops: Ops,
    /// Where the next pixels belong.
    next_pixel: usize,
    runs: BTreeMap<usize, Run>,
    pixels: u64,
    sum: Doubles,
    squares: Doubles,
    min: Vec<f32>,
    max: Vec<f32>,
    /// A group's sum per bin; zero between groups.
    partial: Vec<f64>,
}

/// The sums of consecutive pixels over all bins; a vector is empty when it is not wanted.
#[derive(Clone, Debug, Default, PartialEq)]
struct Run {
    pixels: usize,
    sum: Vec<f64>,
    squares: Vec<f64>,
    min: Vec<f32>,
    max: Vec<f32>,
}

impl BandSums {
    /// Sums of no pixels yet. The bands that are added are those of consecutive pixels from `first_pixel` on, in the whole frame's order.
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

    /// How many pixels were added.
    pub fn pixels(&self) -> u64 {
        self.pixels
    }

    /// Adds the one-sided spectra of a group of pixels, `[pixel][bin]`.
    pub(super) fn add(&mut self, spectra: &[f32], frames: usize) {
        assert_eq!(frames, self.frames, "sums of another number of frames");
        let bins = frames / 2 + 1;
        let pixels = spectra.len() / bins;
        let first = match self.runs.last_entry() {
            Some(run) if run.key() + run.get().pixels == self.next_pixel => *run.key(),
            _ => self.next_pixel,
        };
        let run = self.runs.entry(first).or_default();
        // The last bin stands for itself alone when the number of frames is even.
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

    /// Adds the sums of other pixels of the same job, whatever the order. Bands added later still follow on the pixels added here,
    /// not on the other's.
    ///
    /// # Panics
    /// When `other` is of another number of frames or choice of sums: a bug of the caller.
    pub fn merge(&mut self, other: &Self) {
        assert_eq!((self.frames, self.ops), (other.frames, other.ops), "sums of another job");
        self.sum.merge(&other.sum);
        self.squares.merge(&other.squares);
        self.min.iter_mut().zip(&other.min).for_each(|(min, more)| *min = min.least(*more));
        self.max.iter_mut().zip(&other.max).for_each(|(max, more)| *max = max.most(*more));
        self.pixels += other.pixels;
        self.runs.extend(other.runs.iter().map(|(first, run)| (*first, run.clone())));
    }

    /// One value per pixel, over all T bins, in the order of pixels: float64, or float32 for min and max.
    ///
    /// # Panics
    /// When the sums for `op` were not kept: a bug of the caller.
    pub fn finish_pixels(&self, op: Reduction) -> (Element, Vec<u8>) {
        assert!(self.ops.serve(op), "{op:?} of sums that were not kept");
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

    /// One value per bin, over all pixels, for all T bins in NumPy's order: float64, or float32 for min and max.
    ///
    /// # Panics
    /// When the sums for `op` were not kept: a bug of the caller.
    pub fn finish_bins(&self, op: Reduction) -> (Element, Vec<u8>) {
        assert!(self.ops.serve(op), "{op:?} of sums that were not kept");
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
        // Without sums nothing in the message vouches for the number of frames.
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

/// Sums over a row run in so many lanes side by side, whatever the CPU, so that every CPU adds in the same order.
const LANES: usize = 16;

by_cpu! {
    // Adds a row to the sums of each bin, and gives its own sum over the two-sided spectrum.
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
