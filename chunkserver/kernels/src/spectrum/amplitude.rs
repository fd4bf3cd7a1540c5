//! Amplitudes whose squares float32 does not hold: of float32 frames with very large or very small values.

use super::GROUP;
use super::group::Row;

/// Amplitudes above this value, or not finite, may come from squares that overflow. 2⁶⁰; squares of float32 overflow at 2⁶⁴.
const LARGE: f32 = (1_u64 << 60) as f32;
/// Amplitudes below this value may come from squares that lose digits. 2⁻⁶⁰; squares become subnormal at 2⁻⁶³.
const SMALL: f32 = 1.0 / LARGE;
/// If the largest amplitude of a pixel is above this value, 2⁻³⁶, an amplitude below [`SMALL`] is below the rounding of the transform.
const SMALL_PIXEL: f32 = 1.0 / (1_u64 << 36) as f32;

/// √(re² + im²). In float32 if the squares fit, otherwise in float64.
pub(super) fn amplitude(re: f32, im: f32) -> f32 {
    let found = (re * re + im * im).sqrt();
    if (SMALL..=LARGE).contains(&found) || found == 0.0 && re == 0.0 && im == 0.0 {
        return found;
    }
    let (re, im) = (f64::from(re), f64::from(im));
    (re * re + im * im).sqrt() as f32
}

/// Whether the amplitudes of a pixel must be computed again by [`amplitude`]. `lane` is the pixel in the transformed `rows`.
pub(super) fn is_extreme(amplitudes: &[f32], rows: &[Row], lane: usize) -> bool {
    // NaN is not above `LARGE`: it comes from a pixel that is NaN or infinite, and stays.
    let largest = amplitudes.iter().fold(0.0_f32, |largest, &value| largest.max(value));
    largest > LARGE || (largest < SMALL_PIXEL && rows.iter().any(|row| row.0[lane] != 0.0))
}

/// Writes the amplitudes of the complex `bins` (pairs of rows: real, imaginary) of pixel `lane` to `out`.
pub(super) fn write(bins: &[Row], lane: usize, out: &mut [f32]) {
    debug_assert!(lane < GROUP, "a lane of a group");
    for (out, [re, im]) in out.iter_mut().zip(bins.as_chunks().0) {
        *out = amplitude(re.0[lane], im.0[lane]);
    }
}
