//! Reductions over axes 1 and 2 (y, x): one frame in, one value per reduction out.

use super::finish;
use super::{Double, Malformed, Ops, Reader, Writer};
use crate::cpu::by_cpu;
use crate::pixel::Pixel;
use api::geometry::{Dtype, Element};
use api::job::Reduction;

/// The sums of one frame, or of a part of a frame. Sums that `ops` does not select are zero; extremes are those of no pixel.
///
/// ```
/// use api::geometry::Dtype;
/// use api::job::Reduction;
/// use kernels::reduce::{FrameStat, Malformed, Ops};
///
/// let ops = Ops::of(&[Reduction::Sum, Reduction::Max]);
/// let mut stat = FrameStat::of(Dtype::Uint8, &[1, 2, 3], ops);
/// stat.merge(&FrameStat::from_bytes(&FrameStat::of(Dtype::Uint8, &[4], ops).to_bytes())?);
/// let (mut sums, mut maxima) = (Vec::new(), Vec::new());
/// stat.finish(Reduction::Sum, &mut sums);
/// stat.finish(Reduction::Max, &mut maxima);
/// assert_eq!((sums, maxima, stat.mean()), (10_u64.to_le_bytes().to_vec(), vec![4], 2.5));
/// # Ok::<(), Malformed>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FrameStat {
    dtype: Dtype,
    pixels: u64,
    sum: Sum,
    squares: Sum,
    /// float32 holds each pixel of each type exactly.
    min: f32,
    max: f32,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Sum {
    /// Exact: 2³² pixels of squared uint16 are below 2⁶⁴.
    Whole(u64),
    Real(Double),
}

/// Partial sums of float32, the same number on every CPU, so that every CPU adds in the same order.
const LANES: usize = 16;

impl FrameStat {
    /// Bytes of a message, see [`to_bytes`](Self::to_bytes).
    pub const BYTES: usize = 49;

    /// The sums of one frame, or of a part of a frame.
    ///
    /// # Panics
    /// When the length of `frame` is no multiple of the pixel size: a bug of the caller.
    pub fn of(dtype: Dtype, frame: &[u8], ops: Ops) -> Self {
        match dtype {
            Dtype::Uint8 => {
                let pixels = u8::cast(frame);
                let sum = if ops.sum { pixels.chunks(1 << 24).map(sum_u8).sum() } else { 0 };
                let squares = if ops.squares { pixels.chunks(1 << 16).map(|part| u64::from(squares_u8(part))).sum() } else { 0 };
                Self::new::<u8>(pixels, ops, Sum::Whole(sum), Sum::Whole(squares))
            }
            Dtype::Uint16 => {
                let pixels = u16::cast(frame);
                let sum = if ops.sum { pixels.chunks(1 << 16).map(|part| u64::from(sum_u16(part))).sum() } else { 0 };
                let squares = if ops.squares { squares_u16(pixels) } else { 0 };
                Self::new::<u16>(pixels, ops, Sum::Whole(sum), Sum::Whole(squares))
            }
            Dtype::Float32 => {
                let pixels = f32::cast(frame);
                let sum = if ops.sum { sum_f32(pixels, false) } else { Double::default() };
                let squares = if ops.squares { sum_f32(pixels, true) } else { Double::default() };
                Self::new::<f32>(pixels, ops, Sum::Real(sum), Sum::Real(squares))
            }
        }
    }

    /// The sums of an integer frame whose sum another kernel has computed: [`centroid`](crate::recenter::centroid) without a threshold.
    pub fn of_sum(dtype: Dtype, pixels: usize, sum: u64) -> Self {
        Self { dtype, pixels: pixels as u64, sum: Sum::Whole(sum), squares: Sum::Whole(0), min: f32::LEAST_OF_NONE, max: f32::MOST_OF_NONE }
    }

    fn new<P: Pixel>(pixels: &[P::Bytes], ops: Ops, sum: Sum, squares: Sum) -> Self {
        let min = if ops.min { least::<P>(pixels) } else { f32::LEAST_OF_NONE };
        let max = if ops.max { most::<P>(pixels) } else { f32::MOST_OF_NONE };
        Self { dtype: P::DTYPE, pixels: pixels.len() as u64, sum, squares, min, max }
    }

    /// Adds the sums of another part of the same frame.
    pub fn merge(&mut self, other: &Self) {
        for (total, more) in [(&mut self.sum, other.sum), (&mut self.squares, other.squares)] {
            *total = match (*total, more) {
                (Sum::Whole(a), Sum::Whole(b)) => Sum::Whole(a + b),
                (a, b) => Sum::Real(a.real().merge(b.real())),
            };
        }
        self.min = self.min.least(other.min);
        self.max = self.max.most(other.max);
        self.pixels += other.pixels;
    }

    /// The element type of `op` of frames of `dtype`.
    pub fn element(dtype: Dtype, op: Reduction) -> Element {
        match op {
            Reduction::Min | Reduction::Max => dtype.into(),
            Reduction::Sum if dtype.is_integer() => Element::Uint64,
            Reduction::Sum | Reduction::Mean | Reduction::Std | Reduction::Var => Element::Float64,
        }
    }

    /// Appends the result to `trace`, as one little-endian [`element`](Self::element).
    pub fn finish(&self, op: Reduction, trace: &mut Vec<u8>) {
        match (op, self.dtype) {
            (Reduction::Min | Reduction::Max, _) => {
                let value = if op == Reduction::Min { self.min } else { self.max };
                match self.dtype {
                    // The extremes of no pixel are infinite. The cast saturates to the limits of the type.
                    Dtype::Uint8 => trace.push(value as u8),
                    Dtype::Uint16 => trace.extend((value as u16).to_le_bytes()),
                    Dtype::Float32 => trace.extend(value.to_le_bytes()),
                }
            }
            (Reduction::Sum, Dtype::Uint8 | Dtype::Uint16) => trace.extend(self.sum.whole().to_le_bytes()),
            (Reduction::Mean | Reduction::Std | Reduction::Var, Dtype::Uint8 | Dtype::Uint16) => {
                trace.extend(finish::integer(op, self.pixels, self.sum.whole(), self.squares.whole().into()).to_le_bytes());
            }
            (Reduction::Sum | Reduction::Mean | Reduction::Std | Reduction::Var, Dtype::Float32) => {
                trace.extend(finish::real(op, self.pixels, self.sum.real(), self.squares.real()).to_le_bytes());
            }
        }
    }

    /// The mean; NaN without pixels.
    pub fn mean(&self) -> f64 {
        let sum = match self.sum {
            Sum::Whole(sum) => sum as f64,
            Sum::Real(sum) => sum.value(),
        };
        sum / self.pixels as f64
    }

    /// The sums as part of a message to another server.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut to = Writer::with_capacity(Self::BYTES);
        to.dtype(self.dtype);
        to.u64(self.pixels);
        for total in [self.sum, self.squares] {
            match total {
                Sum::Whole(sum) => to.bytes(&u128::from(sum).to_le_bytes()),
                Sum::Real(sum) => to.f64s(&[sum.high, sum.low]),
            }
        }
        to.bytes(&self.min.to_le_bytes());
        to.bytes(&self.max.to_le_bytes());
        to.into_bytes()
    }

    /// The sums that another server sent.
    ///
    /// # Errors
    /// When the bytes are not what [`to_bytes`](Self::to_bytes) writes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut from = Reader(bytes);
        let dtype = from.dtype()?;
        let pixels = from.u64()?;
        let mut total = || {
            if dtype.is_integer() {
                return u64::try_from(from.u128()?).map(Sum::Whole).map_err(|_| Malformed);
            }
            Ok(Sum::Real(Double { high: from.f64()?, low: from.f64()? }))
        };
        let (sum, squares) = (total()?, total()?);
        let [min, max] = from.arrays(2)? else { return Err(Malformed) };
        let stat = Self { dtype, pixels, sum, squares, min: f32::from_le_bytes(*min), max: f32::from_le_bytes(*max) };
        from.end()?;
        Ok(stat)
    }
}

impl Sum {
    fn whole(self) -> u64 {
        if let Self::Whole(sum) = self { sum } else { 0 }
    }
    fn real(self) -> Double {
        match self {
            Self::Whole(sum) => Double { high: sum as f64, low: 0.0 },
            Self::Real(sum) => sum,
        }
    }
}

by_cpu! {
    // At most 2^24 pixels.
    fn sum_u8(pixels: &[[u8; 1]]) -> u64 {
        u64::from(pixels.iter().map(|[pixel]| u32::from(*pixel)).sum::<u32>())
    }
}

by_cpu! {
    // At most 2^16 pixels.
    fn squares_u8(pixels: &[[u8; 1]]) -> u32 {
        pixels.iter().map(|[pixel]| u32::from(*pixel) * u32::from(*pixel)).sum()
    }
}

by_cpu! {
    // At most 2^16 pixels.
    fn sum_u16(pixels: &[[u8; 2]]) -> u32 {
        pixels.iter().map(|pixel| u32::from(u16::from_le_bytes(*pixel))).sum()
    }
}

by_cpu! {
    fn squares_u16(pixels: &[[u8; 2]]) -> u64 {
        pixels.iter().map(|pixel| u32::from(u16::from_le_bytes(*pixel))).map(|pixel| u64::from(pixel * pixel)).sum()
    }
}

by_cpu! {
    fn sum_f32(pixels: &[[u8; 4]], squared: bool) -> Double {
        let (mut high, mut low) = ([0.0; LANES], [0.0; LANES]);
        let (rows, rest) = pixels.as_chunks::<LANES>();
        let value = |bytes: [u8; 4]| {
            let value = f64::from(f32::from_le_bytes(bytes));
            if squared { value * value } else { value }
        };
        for row in rows {
            for lane in 0..LANES {
                let sum = Double { high: high[lane], low: low[lane] }.add(value(row[lane]));
                (high[lane], low[lane]) = (sum.high, sum.low);
            }
        }
        let lanes = high.into_iter().zip(low).map(|(high, low)| Double { high, low });
        let sum = lanes.fold(Double::default(), Double::merge);
        rest.iter().fold(sum, |sum, bytes| sum.add(value(*bytes)))
    }
}

by_cpu! {
    fn least[P: Pixel](pixels: &[P::Bytes]) -> f32 {
        extreme::<P>(pixels, P::LEAST_OF_NONE, P::least).map_or(f32::LEAST_OF_NONE, P::to_f32)
    }
}

by_cpu! {
    fn most[P: Pixel](pixels: &[P::Bytes]) -> f32 {
        extreme::<P>(pixels, P::MOST_OF_NONE, P::most).map_or(f32::MOST_OF_NONE, P::to_f32)
    }
}

/// The extreme that `of` selects, in 64 lanes; `None` without pixels.
#[inline(always)]
fn extreme<P: Pixel>(pixels: &[P::Bytes], none: P, of: impl Fn(P, P) -> P) -> Option<P> {
    let mut lanes = [none; 64];
    let (rows, rest) = pixels.as_chunks::<64>();
    for row in rows {
        for (lane, bytes) in lanes.iter_mut().zip(row) {
            *lane = of(*lane, P::from_le(*bytes));
        }
    }
    let rest = rest.iter().map(|bytes| P::from_le(*bytes));
    let extreme = lanes.into_iter().chain(rest).fold(none, of);
    (!pixels.is_empty()).then_some(extreme)
}
