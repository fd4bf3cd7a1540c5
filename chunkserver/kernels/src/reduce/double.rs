//! Sums in twice the precision of float64 (double-double): the value is `high + low`.
//!
//! Algorithms: Hida, Li, Bailey, "Library for Double-Double and Quad-Double Arithmetic",
//! <https://www.davidhbailey.com/dhbpapers/qd.pdf>.

use super::{Malformed, Reader, Writer};
use crate::cpu::by_cpu;
use crate::pixel::Pixel;

/// One sum. The error of an addition is the rounding of `low`, about 2⁻¹⁰⁶ of the sum.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Double {
    pub(crate) high: f64,
    pub(crate) low: f64,
}

impl Double {
    /// The rounded sum and its rounding error, for any magnitudes: Knuth's TwoSum, <https://en.wikipedia.org/wiki/2Sum>.
    #[inline(always)]
    fn two_sum(a: f64, b: f64) -> Self {
        let high = a + b;
        let b_seen = high - a;
        Self { high, low: (a - (high - b_seen)) + (b - b_seen) }
    }

    /// The rounded product and its rounding error: Dekker's product of Veltkamp's halves, <https://doi.org/10.1007/BF01397083>. Exact
    /// without fused multiply-add, so that all CPUs compute the same.
    #[inline(always)]
    fn two_product(a: f64, b: f64) -> Self {
        let halves = |x: f64| {
            let scaled = 134_217_729.0 * x; // 2^27 + 1
            let upper = scaled - (scaled - x);
            (upper, x - upper)
        };
        let high = a * b;
        let ((a1, a0), (b1, b0)) = (halves(a), halves(b));
        Self { high, low: a0 * b0 - (((high - a1 * b1) - a0 * b1) - a1 * b0) }
    }

    #[inline(always)]
    pub(crate) fn add(self, value: f64) -> Self {
        let sum = Self::two_sum(self.high, value);
        Self { high: sum.high, low: self.low + sum.low }
    }

    #[inline(always)]
    pub(crate) fn merge(self, other: Self) -> Self {
        let sum = Self::two_sum(self.high, other.high);
        Self { high: sum.high, low: (self.low + other.low) + sum.low }
    }

    /// The nearest float64. The `low` of an infinite sum is NaN (infinity minus infinity) and is ignored.
    #[inline(always)]
    pub(crate) fn value(self) -> f64 {
        if self.high.is_finite() { self.high + self.low } else { self.high }
    }

    /// The variance `(n·Σx² − (Σx)²) / n²`. The difference loses most digits when the mean is large, hence double-double.
    pub(crate) fn variance(sum: Self, squares: Self, n: f64) -> f64 {
        if !sum.high.is_finite() || !squares.high.is_finite() {
            return f64::NAN;
        }
        let sum = Self::two_sum(sum.high, sum.low);
        let squares = Self::two_sum(squares.high, squares.low);
        let mut left = Self::two_product(n, squares.high);
        left.low += n * squares.low;
        let mut right = Self::two_product(sum.high, sum.high);
        right.low += 2.0 * sum.high * sum.low;
        let difference = left.merge(Self { high: -right.high, low: -right.low });
        (difference.value() / n / n).max(0.0)
    }
}

/// One sum per pixel or bin.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Doubles {
    high: Vec<f64>,
    low: Vec<f64>,
}

impl Doubles {
    /// `count` sums, all zero.
    pub(crate) fn new(count: usize) -> Self {
        Self { high: vec![0.0; count], low: vec![0.0; count] }
    }
    pub(crate) fn get(&self, index: usize) -> Double {
        Double { high: self.high[index], low: self.low[index] }
    }
    /// Adds one value to each sum.
    pub(crate) fn add(&mut self, values: &[f64]) {
        add_each(&mut self.high, &mut self.low, values);
    }
    /// Adds K frames, in order, to the sums from pixel `first` on. `squared` adds the squares, which float64 holds exactly.
    pub(crate) fn add_pixels<P: Pixel, const K: usize>(&mut self, first: usize, frames: &[&[P::Bytes]; K], squared: bool) {
        let end = first + frames[0].len();
        let (high, low) = (&mut self.high[first..end], &mut self.low[first..end]);
        if squared {
            add_squares::<P, K>(high, low, frames);
        } else {
            add_values::<P, K>(high, low, frames);
        }
    }
    pub(crate) fn merge(&mut self, other: &Self) {
        assert_eq!(self.high.len(), other.high.len(), "sums of different shapes");
        merge_each(&mut self.high, &mut self.low, &other.high, &other.low);
    }
    pub(crate) fn write(&self, to: &mut Writer) {
        to.f64s(&self.high);
        to.f64s(&self.low);
    }
    pub(crate) fn read(from: &mut Reader<'_>, count: usize) -> Result<Self, Malformed> {
        Ok(Self { high: from.f64s(count)?, low: from.f64s(count)? })
    }
}

by_cpu! {
    fn add_each(high: &mut [f64], low: &mut [f64], values: &[f64]) {
        for ((high, low), value) in high.iter_mut().zip(low).zip(values) {
            let sum = Double { high: *high, low: *low }.add(*value);
            (*high, *low) = (sum.high, sum.low);
        }
    }
}

by_cpu! {
    fn merge_each(high: &mut [f64], low: &mut [f64], other_high: &[f64], other_low: &[f64]) {
        for (((high, low), other_high), other_low) in high.iter_mut().zip(low).zip(other_high).zip(other_low) {
            let sum = Double { high: *high, low: *low }.merge(Double { high: *other_high, low: *other_low });
            (*high, *low) = (sum.high, sum.low);
        }
    }
}

by_cpu! {
    fn add_values[P: Pixel, const K: usize](high: &mut [f64], low: &mut [f64], frames: &[&[P::Bytes]; K]) {
        add_each_pixel::<P, K>(high, low, frames, |value| value);
    }
}

by_cpu! {
    fn add_squares[P: Pixel, const K: usize](high: &mut [f64], low: &mut [f64], frames: &[&[P::Bytes]; K]) {
        add_each_pixel::<P, K>(high, low, frames, |value| value * value);
    }
}

#[inline(always)]
fn add_each_pixel<P: Pixel, const K: usize>(high: &mut [f64], low: &mut [f64], frames: &[&[P::Bytes]; K], addend: impl Fn(f64) -> f64) {
    let n = high.len().min(low.len());
    let frames: [&[P::Bytes]; K] = std::array::from_fn(|k| &frames[k][..n]);
    for i in 0..n {
        let mut sum = Double { high: high[i], low: low[i] };
        for frame in frames {
            sum = sum.add(addend(P::from_le(frame[i]).to_f64()));
        }
        (high[i], low[i]) = (sum.high, sum.low);
    }
}
