//! The inverse cosine transform of libjpeg's `jidctint.c`, bit for bit: C. Loeffler, A. Ligtenberg and G. Moschytz, "Practical Fast 1-D DCT
//! Algorithms with 11 Multiplications", 1989.

use super::block::ZIGZAG;

/// Bits after the binary point of the constants, and of values between the two passes.
const CONSTANT_BITS: u32 = 13;
const PASS_BITS: u32 = 2;

/// The pixels (y, x) of one block, from coefficients (y, x) and a quantization table in the order of the file.
pub(super) fn pixels(block: &[i16; 64], quantization: &[u16; 64]) -> [u8; 64] {
    let mut values = [0_i32; 64];
    for (&place, &factor) in ZIGZAG.iter().zip(quantization) {
        values[place] = i32::from(block[place]).wrapping_mul(i32::from(factor));
    }
    for x in 0..8 {
        let column = transform(std::array::from_fn(|y| values[8 * y + x]), CONSTANT_BITS - PASS_BITS);
        (0..8).for_each(|y| values[8 * y + x] = column[y]);
    }
    let mut pixels = [0; 64];
    for (row, out) in values.as_chunks::<8>().0.iter().zip(pixels.as_chunks_mut::<8>().0) {
        *out = transform(*row, CONSTANT_BITS + PASS_BITS + 3).map(|value| value.saturating_add(128).clamp(0, 255) as u8);
    }
    pixels
}

/// The transform of one row or column. The sums are shifted to the right by `shift` bits, and rounded.
fn transform(c: [i32; 8], shift: u32) -> [i32; 8] {
    let mul = |value: i32, constant: i32| value.wrapping_mul(constant);
    let add = |a: i32, b: i32| a.wrapping_add(b);
    // Even part.
    let z1 = mul(add(c[2], c[6]), 4433);
    let (t2, t3) = (add(z1, mul(c[6], -15137)), add(z1, mul(c[2], 6270)));
    let (t0, t1) = (add(c[0], c[4]) << CONSTANT_BITS, c[0].wrapping_sub(c[4]) << CONSTANT_BITS);
    let even = [add(t0, t3), add(t1, t2), t1.wrapping_sub(t2), t0.wrapping_sub(t3)];
    // Odd part.
    let (z1, z2, z3, z4) = (add(c[7], c[1]), add(c[5], c[3]), add(c[7], c[3]), add(c[5], c[1]));
    let z5 = mul(add(z3, z4), 9633);
    let (z1, z2) = (mul(z1, -7373), mul(z2, -20995));
    let (z3, z4) = (add(mul(z3, -16069), z5), add(mul(z4, -3196), z5));
    let odd = [
        add(mul(c[1], 12299), add(z1, z4)),
        add(mul(c[3], 25172), add(z2, z3)),
        add(mul(c[5], 16819), add(z2, z4)),
        add(mul(c[7], 2446), add(z1, z3)),
    ];
    let rounded = |value: i32| value.wrapping_add(1 << (shift - 1)) >> shift;
    std::array::from_fn(|i| if i < 4 { rounded(add(even[i], odd[i])) } else { rounded(even[7 - i].wrapping_sub(odd[7 - i])) })
}
