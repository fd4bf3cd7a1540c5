//! Element types, shapes of frames and arrays, and integer arithmetic on ranges.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::Range;

/// The element type of a frame's pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dtype {
    /// 8 bits, unsigned.
    Uint8,
    /// 16 bits, unsigned; little endian in memory and on the network.
    Uint16,
    /// IEEE 754 single precision; little endian in memory and on the network.
    Float32,
}

impl Dtype {
    /// Bytes of one element.
    pub const fn size(self) -> usize {
        match self {
            Self::Uint8 => 1,
            Self::Uint16 => 2,
            Self::Float32 => 4,
        }
    }

    /// Whether sums of elements are exact integers.
    pub const fn is_integer(self) -> bool {
        match self {
            Self::Uint8 | Self::Uint16 => true,
            Self::Float32 => false,
        }
    }

    /// The name in NumPy and in the manifest, for example `uint8`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Uint8 => "uint8",
            Self::Uint16 => "uint16",
            Self::Float32 => "float32",
        }
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The element type of an array that readers see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Element {
    /// `uint8`
    Uint8,
    /// `uint16`
    Uint16,
    /// `uint64`: exact sums of integers.
    Uint64,
    /// `int32`: corners of crops.
    Int32,
    /// `float32`
    Float32,
    /// `float64`: means, centroids.
    Float64,
    /// `complex64`: two float32, the real part first.
    Complex64,
}

impl Element {
    /// Bytes of one element.
    pub const fn size(self) -> usize {
        match self {
            Self::Uint8 => 1,
            Self::Uint16 => 2,
            Self::Int32 | Self::Float32 => 4,
            Self::Uint64 | Self::Float64 | Self::Complex64 => 8,
        }
    }

    /// The name in NumPy and in Zarr v3.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Uint8 => "uint8",
            Self::Uint16 => "uint16",
            Self::Uint64 => "uint64",
            Self::Int32 => "int32",
            Self::Float32 => "float32",
            Self::Float64 => "float64",
            Self::Complex64 => "complex64",
        }
    }

    /// Most characters of one element in CSV or JSON, with the separators of up to three axes: floats in the shortest form that parses to
    /// the same value.
    pub const fn text_bytes(self) -> usize {
        const SEPARATORS: usize = 5;
        SEPARATORS
            + match self {
                Self::Uint8 => 3,
                Self::Uint16 => 5,
                Self::Uint64 => 20,
                Self::Int32 => 11,
                // -1234567900000000.0
                Self::Float32 => 19,
                // -2.2250738585072014e-308
                Self::Float64 => 24,
                // [re,im]
                Self::Complex64 => 41,
            }
    }

    /// Whether elements are real numbers, so that they have an order and reductions.
    pub const fn is_real(self) -> bool {
        match self {
            Self::Uint8 | Self::Uint16 | Self::Uint64 | Self::Int32 | Self::Float32 | Self::Float64 => true,
            Self::Complex64 => false,
        }
    }

    /// NumPy's type string, little endian, for NPY files and Zarr v2 metadata:
    /// <https://numpy.org/doc/stable/reference/arrays.interface.html>.
    pub const fn type_string(self) -> &'static str {
        match self {
            Self::Uint8 => "|u1",
            Self::Uint16 => "<u2",
            Self::Uint64 => "<u8",
            Self::Int32 => "<i4",
            Self::Float32 => "<f4",
            Self::Float64 => "<f8",
            Self::Complex64 => "<c8",
        }
    }
}

impl From<Dtype> for Element {
    fn from(dtype: Dtype) -> Self {
        match dtype {
            Dtype::Uint8 => Self::Uint8,
            Dtype::Uint16 => Self::Uint16,
            Dtype::Float32 => Self::Float32,
        }
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Height, width and element type of one frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FrameSpec {
    /// Rows, in pixels.
    pub height: usize,
    /// Columns, in pixels.
    pub width: usize,
    /// Element type.
    pub dtype: Dtype,
}

impl FrameSpec {
    /// Pixels of one frame.
    pub const fn pixels(&self) -> usize {
        self.height * self.width
    }

    /// Bytes of one frame.
    pub const fn bytes(&self) -> usize {
        self.pixels() * self.dtype.size()
    }
}

impl fmt::Display for FrameSpec {
    /// Height first, for example `2000×1000 uint8`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}×{} {}", self.height, self.width, self.dtype)
    }
}

/// Cuts `0..total` into runs of `size`. The last run may be shorter. A `size` of 0 gives no runs.
pub fn cut(total: usize, size: usize) -> impl ExactSizeIterator<Item = Range<usize>> + Clone {
    let count = if size == 0 { 0 } else { total.div_ceil(size) };
    (0..count).map(move |i| i * size..((i + 1) * size).min(total))
}

/// The share of owner `index` of `count` owners in `total` items. Shares are contiguous, in order, and differ in size by at most one item.
///
/// # Panics
/// If `index` is not less than `count`: a bug of the caller.
pub fn share(total: usize, count: usize, index: usize) -> Range<usize> {
    assert!(index < count, "owner {index} of {count}");
    // u128: total * (index + 1) may exceed 64 bits.
    let at = |i: usize| ((total as u128 * i as u128) / count as u128) as usize;
    at(index)..at(index + 1)
}

/// The owner of `item`, the inverse of [`share`].
///
/// # Panics
/// If `item` is not less than `total`: a bug of the caller.
pub fn owner(total: usize, count: usize, item: usize) -> usize {
    assert!(item < total, "item {item} of {total}");
    let guess = ((item as u128 * count as u128) / total as u128) as usize;
    // `share` rounds down, so that the owner may be one further than the quotient.
    (guess..count).find(|&i| share(total, count, i).contains(&item)).unwrap_or(count - 1)
}

/// The index along each axis of cell `number` in a grid, in C order: the last axis changes fastest. `grid` is the number of cells along
/// each axis.
pub fn position(mut number: usize, grid: &[usize]) -> Vec<usize> {
    let mut position = grid.to_vec();
    for index in position.iter_mut().rev() {
        let size = *index;
        *index = number % size;
        number /= size;
    }
    position
}

/// The intersection of two ranges; empty (`start == end`) if they do not overlap.
pub fn intersect(a: &Range<usize>, b: &Range<usize>) -> Range<usize> {
    let start = a.start.max(b.start);
    start..a.end.min(b.end).max(start)
}

/// A number of bytes with a binary unit: `9.4 GiB`, `512 B`.
pub fn human_bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn shares_partition_and_owner_agrees(total in 0usize..500, count in 1usize..40) {
            let mut next = 0;
            for index in 0..count {
                let range = share(total, count, index);
                prop_assert_eq!(range.start, next);
                prop_assert!(range.len() <= total.div_ceil(count));
                prop_assert!(range.len() >= total / count);
                for item in range.clone() {
                    prop_assert_eq!(owner(total, count, item), index);
                }
                next = range.end;
            }
            prop_assert_eq!(next, total);
        }

        #[test]
        fn runs_of_a_cut_partition_the_total(total in 0usize..500, size in 1usize..60) {
            let mut next = 0;
            for range in cut(total, size) {
                prop_assert_eq!(range.start, next);
                prop_assert!(!range.is_empty() && range.len() <= size);
                next = range.end;
            }
            prop_assert_eq!(next, total);
        }
    }

    #[test]
    fn bytes_have_a_unit_of_their_size() {
        assert_eq!(human_bytes(512), "512 B");
        assert_eq!(human_bytes(10 * 1024 * 1024 * 1024), "10.0 GiB");
    }
}
