//! Reductions of frames: sum, mean, standard deviation, variance, minimum and maximum, over axis 0 (t; the result is a frame) and over axes
//! 1 and 2 (y, x; the result is one value per frame).
//!
//! Frames arrive in any order and in batches. Memory traffic dominates the cost, so one pass adds eight frames. Integers are summed
//! exactly. float32 is summed in double-double, so that the order in which servers merge their sums does not change the float64 result for
//! ordinary data. Sums merge by addition, so the variance needs no pairwise update as in Chan, Golub and LeVeque
//! (<https://doi.org/10.1080/00031305.1983.10483115>): n·Σx² − (Σx)² is exact for integers and in double-double for float32.

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

/// The sums that a list of reductions needs. Other sums are neither computed nor stored.
///
/// ```
/// use api::job::Reduction;
/// use kernels::reduce::Ops;
///
/// let ops = Ops::of(&[Reduction::Std]);
/// assert!(ops.serve(Reduction::Mean) && !ops.serve(Reduction::Max));
/// assert!(ops.union(Ops::of(&[Reduction::Max])).serve(Reduction::Max));
/// assert!(Ops::of(&[]).is_empty());
/// ```
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
    /// The sums that `reductions` need.
    pub fn of(reductions: &[Reduction]) -> Self {
        reductions.iter().fold(Self::default(), |ops, op| match op {
            Reduction::Mean | Reduction::Sum => Self { sum: true, ..ops },
            Reduction::Std | Reduction::Var => Self { sum: true, squares: true, ..ops },
            Reduction::Min => Self { min: true, ..ops },
            Reduction::Max => Self { max: true, ..ops },
        })
    }

    /// Whether these sums suffice for `op`.
    pub fn serve(self, op: Reduction) -> bool {
        let need = Self::of(&[op]);
        self.union(need) == self
    }

    /// Whether no sum is needed.
    pub fn is_empty(self) -> bool {
        self == Self::default()
    }

    /// The sums of `self` and of `other`.
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
