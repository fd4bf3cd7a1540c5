//! Noise that depends on a seed and a position alone.

/// 0 up to `from`, 1 from `to` on, and a smooth cubic between them (smoothstep).
pub(super) fn smooth_step(from: f64, to: f64, x: f64) -> f64 {
    let t = ((x - from) / (to - from)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// Value noise from 0 to 1 that varies over a distance of 1: the hashes of the four grid points around (y, x), blended.
pub(super) fn smooth_noise(seed: u64, y: f64, x: f64) -> f64 {
    let grid = |y: f64, x: f64| (hash(hash(seed, y as i64 as u64), x as i64 as u64) >> 11) as f64 / (1u64 << 53) as f64;
    let (top, left) = (y.floor(), x.floor());
    let (down, right) = (smooth_step(0.0, 1.0, y - top), smooth_step(0.0, 1.0, x - left));
    let row = |y: f64| grid(y, left) * (1.0 - right) + grid(y, left + 1.0) * right;
    row(top) * (1.0 - down) + row(top + 1.0) * down
}

/// A well-mixed number for each pair (splitmix64, <https://prng.di.unimi.it/splitmix64.c>).
pub(super) fn hash(seed: u64, index: u64) -> u64 {
    let mut z = seed.wrapping_add(index.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
