//! Reductions over axis 0 (t): frames in, one frame per reduction out.

use super::counter::Counter;
use super::finish;
use super::{Double, Doubles, Malformed, Ops, Reader, Writer};
use crate::cpu::by_cpu;
use crate::pixel::{Pixel, Whole as _, for_dtype};
use api::geometry::{Dtype, Element, cut};
use api::job::Reduction;

/// Pixels of one step, which updates all sums. The pixels of eight frames stay in the second-level cache.
const BLOCK: usize = 8192;

/// Sums per pixel over any number of frames: exact for integers, in double-double for float32.
///
/// A "frame" here may be a fixed part of each frame, such as some rows, so that threads share the work without sharing memory.
///
/// ```
/// use api::geometry::{Dtype, Element};
/// use api::job::Reduction;
/// use kernels::reduce::{FrameSums, Malformed, Ops};
///
/// let ops = Ops::of(&[Reduction::Mean, Reduction::Min]);
/// let mut sums = FrameSums::new(Dtype::Uint8, 3, ops);
/// sums.add(&[&[1, 2, 3], &[3, 4, 8]]);
/// let mut other = FrameSums::new(Dtype::Uint8, 3, ops);
/// other.add(&[&[5, 0, 4]]);
/// sums.merge(&FrameSums::from_bytes(&other.to_bytes())?);
/// assert_eq!(sums.frames(), 3);
/// assert_eq!(sums.finish(Reduction::Min), (Element::Uint8, vec![1, 0, 3]));
/// let means: Vec<u8> = [3.0, 2.0, 5.0_f64].iter().flat_map(|mean| mean.to_le_bytes()).collect();
/// assert_eq!(sums.finish(Reduction::Mean), (Element::Float64, means));
/// # Ok::<(), Malformed>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct FrameSums {
    dtype: Dtype,
    pixels: usize,
    ops: Ops,
    frames: u64,
    sum: PixelSums,
    squares: PixelSums,
    /// Little-endian pixels, or empty.
    min: Vec<u8>,
    max: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq)]
enum PixelSums {
    Unwanted,
    Whole(Counter),
    Real(Doubles),
}

impl FrameSums {
    /// Sums of no frames yet, with `pixels` pixels each.
    pub fn new(dtype: Dtype, pixels: usize, ops: Ops) -> Self {
        let sums = |wanted: bool, power: u32| match dtype {
            _ if !wanted => PixelSums::Unwanted,
            Dtype::Float32 => PixelSums::Real(Doubles::new(pixels)),
            Dtype::Uint8 | Dtype::Uint16 => PixelSums::Whole(Counter::new(pixels, largest(dtype, power))),
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

    /// Number of frames.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// The sums that are computed.
    pub fn ops(&self) -> Ops {
        self.ops
    }

    /// Adds frames. One pass over the sums adds eight frames, so that calls with a multiple of eight frames are the fastest.
    ///
    /// # Panics
    /// When a frame does not have the size of the sums: a bug of the caller.
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
        assert!(frames.iter().all(|frame| frame.len() == self.pixels), "the frame does not have the size of the sums");
        let reserve = |sums: &mut PixelSums| match sums {
            PixelSums::Whole(counter) => counter.reserve(K as u32),
            PixelSums::Real(_) | PixelSums::Unwanted => true,
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

    /// Adds the sums of other frames of the same job, in any order.
    ///
    /// # Panics
    /// When `other` has another shape, element type or selection of sums: a bug of the caller.
    pub fn merge(&mut self, other: &Self) {
        assert_eq!((self.dtype, self.pixels, self.ops), (other.dtype, other.pixels, other.ops), "sums of another job");
        for (sums, more) in [(&mut self.sum, &other.sum), (&mut self.squares, &other.squares)] {
            match (sums, more) {
                (PixelSums::Whole(sums), PixelSums::Whole(more)) => sums.merge(more),
                (PixelSums::Real(sums), PixelSums::Real(more)) => sums.merge(more),
                _ => {}
            }
        }
        for_dtype!(self.dtype, P => {
            least::<P, 1>(bytemuck::cast_slice_mut(&mut self.min), &[P::cast(&other.min)]);
            most::<P, 1>(bytemuck::cast_slice_mut(&mut self.max), &[P::cast(&other.max)]);
        });
        self.frames += other.frames;
    }

    /// Writes every `stride`-th sum of every `stride`-th row to `to`, in C order, for frames that are `width` pixels wide. The former
    /// content of `to` is dropped. Sums that are not computed are zero.
    pub fn every(&self, width: usize, stride: usize, to: &mut Vec<f64>) {
        to.clear();
        let (width, stride) = (width.max(1), stride.max(1));
        let value = |pixel| match &self.sum {
            PixelSums::Whole(counter) => counter.get(pixel) as f64,
            PixelSums::Real(doubles) => doubles.get(pixel).value(),
            PixelSums::Unwanted => 0.0,
        };
        for row in (0..self.pixels / width).step_by(stride) {
            to.extend((row * width..(row + 1) * width).step_by(stride).map(value));
        }
    }

    /// The result of `op`, one frame in C order, little endian. Mean, std and var are float64; the sum is uint64 for integers and float64
    /// for float32; min and max have the element type of the frames.
    ///
    /// # Panics
    /// When the sums for `op` were not computed: a bug of the caller.
    pub fn finish(&self, op: Reduction) -> (Element, Vec<u8>) {
        assert!(self.ops.serve(op), "the sums for {op:?} were not computed");
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
        to.dtype(self.dtype);
        to.u8(self.ops.bits());
        to.u64(self.pixels as u64);
        to.u64(self.frames);
        for sums in [&self.sum, &self.squares] {
            match sums {
                PixelSums::Whole(counter) => counter.write(&mut to),
                PixelSums::Real(doubles) => doubles.write(&mut to),
                PixelSums::Unwanted => {}
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
        let dtype = from.dtype()?;
        let ops = Ops::from_bits(from.u8()?)?;
        let (pixels, frames) = (from.usize()?, from.u64()?);
        let mut sums = |wanted: bool, power: u32| match dtype {
            _ if !wanted => Ok(PixelSums::Unwanted),
            Dtype::Float32 => Doubles::read(&mut from, pixels).map(PixelSums::Real),
            Dtype::Uint8 | Dtype::Uint16 => Counter::read(&mut from, pixels, largest(dtype, power)).map(PixelSums::Whole),
        };
        let (sum, squares) = (sums(ops.sum, 1)?, sums(ops.squares, 2)?);
        let frame_bytes = pixels.checked_mul(dtype.size()).ok_or(Malformed)?;
        let mut extremes = |wanted: bool| from.bytes(if wanted { frame_bytes } else { 0 }).map(<[u8]>::to_vec);
        let (min, max) = (extremes(ops.min)?, extremes(ops.max)?);
        from.end()?;
        Ok(Self { dtype, pixels, ops, frames, sum, squares, min, max })
    }
}

impl PixelSums {
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

/// A pixel type, and its addition to the sums of its kind.
trait Summed: Pixel {
    fn add<const K: usize>(sums: &mut PixelSums, first: usize, frames: &[&[Self::Bytes]; K]);
    fn add_squares<const K: usize>(sums: &mut PixelSums, first: usize, frames: &[&[Self::Bytes]; K], fits: bool);
}

macro_rules! summed_whole {
    ($type:ty) => {
        impl Summed for $type {
            fn add<const K: usize>(sums: &mut PixelSums, first: usize, frames: &[&[Self::Bytes]; K]) {
                if let PixelSums::Whole(counter) = sums {
                    counter.add::<Self, K>(first, frames);
                }
            }
            fn add_squares<const K: usize>(sums: &mut PixelSums, first: usize, frames: &[&[Self::Bytes]; K], fits: bool) {
                if let PixelSums::Whole(counter) = sums {
                    counter.add_squares::<Self, K>(first, frames, fits);
                }
            }
        }
    };
}

summed_whole!(u8);
summed_whole!(u16);

impl Summed for f32 {
    fn add<const K: usize>(sums: &mut PixelSums, first: usize, frames: &[&[Self::Bytes]; K]) {
        if let PixelSums::Real(doubles) = sums {
            doubles.add_pixels::<Self, K>(first, frames, false);
        }
    }
    fn add_squares<const K: usize>(sums: &mut PixelSums, first: usize, frames: &[&[Self::Bytes]; K], _fits: bool) {
        if let PixelSums::Real(doubles) = sums {
            doubles.add_pixels::<Self, K>(first, frames, true);
        }
    }
}

by_cpu! {
    fn least[P: Pixel, const K: usize](least: &mut [P::Bytes], frames: &[&[P::Bytes]; K]) {
        extreme::<P, K>(least, frames, P::least);
    }
}

by_cpu! {
    fn most[P: Pixel, const K: usize](most: &mut [P::Bytes], frames: &[&[P::Bytes]; K]) {
        extreme::<P, K>(most, frames, P::most);
    }
}

#[inline(always)]
fn extreme<P: Pixel, const K: usize>(extremes: &mut [P::Bytes], frames: &[&[P::Bytes]; K], of: impl Fn(P, P) -> P) {
    let n = extremes.len();
    let frames: [&[P::Bytes]; K] = std::array::from_fn(|k| &frames[k][..n]);
    for i in 0..n {
        extremes[i] = frames.iter().fold(P::from_le(extremes[i]), |extreme, frame| of(extreme, P::from_le(frame[i]))).to_le();
    }
}
