//! Bytes of frames come in, typed pixels go out: the three element types that a frame can have.

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
