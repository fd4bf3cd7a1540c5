//! Frames in, the pixels of one band out, (t, pixel) in C order; and back. Pure.

use std::ops::Range;

/// Cuts the bytes `columns` out of each frame of `frames` (frames of `frame_bytes`, one after another).
pub fn cut_block(frames: &[u8], frame_bytes: usize, columns: Range<usize>) -> Vec<u8> {
    let mut block = Vec::with_capacity(frames.len() / frame_bytes.max(1) * columns.len());
    for frame in frames.chunks_exact(frame_bytes) {
        block.extend_from_slice(&frame[columns.clone()]);
    }
    block
}

/// Pastes rows that lie `stride` bytes apart in `from` one after another into `to`.
pub fn paste_block(from: &[u8], stride: usize, to: &mut [u8], row_bytes: usize) {
    for (index, row) in to.chunks_exact_mut(row_bytes).enumerate() {
        row.copy_from_slice(&from[index * stride..][..row_bytes]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_pastes_back() {
        let frames: Vec<u8> = (0..60).collect();
        let block = cut_block(&frames, 20, 4..9);
        assert_eq!(block, [4, 5, 6, 7, 8, 24, 25, 26, 27, 28, 44, 45, 46, 47, 48]);
        let mut again = vec![0; 15];
        paste_block(&frames[4..], 20, &mut again, 5);
        assert_eq!(again, block);
    }
}
