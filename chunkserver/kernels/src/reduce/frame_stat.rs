//! Sums over axes 1 and 2: one frame comes in, one value per reduction goes out.

use super::finish;
use super::{Double, Malformed, Ops, Reader, Writer};
use crate::cpu::by_cpu;
use crate::pixel::Pixel;
use api::geometry::{Dtype, Element};
use api::job::Reduction;

/// The sums of one frame, or of parts of it merged. Sums that were not asked for are zero, extremes those of nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FrameStat {
    dtype: Dtype,
    pixels: u64,
    sum: Total,
    squares: Total,
    /// float32 holds every pixel exactly, whatever its type.
    min: f32,
    max: f32,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Total {
    /// Exact: 2³² pixels of squared uint16 are below 2⁶⁴.
    Whole(u64),
    Real(Double),
}

/// Sums of float32 run in so many lanes side by side, whatever the CPU, so that every CPU adds in the same order.
const LANES: usize = 16;

impl FrameStat {
    /// How many bytes [`to_bytes`](Self::to_bytes) gives.
    pub const BYTES: usize = 49;

    /// The sums of one frame, or of a part of it.
    pub fn of(dtype: Dtype, frame: &[u8], ops: Ops) -> Self {
        match dtype {
            Dtype::Uint8 => {
                let pixels = u8::cast(frame);
                let sum = if ops.sum { pixels.chunks(1 << 24).map(sum_u8).sum() } else { 0 };
                let squares = if ops.squares { pixels.chunks(1 << 16).map(|part| u64::from(squares_u8(part))).sum() } else { 0 };
                Self::new::<u8>(pixels, ops, Total::Whole(sum), Total::Whole(squares))
            }
            Dtype::Uint16 => {
                let pixels = u16::cast(frame);
                let sum = if ops.sum { pixels.chunks(1 << 16).map(|part| u64::from(sum_u16(part))).sum() } else { 0 };
                let squares = if ops.squares { squares_u16(pixels) } else { 0 };
                Self::new::<u16>(pixels, ops, Total::Whole(sum), Total::Whole(squares))
            }
            Dtype::Float32 => {
                let pixels = f32::cast(frame);
                let sum = if ops.sum { sum_f32(pixels, false) } else { Double::default() };
                let squares = if ops.squares { sum_f32(pixels, true) } else { Double::default() };
                Self::new::<f32>(pixels, ops, Total::Real(sum), Total::Real(squares))
            }
        }
    }

    /// The sum of an integer frame that another kernel has found on its way, as [`centroid`](crate::recenter::centroid) without a
    /// threshold does.
    pub fn of_sum(dtype: Dtype, pixels: usize, sum: u64) -> Self {
        Self {
            dtype,
            pixels: pixels as u64,
            sum: Total::Whole(sum),
            squares: Total::Whole(0),
            min: f32::LEAST_OF_NONE,
            max: f32::MOST_OF_NONE,
        }
    }

    fn new<P: Pixel>(pixels: &[P::Bytes], ops: Ops, sum: Total, squares: Total) -> Self {
        let min = if ops.min { least::<P>(pixels) } else { f32::LEAST_OF_NONE };
        let max = if ops.max { most::<P>(pixels) } else { f32::MOST_OF_NONE };
        Self { dtype: P::DTYPE, pixels: pixels.len() as u64, sum, squares, min, max }
    }

    /// Adds the sums of another part of the same frame.
    pub fn merge(&mut self, other: &Self) {
        for (total, more) in [(&mut self.sum, other.sum), (&mut self.squares, other.squares)] {
            *total = match (*total, more) {
                (Total::Whole(a), Total::Whole(b)) => Total::Whole(a + b),
                (a, b) => Total::Real(a.real().merge(b.real())),
            };
        }
        self.min = self.min.least(other.min);
        self.max = self.max.most(other.max);
        self.pixels += other.pixels;
    }

    /// The type of the array that holds `op` of frames of `dtype`.
    pub fn element(dtype: Dtype, op: Reduction) -> Element {
        match op {
            Reduction::Min | Reduction::Max => dtype.into(),
            Reduction::Sum if dtype.is_integer() => Element::Uint64,
            Reduction::Sum | Reduction::Mean | Reduction::Std | Reduction::Var => Element::Float64,
        }
    }

    /// Appends the little-endian result, an [`element`](Self::element), to a trace.
    pub fn finish(&self, op: Reduction, trace: &mut Vec<u8>) {
        match (op, self.dtype) {
            (Reduction::Min | Reduction::Max, _) => {
                let value = if op == Reduction::Min { self.min } else { self.max };
                match self.dtype {
                    // The extremes of no pixels are infinite; the cast makes them the type's own.
                    Dtype::Uint8 => trace.push(value as u8),
                    Dtype::Uint16 => trace.extend((value as u16).to_le_bytes()),
                    Dtype::Float32 => trace.extend(value.to_le_bytes()),
                }
            }
            (Reduction::Sum, Dtype::Uint8 | Dtype::Uint16) => trace.extend(self.sum.whole().to_le_bytes()),
            (_, Dtype::Uint8 | Dtype::Uint16) => {
                trace.extend(finish::integer(op, self.pixels, self.sum.whole(), self.squares.whole().into()).to_le_bytes());
            }
            (_, Dtype::Float32) => trace.extend(finish::real(op, self.pixels, self.sum.real(), self.squares.real()).to_le_bytes()),
        }
    }

    /// The mean; NaN of no pixels.
    pub fn mean(&self) -> f64 {
        let sum = match self.sum {
            Total::Whole(sum) => sum as f64,
            Total::Real(sum) => sum.value(),
        };
        sum / self.pixels as f64
    }

    /// The sums as part of a message to another server.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut to = Writer::with_capacity(Self::BYTES);
        to.u8(self.dtype.size() as u8);
        to.u64(self.pixels);
        for total in [self.sum, self.squares] {
            match total {
                Total::Whole(sum) => to.bytes(&u128::from(sum).to_le_bytes()),
                Total::Real(sum) => to.f64s(&[sum.high, sum.low]),
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
        let dtype = match from.u8()? {
            1 => Dtype::Uint8,
            2 => Dtype::Uint16,
            4 => Dtype::Float32,
            _ => return Err(Malformed),
        };
        let pixels = from.u64()?;
        let mut total = || {
            if dtype.is_integer() {
                return u64::try_from(from.u128()?).map(Total::Whole).map_err(|_| Malformed);
            }
            Ok(Total::Real(Double { high: from.f64()?, low: from.f64()? }))
        };
        let (sum, squares) = (total()?, total()?);
        let [min, max] = from.arrays(2)? else { return Err(Malformed) };
        let stat = Self { dtype, pixels, sum, squares, min: f32::from_le_bytes(*min), max: f32::from_le_bytes(*max) };
        from.end()?;
        Ok(stat)
    }
}

impl Total {
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
        let mut lanes = [P::LEAST_OF_NONE; 64];
        let (rows, rest) = pixels.as_chunks::<64>();
        for row in rows {
            for (lane, bytes) in lanes.iter_mut().zip(row) {
                *lane = lane.least(P::from_le(*bytes));
            }
        }
        let rest = rest.iter().map(|bytes| P::from_le(*bytes));
        let least = lanes.into_iter().chain(rest).fold(P::LEAST_OF_NONE, P::least);
        if pixels.is_empty() { f32::LEAST_OF_NONE } else { least.to_f32() }
    }
}

by_cpu! {
    fn most[P: Pixel](pixels: &[P::Bytes]) -> f32 {
        let mut lanes = [P::MOST_OF_NONE; 64];
        let (rows, rest) = pixels.as_chunks::<64>();
        for row in rows {
            for (lane, bytes) in lanes.iter_mut().zip(row) {
                *lane = lane.most(P::from_le(*bytes));
            }
        }
        let rest = rest.iter().map(|bytes| P::from_le(*bytes));
        let most = lanes.into_iter().chain(rest).fold(P::MOST_OF_NONE, P::most);
        if pixels.is_empty() { f32::MOST_OF_NONE } else { most.to_f32() }
    }
}
