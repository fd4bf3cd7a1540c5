//! From sums to results.

use super::Double;
use api::job::Reduction;

/// Mean, sum, standard deviation or variance of `n` integers from Σx and Σx². As in
/// [NumPy](https://numpy.org/doc/stable/reference/generated/numpy.var.html)
/// with ddof 0, var = (n·Σx² − (Σx)²) / n². The difference is exact.
pub(crate) fn integer(op: Reduction, n: u64, sum: u64, squares: u128) -> f64 {
    let variance = || {
        let n = u128::from(n);
        // The products are below 2^128, because n < 2^40 and x < 2^16. The difference of valid sums is never negative.
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

/// Mean, sum, standard deviation or variance of `n` reals from Σx and Σx² in double-double, with ddof 0.
pub(crate) fn real(op: Reduction, n: u64, sum: Double, squares: Double) -> f64 {
    let n = n as f64;
    match op {
        Reduction::Mean => sum.value() / n,
        Reduction::Var => Double::variance(sum, squares, n),
        Reduction::Std => Double::variance(sum, squares, n).sqrt(),
        Reduction::Sum | Reduction::Min | Reduction::Max => sum.value(),
    }
}
