//! Blocks of frames: the pixels of one band are cut out of frames, (t, pixel) in C order, and pasted into a tile.

use std::ops::Range;

/// Cuts bytes `columns` out of each frame, and appends them to `block`. `frames` holds frames of `frame_bytes` bytes, one after another.
/// The result is C order, `[frame][column]`.
///
/// # Panics
/// When `frame_bytes` is 0 or `columns` exceed a frame: bugs of the caller.
///
/// ```
/// // Two frames of four uint8 pixels; the block has pixels 1 and 2.
/// let mut block = Vec::new();
/// kernels::cut::cut_block(&[0, 1, 2, 3, 10, 11, 12, 13], 4, 1..3, &mut block);
/// assert_eq!(block, [1, 2, 11, 12]);
/// ```
pub fn cut_block(frames: &[u8], frame_bytes: usize, columns: Range<usize>, block: &mut Vec<u8>) {
    for frame in frames.chunks_exact(frame_bytes) {
        block.extend_from_slice(&frame[columns.clone()]);
    }
}

/// Copies the first `row_bytes` bytes of each row of `from` to `to`. The rows of `from` lie `stride` bytes apart, those of `to` one after
/// another.
///
/// # Panics
/// When `row_bytes` is 0 or `from` has fewer rows than `to`: bugs of the caller.
///
/// ```
/// let mut block = [0; 4];
/// kernels::cut::paste_block(&[1, 2, 3, 11, 12, 13], 3, &mut block, 2);
/// assert_eq!(block, [1, 2, 11, 12]);
/// ```
pub fn paste_block(from: &[u8], stride: usize, to: &mut [u8], row_bytes: usize) {
    for (index, row) in to.chunks_exact_mut(row_bytes).enumerate() {
        row.copy_from_slice(&from[index * stride..][..row_bytes]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{ArrayView2, s};

    #[test]
    fn a_block_is_a_slice_of_columns() {
        let frames: Vec<u8> = (0..60).collect();
        let mut block = Vec::new();
        cut_block(&frames, 20, 4..9, &mut block);
        let expected = ArrayView2::from_shape((3, 20), &frames).unwrap().slice(s![.., 4..9]).to_owned();
        assert_eq!(block, expected.into_raw_vec_and_offset().0);
        let mut pasted = vec![0; 15];
        paste_block(&frames[4..], 20, &mut pasted, 5);
        assert_eq!(pasted, block);
    }
}
