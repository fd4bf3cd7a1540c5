//! Transpose of `[row][pixel]` into `[pixel][row]`.

use super::GROUP;
use super::group::Row;
#[cfg(target_arch = "x86_64")]
use crate::cpu::{Cpu, vector_fn};

/// Rows of a block that is transposed in registers.
const BLOCK: usize = 8;

/// Writes the first columns of `from` one after another, until `to` is full.
///
/// # Panics
/// When the length of `to` is no multiple of a column: a bug of the caller.
pub(super) fn transpose(from: &[Row], to: &mut [f32]) {
    assert!(to.len() <= GROUP * from.len() && to.len().is_multiple_of(from.len()), "the columns have a wrong length");
    #[cfg(target_arch = "x86_64")]
    if to.len() == GROUP * from.len()
        && let Some(proof) = Cpu::detect().avx2()
    {
        return avx2(proof, from, to);
    }
    columns(from, to, 0);
}

/// Transposes the rows from `first` on, on any CPU.
fn columns(from: &[Row], to: &mut [f32], first: usize) {
    let rows = from.len();
    for (block, chunk) in from[first..].chunks(BLOCK).enumerate() {
        for (lane, to) in to.chunks_exact_mut(rows).enumerate() {
            let to = &mut to[first + block * BLOCK..][..chunk.len()];
            for (to, from) in to.iter_mut().zip(chunk) {
                *to = from.0[lane];
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
vector_fn! {
    Avx2: fn avx2[][](_proof; from: &[Row], to: &mut [f32]) -> () {
        use std::arch::x86_64::{
            _mm256_castpd_ps, _mm256_castps_pd, _mm256_loadu_ps, _mm256_permute2f128_ps, _mm256_storeu_ps, _mm256_unpackhi_pd,
            _mm256_unpackhi_ps, _mm256_unpacklo_pd, _mm256_unpacklo_ps,
        };
        let rows = from.len();
        assert_eq!(to.len(), GROUP * rows, "the columns have a wrong length");
        let (blocks, rest) = from.as_chunks::<BLOCK>();
        for (block, from) in blocks.iter().enumerate() {
            for half in 0..GROUP / BLOCK {
                // SAFETY: each row has 16 values, and eight are read from `half * 8` on, which is at most 8.
                let row = |i: usize| unsafe { _mm256_loadu_ps(from[i].0.as_ptr().add(half * BLOCK)) };
                let (low, high) =
                    (|a: usize, b: usize| _mm256_unpacklo_ps(row(a), row(b)), |a: usize, b: usize| _mm256_unpackhi_ps(row(a), row(b)));
                // Lanes 0, 1, 4, 5 of pairs of rows, then lanes 2, 3, 6, 7.
                let pairs = [[low(0, 1), low(2, 3), low(4, 5), low(6, 7)], [high(0, 1), high(2, 3), high(4, 5), high(6, 7)]];
                for (i, [a, b, c, d]) in pairs.into_iter().enumerate() {
                    let [a, b, c, d] = [_mm256_castps_pd(a), _mm256_castps_pd(b), _mm256_castps_pd(c), _mm256_castps_pd(d)];
                    let quads = [
                        (_mm256_castpd_ps(_mm256_unpacklo_pd(a, b)), _mm256_castpd_ps(_mm256_unpacklo_pd(c, d))),
                        (_mm256_castpd_ps(_mm256_unpackhi_pd(a, b)), _mm256_castpd_ps(_mm256_unpackhi_pd(c, d))),
                    ];
                    for (j, (upper, lower)) in quads.into_iter().enumerate() {
                        let lane = half * BLOCK + 2 * i + j;
                        let columns =
                            [(lane, _mm256_permute2f128_ps::<0x20>(upper, lower)), (lane + 4, _mm256_permute2f128_ps::<0x31>(upper, lower))];
                        for (lane, column) in columns {
                            // SAFETY: lane < 16 and block * 8 + 8 <= rows, so the eight values lie within the 16 columns of `to`, whose
                            // length is asserted above.
                            unsafe { _mm256_storeu_ps(to.as_mut_ptr().add(lane * rows + block * BLOCK), column) };
                        }
                    }
                }
            }
        }
        columns(from, to, rows - rest.len());
    }
}
