//! Exact sums of integers, one per pixel, over any number of frames.

use super::{Malformed, Reader, Writer};
use crate::cpu::by_cpu;
use crate::pixel::Whole;
use std::ops::{Add, AddAssign};

/// An integer pixel, and the type of the sum of eight pixels.
pub(crate) trait Integer: Whole {
    /// Twice as wide as the pixel: the sum of eight pixels fits, and one vector holds as many sums as possible.
    type Eight: Copy + Add<Output = Self::Eight> + Default;
    fn widen(self) -> Self::Eight;
    fn eight_to_u32(sum: Self::Eight) -> u32;
}

macro_rules! integer {
    ($type:ty, $eight:ty) => {
        impl Integer for $type {
            type Eight = $eight;
            #[inline(always)]
            fn widen(self) -> Self::Eight {
                self.into()
            }
            #[inline(always)]
            fn eight_to_u32(sum: Self::Eight) -> u32 {
                sum.into()
            }
        }
    };
}

integer!(u8, u16);
integer!(u16, u32);

/// Sums of pixels or of their squares. Sums of 32 bits halve the memory traffic. They hold 16,843,009 frames of uint8, 65,537 of uint16 or
/// 66,051 of squared uint8, and are then added to sums of 64 bits, which hold 2³² frames of squared uint16.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Counter {
    low: Vec<u32>,
    /// Number of additions of the largest addend that `low` still holds.
    room: u32,
    /// Number of additions of the largest addend that a zero `low` holds.
    capacity: u32,
    /// Sums of 64 bits; empty until `low` is added to them for the first time.
    high: Vec<u64>,
}

impl Counter {
    pub(crate) fn new(count: usize, largest_addend: u32) -> Self {
        let capacity = u32::MAX / largest_addend;
        Self { low: vec![0; count], room: capacity, capacity, high: Vec::new() }
    }

    pub(crate) fn get(&self, index: usize) -> u64 {
        u64::from(self.low[index]) + self.high.get(index).copied().unwrap_or(0)
    }

    /// Reserves `addends` additions to each sum. `false` when even a zero counter does not hold them.
    pub(crate) fn reserve(&mut self, addends: u32) -> bool {
        if self.capacity < addends {
            return false;
        }
        if self.room < addends {
            self.spill();
        }
        self.room -= addends;
        true
    }

    fn spill(&mut self) {
        self.high.resize(self.low.len(), 0);
        for (high, low) in self.high.iter_mut().zip(&mut self.low) {
            *high += u64::from(std::mem::take(low));
        }
        self.room = self.capacity;
    }

    /// Adds a part of K frames to the sums from pixel `first` on, after [`reserve`](Self::reserve).
    pub(crate) fn add<P: Integer, const K: usize>(&mut self, first: usize, frames: &[&[P::Bytes]; K]) {
        add::<P, K>(&mut self.low[first..first + frames[0].len()], frames);
    }

    /// Adds the squares of a part of K frames: to the sums of 32 bits if `fits`, else to the sums of 64 bits.
    pub(crate) fn add_squares<P: Integer, const K: usize>(&mut self, first: usize, frames: &[&[P::Bytes]; K], fits: bool) {
        let part = first..first + frames[0].len();
        if fits {
            add_squares::<P, K>(&mut self.low[part], frames);
        } else {
            self.high.resize(self.low.len(), 0);
            add_wide_squares::<P, K>(&mut self.high[part], frames);
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        assert_eq!(self.low.len(), other.low.len(), "sums of different shapes");
        let used = other.capacity - other.room;
        if self.room < used {
            self.spill();
        }
        self.room -= used;
        for (low, more) in self.low.iter_mut().zip(&other.low) {
            *low += more;
        }
        if !other.high.is_empty() {
            self.high.resize(self.low.len(), 0);
            for (high, more) in self.high.iter_mut().zip(&other.high) {
                *high += more;
            }
        }
    }

    pub(crate) fn write(&self, to: &mut Writer) {
        to.u64(u64::from(self.room));
        to.u8(u8::from(!self.high.is_empty()));
        self.low.iter().for_each(|low| to.bytes(&low.to_le_bytes()));
        self.high.iter().for_each(|high| to.bytes(&high.to_le_bytes()));
    }

    pub(crate) fn read(from: &mut Reader<'_>, count: usize, largest_addend: u32) -> Result<Self, Malformed> {
        let capacity = u32::MAX / largest_addend;
        let room = u32::try_from(from.u64()?).ok().filter(|room| *room <= capacity).ok_or(Malformed)?;
        let spilled = match from.u8()? {
            0 => false,
            1 => true,
            _ => return Err(Malformed),
        };
        let low: Vec<u32> = from.arrays(count)?.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect();
        // Sums above the limit of `room` could overflow later.
        let limit = u64::from(capacity - room) * u64::from(largest_addend);
        if low.iter().any(|low| u64::from(*low) > limit) {
            return Err(Malformed);
        }
        let high = if spilled { from.arrays(count)?.iter().map(|bytes| u64::from_le_bytes(*bytes)).collect() } else { Vec::new() };
        Ok(Self { low, room, capacity, high })
    }
}

by_cpu! {
    fn add[P: Integer, const K: usize](sums: &mut [u32], frames: &[&[P::Bytes]; K]) {
        let n = sums.len();
        let frames: [&[P::Bytes]; K] = std::array::from_fn(|k| &frames[k][..n]);
        for i in 0..n {
            let mut sum = P::Eight::default();
            for frame in frames {
                sum = sum + P::from_le(frame[i]).widen();
            }
            sums[i] += P::eight_to_u32(sum);
        }
    }
}

by_cpu! {
    fn add_squares[P: Integer, const K: usize](sums: &mut [u32], frames: &[&[P::Bytes]; K]) {
        squares::<P, u32, K>(sums, frames);
    }
}

by_cpu! {
    fn add_wide_squares[P: Integer, const K: usize](sums: &mut [u64], frames: &[&[P::Bytes]; K]) {
        squares::<P, u64, K>(sums, frames);
    }
}

/// Adds the squares of K frames to sums of type `S`. The square of each integer pixel fits 32 bits.
#[inline(always)]
fn squares<P: Integer, S: Copy + Default + From<u32> + AddAssign, const K: usize>(sums: &mut [S], frames: &[&[P::Bytes]; K]) {
    let n = sums.len();
    let frames: [&[P::Bytes]; K] = std::array::from_fn(|k| &frames[k][..n]);
    for i in 0..n {
        let mut sum = S::default();
        for frame in frames {
            let value = P::from_le(frame[i]).to_u32();
            sum += S::from(value * value);
        }
        sums[i] += sum;
    }
}
