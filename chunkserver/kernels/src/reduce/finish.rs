//! From sums to the numbers that readers see.

use super::Double;
use api::job::Reduction;

/// Mean, sum, std or var of integers from their exact sums; ddof is 0. The difference under `var` is exact.
pub(crate) fn integer(op: Reduction, n: u64, sum: u64, squares: u128) -> f64 {
    let variance = || {
        let n = u128::from(n);
        // Products stay below 2^128: n < 2^40 and values < 2^16. The difference of honest sums is never negative.
        (n * squares).saturating_sub(u128::from(sum) * u128::from(sum)) as f64 / (n * n) as f64
    };
    match op {
        Reduction::Mean => sum as f64 / n as f64,
        Reduction::Var => variance(),
        Reduction::Std => variance().sqrt(),
        Reduction::Sum | Reduction::Min | Reduction::Max => sum as f64,
    }
}

/// Little-endian numbers as the bytes of an array.
pub(crate) fn array<const N: usize>(numbers: impl Iterator<Item = [u8; N]>) -> Vec<u8> {
    numbers.collect::<Vec<_>>().into_flattened()
}

/// Mean, sum, std or var of reals from their double-double sums; ddof is 0.
pub(crate) fn real(op: Reduction, n: u64, sum: Double, squares: Double) -> f64 {
    let n = n as f64;
    match op {
        Reduction::Mean => sum.value() / n,
        Reduction::Var => Double::variance(sum, squares, n),
        Reduction::Std => Double::variance(sum, squares, n).sqrt(),
        Reduction::Sum | Reduction::Min | Reduction::Max => sum.value(),
    }
}
