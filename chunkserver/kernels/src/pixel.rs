//! Bytes of frames come in, typed pixels go out: the three element types that a frame can have, and how a kernel is built for each CPU.

use api::geometry::Dtype;
use std::fmt::Debug;

/// An element type of frames. Frames are little endian and need no alignment: a frame may start anywhere in a response's body.
pub trait Pixel: bytemuck::Pod + Send + Sync + PartialOrd + Debug + Default + 'static {
    /// The same type as a value.
    const DTYPE: Dtype;
    /// The type as it lies in memory, alignment 1.
    type Bytes: bytemuck::Pod + Send + Sync;

    /// One pixel from its bytes.
    fn from_le(bytes: Self::Bytes) -> Self;
    /// One pixel to its bytes.
    fn to_le(self) -> Self::Bytes;
    /// The value, exactly.
    fn to_f64(self) -> f64;
    /// The value, exactly: integers here have at most 16 bits.
    fn to_f32(self) -> f32;
    /// The smaller value; NaN if either is.
    fn least(self, other: Self) -> Self;
    /// The larger value; NaN if either is.
    fn most(self, other: Self) -> Self;
    /// What [`least`](Self::least) leaves unchanged.
    const LEAST_OF_NONE: Self;
    /// What [`most`](Self::most) leaves unchanged.
    const MOST_OF_NONE: Self;

    /// The pixels of a frame, to be read with [`from_le`](Self::from_le).
    ///
    /// # Panics
    /// When `frame` is no whole number of pixels: a bug of the caller.
    fn cast(frame: &[u8]) -> &[Self::Bytes] {
        bytemuck::cast_slice(frame)
    }
}

macro_rules! integer {
    ($type:ty, $dtype:ident) => {
        impl Pixel for $type {
            const DTYPE: Dtype = Dtype::$dtype;
            type Bytes = [u8; size_of::<$type>()];
            const LEAST_OF_NONE: Self = Self::MAX;
            const MOST_OF_NONE: Self = Self::MIN;

            #[inline(always)]
            fn from_le(bytes: Self::Bytes) -> Self {
                Self::from_le_bytes(bytes)
            }
            #[inline(always)]
            fn to_le(self) -> Self::Bytes {
                self.to_le_bytes()
            }
            #[inline(always)]
            fn to_f64(self) -> f64 {
                f64::from(self)
            }
            #[inline(always)]
            fn to_f32(self) -> f32 {
                f32::from(self)
            }
            #[inline(always)]
            fn least(self, other: Self) -> Self {
                self.min(other)
            }
            #[inline(always)]
            fn most(self, other: Self) -> Self {
                self.max(other)
            }
        }

        impl Whole for $type {
            const LARGEST: u32 = <$type>::MAX as u32;
            #[inline(always)]
            fn to_u32(self) -> u32 {
                self.into()
            }
        }
    };
}

/// An integer pixel.
pub trait Whole: Pixel {
    /// The largest pixel.
    const LARGEST: u32;
    /// The value, exactly.
    fn to_u32(self) -> u32;
}

integer!(u8, Uint8);
integer!(u16, Uint16);

impl Pixel for f32 {
    const DTYPE: Dtype = Dtype::Float32;
    type Bytes = [u8; 4];
    const LEAST_OF_NONE: Self = Self::INFINITY;
    const MOST_OF_NONE: Self = Self::NEG_INFINITY;

    #[inline(always)]
    fn from_le(bytes: Self::Bytes) -> Self {
        Self::from_le_bytes(bytes)
    }
    #[inline(always)]
    fn to_le(self) -> Self::Bytes {
        self.to_le_bytes()
    }
    #[inline(always)]
    fn to_f64(self) -> f64 {
        f64::from(self)
    }
    #[inline(always)]
    fn to_f32(self) -> f32 {
        self
    }
    // `f32::min` drops a NaN where NumPy keeps it.
    #[inline(always)]
    fn least(self, other: Self) -> Self {
        if other < self || other.is_nan() { other } else { self }
    }
    #[inline(always)]
    fn most(self, other: Self) -> Self {
        if other > self || other.is_nan() { other } else { self }
    }
}

/// Runs an expression with a type name bound to the pixel type of a [`Dtype`]: `for_dtype!(dtype, P => kernel::<P>(frame))`.
macro_rules! for_dtype {
    ($dtype:expr, $P:ident => $body:expr) => {
        match $dtype {
            api::geometry::Dtype::Uint8 => {
                type $P = u8;
                $body
            }
            api::geometry::Dtype::Uint16 => {
                type $P = u16;
                $body
            }
            api::geometry::Dtype::Float32 => {
                type $P = f32;
                $body
            }
        }
    };
}
pub(crate) use for_dtype;

/// Compiles a kernel three times, for AVX-512, for AVX2 and for any CPU, and calls the best that this CPU has. One body, and Rust
/// neither reorders nor contracts floating-point arithmetic, so all three give the same bytes.
///
/// ```text
/// by_cpu! { fn name[P: Trait, const N: usize](argument: Type) -> Type { body } }
/// ```
macro_rules! by_cpu {
    (@type ($($decl:tt)*) ($($use:tt)*) $name:ident ($($arg:ident: $type:ty),*) -> $ret:ty, $body:block) => {
        fn $name<$($decl)*>($($arg: $type),*) -> $ret {
            // The body must land inside the functions below to get their features.
            #[inline(always)]
            fn body<$($decl)*>($($arg: $type),*) -> $ret $body
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx2,bmi1,bmi2")]
                fn avx512<$($decl)*>($($arg: $type),*) -> $ret {
                    body::<$($use)*>($($arg),*)
                }
                #[target_feature(enable = "avx2,bmi1,bmi2")]
                fn avx2<$($decl)*>($($arg: $type),*) -> $ret {
                    body::<$($use)*>($($arg),*)
                }
                match crate::pixel::Cpu::here() {
                    // SAFETY: `Cpu::here` found the features.
                    crate::pixel::Cpu::Avx512 => return unsafe { avx512::<$($use)*>($($arg),*) },
                    // SAFETY: `Cpu::here` found the features.
                    crate::pixel::Cpu::Avx2 => return unsafe { avx2::<$($use)*>($($arg),*) },
                    crate::pixel::Cpu::Any => {}
                }
            }
            body::<$($use)*>($($arg),*)
        }
    };
    (fn $name:ident[$P:ident: $bound:path, const $K:ident: usize] ($($arg:ident: $type:ty),* $(,)?) $(-> $ret:ty)? $body:block) => {
        crate::pixel::by_cpu! { @type ($P: $bound, const $K: usize) ($P, $K) $name ($($arg: $type),*) -> crate::pixel::by_cpu!(@ret $($ret)?), $body }
    };
    (fn $name:ident[$P:ident: $bound:path] ($($arg:ident: $type:ty),* $(,)?) $(-> $ret:ty)? $body:block) => {
        crate::pixel::by_cpu! { @type ($P: $bound) ($P) $name ($($arg: $type),*) -> crate::pixel::by_cpu!(@ret $($ret)?), $body }
    };
    (fn $name:ident ($($arg:ident: $type:ty),* $(,)?) $(-> $ret:ty)? $body:block) => {
        crate::pixel::by_cpu! { @type () () $name ($($arg: $type),*) -> crate::pixel::by_cpu!(@ret $($ret)?), $body }
    };
    (@ret $ret:ty) => { $ret };
    (@ret) => { () };
}
pub(crate) use by_cpu;

/// What this CPU can do, as far as the kernels care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cpu {
    /// 512-bit vectors and 32 registers.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// 256-bit vectors.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// What the target promises: SSE2 or NEON.
    Any,
}

impl Cpu {
    /// Asks the CPU; the standard library remembers the answer.
    #[inline]
    pub(crate) fn here() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("bmi1") && is_x86_feature_detected!("bmi2");
            if avx2
                && is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512dq")
            {
                return Self::Avx512;
            }
            if avx2 {
                return Self::Avx2;
            }
        }
        Self::Any
    }
}
