//! Sums over axis 0: whole frames come in, one frame-shaped result per reduction goes out.

use super::counter::Counter;
use super::finish;
use super::{Double, Doubles, Malformed, Ops, Reader, Writer};
use crate::cpu::by_cpu;
use crate::pixel::{Pixel, Whole as _, for_dtype};
use api::geometry::{Dtype, Element, cut};
use api::job::Reduction;

/// Pixels that are added for one sum before the next sum is looked at: eight frames' worth stay in the second-level cache.
const BLOCK: usize = 8192;

/// Per-pixel sums over any number of frames: exact for integers, in double-double for float32.
///
/// A "frame" here may be any fixed part of one, such as a run of rows, so that threads can share the work without sharing memory.
#[derive(Clone, Debug, PartialEq)]
pub struct FrameSums {
    dtype: Dtype,
    pixels: usize,
    ops: Ops,
    frames: u64,
    sum: Sums,
    squares: Sums,
    /// Little-endian pixels, or empty.
    min: Vec<u8>,
    max: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq)]
enum Sums {
    Unwanted,
    Whole(Counter),
    Real(Doubles),
}

impl FrameSums {
    /// Sums of no frames.
    pub fn new(dtype: Dtype, pixels: usize, ops: Ops) -> Self {
        let sums = |wanted: bool, power: u32| match dtype {
            _ if !wanted => Sums::Unwanted,
            Dtype::Float32 => Sums::Real(Doubles::new(pixels)),
            Dtype::Uint8 | Dtype::Uint16 => Sums::Whole(Counter::new(pixels, largest(dtype, power))),
        };
        let extremes = |wanted: bool, least: bool| if wanted { for_dtype!(dtype, P => none::<P>(pixels, least)) } else { Vec::new() };
        Self {
            dtype,
            pixels,
            ops,
            frames: 0,
            sum: sums(ops.sum, 1),
            squares: sums(ops.squares, 2),
            min: extremes(ops.min, true),
            max: extremes(ops.max, false),
        }
    }

    /// How many frames were added.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// Which sums are kept.
    pub fn ops(&self) -> Ops {
        self.ops
    }

    /// Adds frames, eight in one pass over the sums: give eight at a time where they are at hand.
    ///
    /// # Panics
    /// When a frame has another size than these sums: a bug of the caller.
    pub fn add(&mut self, frames: &[&[u8]]) {
        for_dtype!(self.dtype, P => self.add_typed::<P>(frames));
    }

    fn add_typed<P: Summed>(&mut self, frames: &[&[u8]]) {
        let (eights, rest) = frames.as_chunks::<8>();
        eights.iter().for_each(|frames| self.add_batch::<P, 8>(*frames));
        let (fours, rest) = rest.as_chunks::<4>();
        fours.iter().for_each(|frames| self.add_batch::<P, 4>(*frames));
        rest.iter().for_each(|frame| self.add_batch::<P, 1>([*frame]));
        self.frames += frames.len() as u64;
    }

    fn add_batch<P: Summed, const K: usize>(&mut self, frames: [&[u8]; K]) {
        let frames = frames.map(P::cast);
        assert!(frames.iter().all(|frame| frame.len() == self.pixels), "a frame of another size than its sums");
        let reserve = |sums: &mut Sums| match sums {
            Sums::Whole(counter) => counter.reserve(K as u32),
            Sums::Real(_) | Sums::Unwanted => true,
        };
        let (_, squares_fit) = (reserve(&mut self.sum), reserve(&mut self.squares));
        for part in cut(self.pixels, BLOCK) {
            let (first, bytes) = (part.start, part.start * size_of::<P>()..part.end * size_of::<P>());
            let frames: [&[P::Bytes]; K] = std::array::from_fn(|k| &frames[k][part.clone()]);
            if self.ops.sum {
                P::add(&mut self.sum, first, &frames);
            }
            if self.ops.squares {
                P::add_squares(&mut self.squares, first, &frames, squares_fit);
            }
            if self.ops.min {
                least::<P, K>(bytemuck::cast_slice_mut(&mut self.min[bytes.clone()]), &frames);
            }
            if self.ops.max {
                most::<P, K>(bytemuck::cast_slice_mut(&mut self.max[bytes]), &frames);
            }
        }
    }

    /// Adds the sums of other frames of the same job, whatever the order.
    ///
    /// # Panics
    /// When `other` is of another shape, type or choice of sums: a bug of the caller.
    pub fn merge(&mut self, other: &Self) {
        assert_eq!((self.dtype, self.pixels, self.ops), (other.dtype, other.pixels, other.ops), "sums of another job");
        for (sums, more) in [(&mut self.sum, &other.sum), (&mut self.squares, &other.squares)] {
            match (sums, more) {
                (Sums::Whole(sums), Sums::Whole(more)) => sums.merge(more),
                (Sums::Real(sums), Sums::Real(more)) => sums.merge(more),
                _ => {}
            }
        }
        for_dtype!(self.dtype, P => {
            least::<P, 1>(bytemuck::cast_slice_mut(&mut self.min), &[P::cast(&other.min)]);
            most::<P, 1>(bytemuck::cast_slice_mut(&mut self.max), &[P::cast(&other.max)]);
        });
        self.frames += other.frames;
    }

    /// Every `stride`-th sum of every `stride`-th row of frames that are `width` pixels wide, into `to`, whose former content is
    /// lost. Sums that are not kept are zero.
    pub fn every(&self, width: usize, stride: usize, to: &mut Vec<f64>) {
        to.clear();
        let (width, stride) = (width.max(1), stride.max(1));
        let value = |pixel| match &self.sum {
            Sums::Whole(counter) => counter.get(pixel) as f64,
            Sums::Real(doubles) => doubles.get(pixel).value(),
            Sums::Unwanted => 0.0,
        };
        for row in (0..self.pixels / width).step_by(stride) {
            to.extend((row * width..(row + 1) * width).step_by(stride).map(value));
        }
    }

    /// One frame of results. Mean, std and var are float64; sum is uint64 of integers and float64 of float32; min and max are of
    /// the input's type.
    ///
    /// # Panics
    /// When the sums for `op` were not kept: a bug of the caller.
    pub fn finish(&self, op: Reduction) -> (Element, Vec<u8>) {
        assert!(self.ops.serve(op), "{op:?} of sums that were not kept");
        let pixels = 0..self.pixels;
        match op {
            Reduction::Min => (self.dtype.into(), self.min.clone()),
            Reduction::Max => (self.dtype.into(), self.max.clone()),
            Reduction::Sum if self.dtype.is_integer() => (Element::Uint64, finish::array(pixels.map(|i| self.sum.whole(i).to_le_bytes()))),
            Reduction::Sum | Reduction::Mean | Reduction::Std | Reduction::Var => {
                let value = |i| match self.dtype {
                    Dtype::Float32 => finish::real(op, self.frames, self.sum.real(i), self.squares.real(i)),
                    Dtype::Uint8 | Dtype::Uint16 => finish::integer(op, self.frames, self.sum.whole(i), self.squares.whole(i).into()),
                };
                (Element::Float64, finish::array(pixels.map(|i| value(i).to_le_bytes())))
            }
        }
    }

    /// The sums as a message to another server.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut to = Writer::with_capacity(64 + self.pixels * 32);
        to.u8(self.dtype.size() as u8);
        to.u8(self.ops.bits());
        to.u64(self.pixels as u64);
        to.u64(self.frames);
        for sums in [&self.sum, &self.squares] {
            match sums {
                Sums::Whole(counter) => counter.write(&mut to),
                Sums::Real(doubles) => doubles.write(&mut to),
                Sums::Unwanted => {}
            }
        }
        to.bytes(&self.min);
        to.bytes(&self.max);
        to.into_bytes()
    }

    /// The sums that another server sent.
    ///
    /// # Errors
    /// When the bytes are not what [`to_bytes`](Self::to_bytes) writes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut from = Reader(bytes);
        let dtype = match from.u8()? {
            1 => Dtype::Uint8,
            2 => Dtype::Uint16,
            4 => Dtype::Float32,
            _ => return Err(Malformed),
        };
        let ops = Ops::from_bits(from.u8()?)?;
        let (pixels, frames) = (from.usize()?, from.u64()?);
        let mut sums = |wanted: bool, power: u32| match dtype {
            _ if !wanted => Ok(Sums::Unwanted),
            Dtype::Float32 => Doubles::read(&mut from, pixels).map(Sums::Real),
            Dtype::Uint8 | Dtype::Uint16 => Counter::read(&mut from, pixels, largest(dtype, power)).map(Sums::Whole),
        };
        let (sum, squares) = (sums(ops.sum, 1)?, sums(ops.squares, 2)?);
        let frame_bytes = pixels.checked_mul(dtype.size()).ok_or(Malformed)?;
        let mut extremes = |wanted: bool| from.bytes(if wanted { frame_bytes } else { 0 }).map(<[u8]>::to_vec);
        let (min, max) = (extremes(ops.min)?, extremes(ops.max)?);
        from.end()?;
        Ok(Self { dtype, pixels, ops, frames, sum, squares, min, max })
    }
}

impl Sums {
    fn whole(&self, pixel: usize) -> u64 {
        if let Self::Whole(counter) = self { counter.get(pixel) } else { 0 }
    }
    fn real(&self, pixel: usize) -> Double {
        if let Self::Real(doubles) = self { doubles.get(pixel) } else { Double::default() }
    }
}

/// The largest addend of a sum of first or second powers.
fn largest(dtype: Dtype, power: u32) -> u32 {
    let largest = if dtype == Dtype::Uint8 { u8::LARGEST } else { u16::LARGEST };
    largest.pow(power)
}

fn none<P: Pixel>(pixels: usize, least: bool) -> Vec<u8> {
    let value = if least { P::LEAST_OF_NONE } else { P::MOST_OF_NONE };
    bytemuck::cast_slice(&vec![value.to_le(); pixels]).to_vec()
}

/// How a pixel type adds itself to its kind of sums.
trait Summed: Pixel {
    fn add<const K: usize>(sums: &mut Sums, first: usize, frames: &[&[Self::Bytes]; K]);
    fn add_squares<const K: usize>(sums: &mut Sums, first: usize, frames: &[&[Self::Bytes]; K], fits: bool);
}

macro_rules! summed_whole {
    ($type:ty) => {
        impl Summed for $type {
            fn add<const K: usize>(sums: &mut Sums, first: usize, frames: &[&[Self::Bytes]; K]) {
                if let Sums::Whole(counter) = sums {
                    counter.add::<Self, K>(first, frames);
                }
            }
            fn add_squares<const K: usize>(sums: &mut Sums, first: usize, frames: &[&[Self::Bytes]; K], fits: bool) {
                if let Sums::Whole(counter) = sums {
                    counter.add_squares::<Self, K>(first, frames, fits);
                }
            }
        }
    };
}

summed_whole!(u8);
summed_whole!(u16);

impl Summed for f32 {
    fn add<const K: usize>(sums: &mut Sums, first: usize, frames: &[&[Self::Bytes]; K]) {
        if let Sums::Real(doubles) = sums {
            doubles.add_pixels::<Self, K>(first, frames, false);
        }
    }
    fn add_squares<const K: usize>(sums: &mut Sums, first: usize, frames: &[&[Self::Bytes]; K], _fits: bool) {
        if let Sums::Real(doubles) = sums {
            doubles.add_pixels::<Self, K>(first, frames, true);
        }
    }
}

by_cpu! {
    fn least[P: Pixel, const K: usize](least: &mut [P::Bytes], frames: &[&[P::Bytes]; K]) {
        let n = least.len();
        let frames: [&[P::Bytes]; K] = std::array::from_fn(|k| &frames[k][..n]);
        for i in 0..n {
            least[i] = frames.iter().fold(P::from_le(least[i]), |least, frame| least.least(P::from_le(frame[i]))).to_le();
        }
    }
}

by_cpu! {
    fn most[P: Pixel, const K: usize](most: &mut [P::Bytes], frames: &[&[P::Bytes]; K]) {
        let n = most.len();
        let frames: [&[P::Bytes]; K] = std::array::from_fn(|k| &frames[k][..n]);
        for i in 0..n {
            most[i] = frames.iter().fold(P::from_le(most[i]), |most, frame| most.most(P::from_le(frame[i]))).to_le();
        }
    }
}
