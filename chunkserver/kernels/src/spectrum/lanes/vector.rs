//! The vectors of each CPU, and the five operations that the transform needs of them.
//!
//! Each operation rounds as IEEE 754 says, so all CPUs give the same bytes. The intrinsics of a wider vector are called through
//! this trait by functions that enable the vector's features and inline everything below them.

use crate::spectrum::group::Row;

/// Some lanes of a [`Row`].
pub(super) trait Vector: Copy {
    /// How many.
    const LANES: usize;
    /// Lanes `part * LANES` and following.
    fn load(row: &Row, part: usize) -> Self;
    fn store(self, row: &mut Row, part: usize);
    fn splat(value: f32) -> Self;
    fn plus(self, other: Self) -> Self;
    fn minus(self, other: Self) -> Self;
    fn times(self, other: Self) -> Self;
    fn sqrt(self) -> Self;
}

#[cfg(target_arch = "x86_64")]
pub(super) type Baseline = std::arch::x86_64::__m128;
#[cfg(not(target_arch = "x86_64"))]
pub(super) type Baseline = [f32; 4];

#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use super::{Row, Vector};
    use std::arch::x86_64::{
        __m128, __m256, __m512, _mm_add_ps, _mm_loadu_ps, _mm_mul_ps, _mm_set1_ps, _mm_sqrt_ps, _mm_storeu_ps, _mm_sub_ps, _mm256_add_ps,
        _mm256_loadu_ps, _mm256_mul_ps, _mm256_set1_ps, _mm256_sqrt_ps, _mm256_storeu_ps, _mm256_sub_ps, _mm512_add_ps, _mm512_loadu_ps,
        _mm512_mul_ps, _mm512_set1_ps, _mm512_sqrt_ps, _mm512_storeu_ps, _mm512_sub_ps,
    };

    macro_rules! vector {
        ($type:ty, $lanes:literal, $load:ident, $store:ident, $splat:ident, $add:ident, $sub:ident, $mul:ident, $sqrt:ident) => {
            impl Vector for $type {
                const LANES: usize = $lanes;
                #[inline(always)]
                fn load(row: &Row, part: usize) -> Self {
                    let lanes: &[f32; $lanes] = &row.0.as_chunks().0[part];
                    // SAFETY: only functions that enable the vector's features use its type, and the array is as long as it.
                    unsafe { $load(lanes.as_ptr()) }
                }
                #[inline(always)]
                fn store(self, row: &mut Row, part: usize) {
                    let lanes: &mut [f32; $lanes] = &mut row.0.as_chunks_mut().0[part];
                    // SAFETY: as for `load`.
                    unsafe { $store(lanes.as_mut_ptr(), self) }
                }
                #[inline(always)]
                fn splat(value: f32) -> Self {
                    // SAFETY: only functions that enable the vector's features use its type.
                    unsafe { $splat(value) }
                }
                #[inline(always)]
                fn plus(self, other: Self) -> Self {
                    // SAFETY: as for `splat`.
                    unsafe { $add(self, other) }
                }
                #[inline(always)]
                fn minus(self, other: Self) -> Self {
                    // SAFETY: as for `splat`.
                    unsafe { $sub(self, other) }
                }
                #[inline(always)]
                fn times(self, other: Self) -> Self {
                    // SAFETY: as for `splat`.
                    unsafe { $mul(self, other) }
                }
                #[inline(always)]
                fn sqrt(self) -> Self {
                    // SAFETY: as for `splat`.
                    unsafe { $sqrt(self) }
                }
            }
        };
    }

    vector!(__m128, 4, _mm_loadu_ps, _mm_storeu_ps, _mm_set1_ps, _mm_add_ps, _mm_sub_ps, _mm_mul_ps, _mm_sqrt_ps);
    vector!(__m256, 8, _mm256_loadu_ps, _mm256_storeu_ps, _mm256_set1_ps, _mm256_add_ps, _mm256_sub_ps, _mm256_mul_ps, _mm256_sqrt_ps);
    vector!(__m512, 16, _mm512_loadu_ps, _mm512_storeu_ps, _mm512_set1_ps, _mm512_add_ps, _mm512_sub_ps, _mm512_mul_ps, _mm512_sqrt_ps);
}

/// For CPUs whose vectors are left to the compiler, and for tests of the others.
impl Vector for [f32; 4] {
    const LANES: usize = 4;
    #[inline(always)]
    fn load(row: &Row, part: usize) -> Self {
        row.0.as_chunks().0[part]
    }
    #[inline(always)]
    fn store(self, row: &mut Row, part: usize) {
        row.0.as_chunks_mut().0[part] = self;
    }
    #[inline(always)]
    fn splat(value: f32) -> Self {
        [value; 4]
    }
    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        std::array::from_fn(|lane| self[lane] + other[lane])
    }
    #[inline(always)]
    fn minus(self, other: Self) -> Self {
        std::array::from_fn(|lane| self[lane] - other[lane])
    }
    #[inline(always)]
    fn times(self, other: Self) -> Self {
        std::array::from_fn(|lane| self[lane] * other[lane])
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        self.map(f32::sqrt)
    }
}
