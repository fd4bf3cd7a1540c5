//! Frames come in, in any order and in batches; sums, extremes, means and deviations go out: over axis 0 (a frame) and over axes 1, 2
//! (one value per frame).
//!
//! Memory traffic is the cost, so a batch of eight frames is added in one pass. Integers are summed exactly; float32 is summed in
//! double-double, so that the order in which servers merge their sums does not show in the float64 result for ordinary data.

mod counter;
mod double;
mod finish;
mod frame_stat;
mod frame_sums;
#[cfg(test)]
mod tests;
mod wire;

pub(crate) use double::{Double, Doubles};
pub(crate) use finish::{array, real};
pub use frame_stat::FrameStat;
pub use frame_sums::FrameSums;
pub use wire::Malformed;
pub(crate) use wire::{Reader, Writer};

use api::job::Reduction;

/// Which sums a list of reductions needs; the others are neither computed nor stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ops {
    /// The sum: for mean, sum, std and var.
    pub sum: bool,
    /// The sum of squares: for std and var.
    pub squares: bool,
    /// The smallest value.
    pub min: bool,
    /// The largest value.
    pub max: bool,
}

impl Ops {
    /// What `reductions` need together.
    pub fn of(reductions: &[Reduction]) -> Self {
        reductions.iter().fold(Self::default(), |ops, op| match op {
            Reduction::Mean | Reduction::Sum => Self { sum: true, ..ops },
            Reduction::Std | Reduction::Var => Self { sum: true, squares: true, ..ops },
            Reduction::Min => Self { min: true, ..ops },
            Reduction::Max => Self { max: true, ..ops },
        })
    }

    /// Whether `op` can be finished from these sums.
    pub fn serve(self, op: Reduction) -> bool {
        let need = Self::of(&[op]);
        self.union(need) == self
    }

    /// Whether nothing is needed.
    pub fn is_empty(self) -> bool {
        self == Self::default()
    }

    /// What either needs.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self { sum: self.sum | other.sum, squares: self.squares | other.squares, min: self.min | other.min, max: self.max | other.max }
    }

    pub(crate) fn bits(self) -> u8 {
        u8::from(self.sum) | u8::from(self.squares) << 1 | u8::from(self.min) << 2 | u8::from(self.max) << 3
    }

    pub(crate) fn from_bits(bits: u8) -> Result<Self, Malformed> {
        if bits > 15 {
            return Err(Malformed);
        }
        Ok(Self { sum: bits & 1 != 0, squares: bits & 2 != 0, min: bits & 4 != 0, max: bits & 8 != 0 })
    }
}
