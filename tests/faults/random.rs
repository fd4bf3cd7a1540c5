//! Random choices of a trial, which a seed repeats.

use std::time::Duration;
use tests::random::SplitMix64;

/// A sequence of random choices.
#[derive(Clone, Debug)]
pub(crate) struct Random(SplitMix64);

impl Random {
    /// The sequence of one trial of a run.
    pub(crate) const fn new(seed: u64, trial: usize) -> Self {
        let mut random = SplitMix64::new(seed ^ (trial as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        random.next();
        Self(random)
    }

    /// A number below `limit`, which is positive.
    pub(crate) const fn below(&mut self, limit: usize) -> usize {
        self.0.below(limit)
    }

    /// One of these values.
    pub(crate) fn choose<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.below(values.len())]
    }

    /// A number from 0 to 1.
    pub(crate) fn fraction(&mut self) -> f64 {
        (self.0.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A time in this range, in milliseconds.
    pub(crate) fn milliseconds(&mut self, range: std::ops::Range<usize>) -> Duration {
        Duration::from_millis((range.start + self.below(range.len())) as u64)
    }
}
