//! Random numbers from a seed.

use std::time::Duration;
use tests::random::SplitMix64;

/// A generator of random numbers.
#[derive(Clone, Debug)]
pub(crate) struct Dice(SplitMix64);

impl Dice {
    /// The numbers of `seed` for one purpose. Other purposes have other numbers, so that a further use changes no other choice.
    pub(crate) fn new(seed: u64, purpose: &str) -> Self {
        let mut random = SplitMix64::new(seed ^ hash(purpose.as_bytes()));
        random.next();
        Self(random)
    }

    pub(crate) const fn next(&mut self) -> u64 {
        self.0.next()
    }

    /// A number below `end`; 0 if `end` is 0. Each call takes one number of the sequence.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0.below(end.max(1))
    }

    /// True in `percent` of 100 cases.
    pub(crate) fn percent(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// One of the values.
    pub(crate) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    /// A duration between two numbers of milliseconds, in microseconds: two events rarely have the same time.
    pub(crate) fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_micros(from * 1000 + self.next() % ((to - from) * 1000).max(1))
    }
}

/// FNV-1a: <http://www.isthe.com/chongo/tech/comp/fnv/>.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3))
}
