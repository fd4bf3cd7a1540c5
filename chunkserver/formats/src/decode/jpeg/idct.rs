//! The inverse cosine transform of libjpeg's `jidctint.c`, bit for bit: C. Loeffler, A. Ligtenberg and G. Moschytz, "Practical Fast 1-D DCT
//! Algorithms with 11 Multiplications", 1989.

use super::block::ZIGZAG;

/// Bits after the binary point of the constants, and of values between the two passes.
const CONSTANT_BITS: u32 = 13;
const PASS_BITS: u32 = 2;

type Matrix = [[i32; 8]; 8];

/// The pixels (y, x) of one block, from coefficients (y, x) and a quantization table in the order of the file.
pub(super) fn pixels(block: &[i16; 64], quantization: &[u16; 64]) -> [[u8; 8]; 8] {
    if block[1..] == [0; 63] {
        let value = (i32::from(block[0]).wrapping_mul(i32::from(quantization[0])) << PASS_BITS).wrapping_add(1 << (PASS_BITS + 2));
        return [[level(value >> (PASS_BITS + 3)); 8]; 8];
    }
    let mut values: Matrix = [[0; 8]; 8];
    for (&place, &factor) in ZIGZAG.iter().zip(quantization) {
        values[place / 8][place % 8] = i32::from(block[place]).wrapping_mul(i32::from(factor));
    }
    columns(&mut values, CONSTANT_BITS - PASS_BITS);
    let mut rows = transposed(&values);
    columns(&mut rows, CONSTANT_BITS + PASS_BITS + 3);
    transposed(&rows).map(|row| row.map(level))
}

fn level(value: i32) -> u8 {
    value.saturating_add(128).clamp(0, 255) as u8
}

fn transposed(values: &Matrix) -> Matrix {
    std::array::from_fn(|y| std::array::from_fn(|x| values[x][y]))
}

/// Transforms each column. The sums are shifted to the right by `shift` bits, and rounded. The compiler vectorizes the loop.
#[inline(always)]
#[expect(clippy::needless_range_loop, reason = "a column is an index of eight rows")]
fn columns(values: &mut Matrix, shift: u32) {
    let mul = |value: i32, constant: i32| value.wrapping_mul(constant);
    let add = |a: i32, b: i32| a.wrapping_add(b);
    let rounded = |value: i32| value.wrapping_add(1 << (shift - 1)) >> shift;
    for x in 0..8 {
        let c = |y: usize| values[y][x];
        // Even part.
        let z1 = mul(add(c(2), c(6)), 4433);
        let (t2, t3) = (add(z1, mul(c(6), -15137)), add(z1, mul(c(2), 6270)));
        let (t0, t1) = (add(c(0), c(4)) << CONSTANT_BITS, c(0).wrapping_sub(c(4)) << CONSTANT_BITS);
        let even = [add(t0, t3), add(t1, t2), t1.wrapping_sub(t2), t0.wrapping_sub(t3)];
        // Odd part.
        let (z1, z2, z3, z4) = (add(c(7), c(1)), add(c(5), c(3)), add(c(7), c(3)), add(c(5), c(1)));
        let z5 = mul(add(z3, z4), 9633);
        let (z1, z2) = (mul(z1, -7373), mul(z2, -20995));
        let (z3, z4) = (add(mul(z3, -16069), z5), add(mul(z4, -3196), z5));
        let odd = [
            add(mul(c(1), 12299), add(z1, z4)),
            add(mul(c(3), 25172), add(z2, z3)),
            add(mul(c(5), 16819), add(z2, z4)),
            add(mul(c(7), 2446), add(z1, z3)),
        ];
        for y in 0..4 {
            values[y][x] = rounded(add(even[y], odd[y]));
            values[7 - y][x] = rounded(even[y].wrapping_sub(odd[y]));
        }
    }
}
