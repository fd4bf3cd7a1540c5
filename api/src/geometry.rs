//! Where things are: element types, frame and array shapes, and the arithmetic on them, in pure integers.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::Range;

/// The element type of a frame's pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dtype {
    /// 8 bits, unsigned.
    Uint8,
    /// 16 bits, unsigned, little endian in memory and on the wire.
    Uint16,
    /// IEEE 754 single precision, little endian in memory and on the wire.
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

    /// Whether sums over elements are exact integers.
    pub const fn is_integer(self) -> bool {
        !matches!(self, Self::Float32)
    }

    /// The name in NumPy and in the manifest.
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

/// The element type of any array that readers see, results included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Element {
    /// `uint8`
    Uint8,
    /// `uint16`
    Uint16,
    /// `uint64`: exact sums of integers.
    Uint64,
    /// `int32`: offsets.
    Int32,
    /// `float32`
    Float32,
    /// `float64`: means, centroids.
    Float64,
    /// `complex64`: two float32, real part first.
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

    /// NumPy's type string, little endian, as files of NumPy and metadata of Zarr v2 have it.
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
    /// As in `2000×1000 uint8`: height first, as the shape is written.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}×{} {}", self.height, self.width, self.dtype)
    }
}

/// Cuts `0..total` into runs of `size`; the last one may be shorter. A `size` of 0 gives nothing.
pub fn cut(total: usize, size: usize) -> impl ExactSizeIterator<Item = Range<usize>> + Clone {
    let count = if size == 0 { 0 } else { total.div_ceil(size) };
    (0..count).map(move |i| i * size..((i + 1) * size).min(total))
}

/// The share of `total` things that falls to `index` of `count` owners: contiguous, in order, sizes differing by one at most.
///
/// # Panics
/// When `count` is 0 or `index` is not below it: a bug of the caller.
pub fn share(total: usize, count: usize, index: usize) -> Range<usize> {
    assert!(index < count, "owner {index} of {count}");
    // u128: total * (index + 1) may pass 2^64 for absurd but representable inputs.
    let at = |i: usize| ((total as u128 * i as u128) / count as u128) as usize;
    at(index)..at(index + 1)
}

/// The owner of thing `item` under [`share`].
///
/// # Panics
/// When `item` is not below `total`: a bug of the caller.
pub fn owner(total: usize, count: usize, item: usize) -> usize {
    assert!(item < total, "item {item} of {total}");
    let guess = ((item as u128 * count as u128) / total as u128) as usize;
    // The floor in `share` can put the item one owner further than the quotient says.
    (guess..count).find(|&i| share(total, count, i).contains(&item)).unwrap_or(count - 1)
}

/// Place number `number` of a grid of so many places along each axis, in C order: the last axis runs first.
pub fn position(mut number: usize, grid: &[usize]) -> Vec<usize> {
    let mut position = grid.to_vec();
    for place in position.iter_mut().rev() {
        let size = *place;
        *place = number % size;
        number /= size;
    }
    position
}

/// The overlap of two ranges, empty (`start == end`) when they do not meet.
pub fn intersect(a: &Range<usize>, b: &Range<usize>) -> Range<usize> {
    let start = a.start.max(b.start);
    start..a.end.min(b.end).max(start)
}

/// Bytes as people read them: `9.4 GiB`, `512 B`.
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
        fn cuts_partition(total in 0usize..500, size in 1usize..60) {
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
    fn bytes_read_well() {
        assert_eq!(human_bytes(512), "512 B");
        assert_eq!(human_bytes(10 * 1024 * 1024 * 1024), "10.0 GiB");
    }
}
