//! The three element types of frames: bytes in, typed pixels out.

use api::geometry::Dtype;
use std::fmt::Debug;

/// An element type of frames. Frames are little endian and have no alignment: a frame may start at any byte of a response.
///
/// ```
/// use kernels::pixel::Pixel;
///
/// let frame = [0x01, 0x02, 0xff, 0x00];
/// let pixels: Vec<u16> = u16::cast(&frame).iter().map(|bytes| <u16 as Pixel>::from_le(*bytes)).collect();
/// assert_eq!(pixels, [0x0201, 0x00ff]);
/// assert_eq!(Pixel::to_le(0x0201_u16), [0x01, 0x02]);
/// // As numpy.minimum and numpy.maximum, NaN is kept.
/// assert_eq!(3.0_f32.least(2.0), 2.0);
/// assert!(3.0_f32.most(f32::NAN).is_nan());
/// ```
pub trait Pixel: bytemuck::Pod + Send + Sync + PartialOrd + Debug + Default + 'static {
    /// The element type as a value.
    const DTYPE: Dtype;
    /// A pixel as it lies in memory, alignment 1.
    type Bytes: bytemuck::Pod + Send + Sync;

    /// The pixel in `bytes`.
    fn from_le(bytes: Self::Bytes) -> Self;
    /// The bytes of the pixel.
    fn to_le(self) -> Self::Bytes;
    /// The value, exact.
    fn to_f64(self) -> f64;
    /// The value, exact: integer pixels have at most 16 bits.
    fn to_f32(self) -> f32;
    /// The smaller value; NaN if one is NaN, as [`numpy.minimum`](https://numpy.org/doc/stable/reference/generated/numpy.minimum.html).
    fn least(self, other: Self) -> Self;
    /// The larger value; NaN if one is NaN, as [`numpy.maximum`](https://numpy.org/doc/stable/reference/generated/numpy.maximum.html).
    fn most(self, other: Self) -> Self;
    /// The neutral element of [`least`](Self::least).
    const LEAST_OF_NONE: Self;
    /// The neutral element of [`most`](Self::most).
    const MOST_OF_NONE: Self;

    /// The pixels of a frame, to be read with [`from_le`](Self::from_le).
    ///
    /// # Panics
    /// When the length of `frame` is no multiple of the pixel size: a bug of the caller.
    fn cast(frame: &[u8]) -> &[Self::Bytes] {
        bytemuck::cast_slice(frame)
    }
}

macro_rules! pixel {
    ($type:ty, $dtype:ident, none: $least_of_none:ident, $most_of_none:ident, least: $least:expr, most: $most:expr) => {
        impl Pixel for $type {
            const DTYPE: Dtype = Dtype::$dtype;
            type Bytes = [u8; size_of::<$type>()];
            const LEAST_OF_NONE: Self = Self::$least_of_none;
            const MOST_OF_NONE: Self = Self::$most_of_none;

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
                $least(self, other)
            }
            #[inline(always)]
            fn most(self, other: Self) -> Self {
                $most(self, other)
            }
        }
    };
}

pixel!(u8, Uint8, none: MAX, MIN, least: Ord::min, most: Ord::max);
pixel!(u16, Uint16, none: MAX, MIN, least: Ord::min, most: Ord::max);
pixel!(f32, Float32, none: INFINITY, NEG_INFINITY, least: least_f32, most: most_f32);

// `f32::min` and `f32::max` drop a NaN, which NumPy keeps.
#[inline(always)]
fn least_f32(a: f32, b: f32) -> f32 {
    if b < a || b.is_nan() { b } else { a }
}

#[inline(always)]
fn most_f32(a: f32, b: f32) -> f32 {
    if b > a || b.is_nan() { b } else { a }
}

/// An integer pixel.
///
/// ```
/// use kernels::pixel::Whole;
///
/// assert_eq!((u8::LARGEST, u16::LARGEST), (255, 65_535));
/// assert_eq!(7_u16.to_u32(), 7);
/// ```
pub trait Whole: Pixel {
    /// The largest value.
    const LARGEST: u32;
    /// The value, exact.
    fn to_u32(self) -> u32;
}

macro_rules! whole {
    ($type:ty) => {
        impl Whole for $type {
            const LARGEST: u32 = <$type>::MAX as u32;
            #[inline(always)]
            fn to_u32(self) -> u32 {
                self.into()
            }
        }
    };
}

whole!(u8);
whole!(u16);

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
