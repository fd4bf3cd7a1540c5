//! The vectors of each CPU, and the operations on them that the transform needs.
//!
//! Each operation rounds as IEEE 754 prescribes, so all CPUs compute the same bytes. A vector is created only with the proof that the
//! CPU has its registers; an operation on an existing vector needs no second proof. Callers enable the vector's features and inline
//! everything below them, so that each operation is one instruction.

use crate::spectrum::group::Row;

/// Some lanes of a [`Row`].
pub(super) trait Vector: Copy {
    /// What proves that the CPU has these vectors.
    type Proof: Copy;
    /// The number of lanes.
    const LANES: usize;
    /// Lanes `part * LANES` and following.
    fn load(proof: Self::Proof, row: &Row, part: usize) -> Self;
    /// The same value in each lane.
    fn splat(proof: Self::Proof, value: f32) -> Self;
    /// As [`splat`](Self::splat), in a vector like `self`, which is the proof.
    fn splat_like(self, value: f32) -> Self;
    fn store(self, row: &mut Row, part: usize);
    fn plus(self, other: Self) -> Self;
    fn minus(self, other: Self) -> Self;
    fn times(self, other: Self) -> Self;
    fn sqrt(self) -> Self;
}

#[cfg(not(target_arch = "x86_64"))]
pub(super) type Baseline = [f32; 4];
#[cfg(target_arch = "x86_64")]
pub(super) use x86_64::{F32x4 as Baseline, F32x8, F32x16};

#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use super::{Row, Vector};
    use crate::cpu::{Avx2, Avx512};
    use std::arch::x86_64::{
        __m128, __m256, __m512, _mm_add_ps, _mm_loadu_ps, _mm_mul_ps, _mm_set1_ps, _mm_sqrt_ps, _mm_storeu_ps, _mm_sub_ps, _mm256_add_ps,
        _mm256_loadu_ps, _mm256_mul_ps, _mm256_set1_ps, _mm256_sqrt_ps, _mm256_storeu_ps, _mm256_sub_ps, _mm512_add_ps, _mm512_loadu_ps,
        _mm512_mul_ps, _mm512_set1_ps, _mm512_sqrt_ps, _mm512_storeu_ps, _mm512_sub_ps,
    };

    macro_rules! vector {
        (
            $(#[$doc:meta])*
            $name:ident($type:ty), $proof:ty, $lanes:literal,
            $load:ident, $store:ident, $splat:ident, $add:ident, $sub:ident, $mul:ident, $sqrt:ident
        ) => {
            $(#[$doc])*
            #[derive(Clone, Copy)]
            pub(in super::super) struct $name($type);

            impl Vector for $name {
                type Proof = $proof;
                const LANES: usize = $lanes;
                #[inline(always)]
                fn load(_proof: $proof, row: &Row, part: usize) -> Self {
                    let lanes: &[f32; $lanes] = &row.0.as_chunks().0[part];
                    // SAFETY: the proof shows that the CPU has the instruction, which reads `$lanes` values from an array of `$lanes`.
                    Self(unsafe { $load(lanes.as_ptr()) })
                }
                #[inline(always)]
                fn splat(_proof: $proof, value: f32) -> Self {
                    // SAFETY: the proof shows that the CPU has the instruction.
                    Self(unsafe { $splat(value) })
                }
                #[inline(always)]
                fn splat_like(self, value: f32) -> Self {
                    // SAFETY: `self` was created with the proof, so the CPU has the instruction.
                    Self(unsafe { $splat(value) })
                }
                #[inline(always)]
                fn store(self, row: &mut Row, part: usize) {
                    let lanes: &mut [f32; $lanes] = &mut row.0.as_chunks_mut().0[part];
                    // SAFETY: `self` was created with the proof, and the instruction writes `$lanes` values to an array of `$lanes`.
                    unsafe { $store(lanes.as_mut_ptr(), self.0) }
                }
                #[inline(always)]
                fn plus(self, other: Self) -> Self {
                    // SAFETY: `self` was created with the proof, so the CPU has the instruction.
                    Self(unsafe { $add(self.0, other.0) })
                }
                #[inline(always)]
                fn minus(self, other: Self) -> Self {
                    // SAFETY: `self` was created with the proof, so the CPU has the instruction.
                    Self(unsafe { $sub(self.0, other.0) })
                }
                #[inline(always)]
                fn times(self, other: Self) -> Self {
                    // SAFETY: `self` was created with the proof, so the CPU has the instruction.
                    Self(unsafe { $mul(self.0, other.0) })
                }
                #[inline(always)]
                fn sqrt(self) -> Self {
                    // SAFETY: `self` was created with the proof, so the CPU has the instruction.
                    Self(unsafe { $sqrt(self.0) })
                }
            }
        };
    }

    vector! {
        /// SSE2, which every x86-64 CPU has: no proof is needed.
        F32x4(__m128), (), 4,
        _mm_loadu_ps, _mm_storeu_ps, _mm_set1_ps, _mm_add_ps, _mm_sub_ps, _mm_mul_ps, _mm_sqrt_ps
    }
    vector! {
        /// AVX2.
        F32x8(__m256), Avx2, 8,
        _mm256_loadu_ps, _mm256_storeu_ps, _mm256_set1_ps, _mm256_add_ps, _mm256_sub_ps, _mm256_mul_ps, _mm256_sqrt_ps
    }
    vector! {
        /// AVX-512.
        F32x16(__m512), Avx512, 16,
        _mm512_loadu_ps, _mm512_storeu_ps, _mm512_set1_ps, _mm512_add_ps, _mm512_sub_ps, _mm512_mul_ps, _mm512_sqrt_ps
    }
}

/// For CPUs whose vectors the compiler chooses, and the reference in tests of the others.
impl Vector for [f32; 4] {
    type Proof = ();
    const LANES: usize = 4;
    #[inline(always)]
    fn load(_proof: (), row: &Row, part: usize) -> Self {
        row.0.as_chunks().0[part]
    }
    #[inline(always)]
    fn store(self, row: &mut Row, part: usize) {
        row.0.as_chunks_mut().0[part] = self;
    }
    #[inline(always)]
    fn splat(_proof: (), value: f32) -> Self {
        [value; 4]
    }
    #[inline(always)]
    fn splat_like(self, value: f32) -> Self {
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
