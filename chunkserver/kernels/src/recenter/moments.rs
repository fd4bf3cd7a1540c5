//! The sum and the first moments of a frame in one pass, from row sums and column sums.
//!
//! A pass adds four rows at a time. Each pixel is added to the sum of its row and of its column, in the narrowest type that holds the sums,
//! so that one vector holds many pixels. The weights `i` and `j` are multiplied once per row and once per column.

use super::first_heavy;
use crate::cpu::by_cpu;
use crate::pixel::{Pixel, Whole};
use api::geometry::FrameSpec;
use std::ops::AddAssign;

/// Rows of one step. A step reads and writes the column sums once.
const ROWS: usize = 4;
/// Partial sums of a row.
const LANES: usize = 64;

/// An integer pixel, and the type of its narrow sums.
pub(super) trait Weight: Whole {
    /// The narrowest type that holds the sum of [`MOST`](Self::MOST) pixels.
    type Narrow: Copy + Default + AddAssign + Into<u64>;
    /// Largest number of pixels in a sum of type `Narrow`; a multiple of [`ROWS`].
    const MOST: usize;
    fn narrow(self) -> Self::Narrow;
    /// The pixel of a value that fits.
    fn of(value: u32) -> Self;
}

impl Weight for u8 {
    type Narrow = u16;
    // 256 * 255 < 2^16.
    const MOST: usize = 256;
    #[inline(always)]
    fn narrow(self) -> u16 {
        self.into()
    }
    fn of(value: u32) -> Self {
        value as Self
    }
}

impl Weight for u16 {
    type Narrow = u32;
    // 65536 * 65535 < 2^32.
    const MOST: usize = 65536;
    #[inline(always)]
    fn narrow(self) -> u32 {
        self.into()
    }
    fn of(value: u32) -> Self {
        value as Self
    }
}

/// Σi·v, Σj·v and Σv over rows i and columns j, exact. The sum of 2⁴⁸ uint16 pixels is below 2⁶⁴; the moments have 128 bits.
pub(super) fn whole<P: Weight>(
    frame: &[u8],
    spec: FrameSpec,
    threshold: Option<f64>,
    narrow: &mut Vec<P::Narrow>,
    wide: &mut Vec<u64>,
) -> (u128, u128, u64) {
    let Some(first_heavy) = first_heavy(P::LARGEST, threshold) else { return (0, 0, 0) };
    narrow.clear();
    narrow.resize(spec.width, P::Narrow::default());
    wide.clear();
    wide.resize(spec.width, 0);
    let (mut y, mut total) = (0_u128, 0_u64);
    let mut row = 0;
    for rows in P::cast(frame).chunks((P::MOST * spec.width).max(1)) {
        for rows in rows.chunks(ROWS * spec.width) {
            let mut sums = [0; ROWS];
            let count = rows.len() / spec.width;
            let row_at = |i: usize| &rows[i * spec.width..][..spec.width];
            if count == ROWS {
                rows_and_columns::<P, ROWS>(&std::array::from_fn(row_at), P::of(first_heavy), narrow, &mut sums);
            } else {
                for i in 0..count {
                    rows_and_columns::<P, 1>(&[row_at(i)], P::of(first_heavy), narrow, &mut sums[i..]);
                }
            }
            for sum in &sums[..count] {
                y += row as u128 * u128::from(*sum);
                total += *sum;
                row += 1;
            }
        }
        for (wide, narrow) in wide.iter_mut().zip(narrow.iter_mut()) {
            *wide += std::mem::take(narrow).into();
        }
    }
    let x = wide.iter().enumerate().map(|(column, sum)| column as u128 * u128::from(*sum)).sum();
    (y, x, total)
}

by_cpu! {
    fn rows_and_columns[P: Weight, const R: usize](rows: &[&[P::Bytes]; R], first_heavy: P, columns: &mut [P::Narrow], sums: &mut [u64]) {
        let weigh = |bytes: P::Bytes| {
            let pixel = P::from_le(bytes);
            if pixel < first_heavy { P::default().narrow() } else { pixel.narrow() }
        };
        let width = columns.len();
        // Each partial sum takes one of 64 pixels.
        for stretch in (0..width).step_by(LANES * P::MOST) {
            let end = (stretch + LANES * P::MOST).min(width);
            let (columns, rest) = columns[stretch..end].as_chunks_mut::<LANES>();
            let rows: [&[P::Bytes]; R] = std::array::from_fn(|i| &rows[i][stretch..end]);
            let full: [&[[P::Bytes; LANES]]; R] = std::array::from_fn(|i| &rows[i].as_chunks().0[..columns.len()]);
            let mut lanes = [[P::Narrow::default(); LANES]; R];
            for (chunk, columns) in columns.iter_mut().enumerate() {
                for i in 0..R {
                    for lane in 0..LANES {
                        let value = weigh(full[i][chunk][lane]);
                        columns[lane] += value;
                        lanes[i][lane] += value;
                    }
                }
            }
            for i in 0..R {
                for (bytes, column) in rows[i].as_chunks::<LANES>().1.iter().zip(&mut *rest) {
                    let value = weigh(*bytes);
                    *column += value;
                    sums[i] += value.into();
                }
                for lane in lanes[i] {
                    sums[i] += lane.into();
                }
            }
        }
    }
}

/// Σi·v, Σj·v and Σv over rows i and columns j, in float64.
pub(super) fn real(frame: &[u8], spec: FrameSpec, threshold: Option<f64>, columns: &mut Vec<f64>) -> (f64, f64, f64) {
    columns.clear();
    columns.resize(spec.width, 0.0);
    // A pixel has weight unless it is below the threshold. NaN is not below, and nothing is below NaN.
    let threshold = threshold.map_or(f64::NEG_INFINITY, |threshold| if threshold.is_nan() { f64::NEG_INFINITY } else { threshold });
    let (mut y, mut total) = (0.0, 0.0);
    for (row, pixels) in f32::cast(frame).chunks_exact(spec.width.max(1)).enumerate() {
        let sum = real_row(pixels, threshold, columns);
        y += row as f64 * sum;
        total += sum;
    }
    let x = columns.iter().enumerate().map(|(column, sum)| column as f64 * sum).sum();
    (y, x, total)
}

by_cpu! {
    fn real_row(row: &[[u8; 4]], threshold: f64, columns: &mut [f64]) -> f64 {
        // Sixteen partial sums on every CPU, so that every CPU adds in the same order.
        let mut lanes = [0.0; 16];
        let weigh = |bytes: [u8; 4]| {
            let value = f64::from(f32::from_le_bytes(bytes));
            if value < threshold { 0.0 } else { value }
        };
        let (rows, rest) = row.as_chunks::<16>();
        let (columns, columns_rest) = columns.as_chunks_mut::<16>();
        for (pixels, columns) in rows.iter().zip(columns) {
            for lane in 0..16 {
                let value = weigh(pixels[lane]);
                columns[lane] += value;
                lanes[lane] += value;
            }
        }
        for ((bytes, column), lane) in rest.iter().zip(columns_rest).zip(&mut lanes) {
            let value = weigh(*bytes);
            *column += value;
            *lane += value;
        }
        lanes.iter().sum()
    }
}
