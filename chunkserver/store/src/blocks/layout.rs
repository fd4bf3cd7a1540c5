//! Where the bytes of frames lie in a file of blocks: (block, band, frame, byte of the row). Pure functions.

use crate::direct::ALIGNMENT;
use std::ops::Range;

/// The sizes of frames, bands and blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockLayout {
    /// Number of frames.
    pub frames: usize,
    /// Bytes of a frame.
    pub frame_bytes: usize,
    /// Bytes of a frame in one band. The last band may have fewer.
    pub row_bytes: usize,
    /// Frames of a block. The last block may have fewer.
    pub at_once: usize,
}

impl BlockLayout {
    /// Bands of a frame.
    pub const fn bands(&self) -> usize {
        self.frame_bytes.div_ceil(self.row_bytes)
    }

    /// Number of blocks.
    pub const fn blocks(&self) -> usize {
        self.frames.div_ceil(self.at_once)
    }

    /// The block of a frame.
    pub const fn block_of(&self, frame: usize) -> usize {
        frame / self.at_once
    }

    /// The blocks that contain `frames`.
    pub fn blocks_of(&self, frames: &Range<usize>) -> Range<usize> {
        if frames.is_empty() { 0..0 } else { self.block_of(frames.start)..self.block_of(frames.end - 1) + 1 }
    }

    /// The frames of a block.
    pub fn frames_of(&self, block: usize) -> Range<usize> {
        block * self.at_once..((block + 1) * self.at_once).min(self.frames)
    }

    /// The bytes of a frame that belong to a band.
    pub fn row(&self, band: usize) -> Range<usize> {
        band * self.row_bytes..((band + 1) * self.row_bytes).min(self.frame_bytes)
    }

    /// Bytes of a block with all its frames: whole sectors.
    pub const fn block_bytes(&self) -> usize {
        (self.at_once * self.frame_bytes).next_multiple_of(ALIGNMENT)
    }

    /// Bytes of a block that are written. The last block may have fewer frames.
    pub(super) fn written_bytes(&self, block: usize) -> usize {
        (self.frames_of(block).len() * self.frame_bytes).next_multiple_of(ALIGNMENT)
    }

    /// Bytes of the file.
    pub fn file_bytes(&self) -> usize {
        self.blocks().checked_sub(1).map_or(0, |last| last * self.block_bytes() + self.written_bytes(last))
    }

    /// Position of a block in the file, in bytes.
    pub(super) const fn offset_of(&self, block: usize) -> u64 {
        block as u64 * self.block_bytes() as u64
    }

    /// The bytes, within a block, of the rows of consecutive frames of the block in one band.
    pub(super) fn rows_in_block(&self, frames: &Range<usize>, band: usize) -> Range<usize> {
        let of_block = self.frames_of(self.block_of(frames.start));
        let row = self.row(band).len();
        let start = of_block.len() * band * self.row_bytes + (frames.start - of_block.start) * row;
        start..start + frames.len() * row
    }

    /// Copies a frame to the buffer of its block.
    pub(super) fn scatter(&self, frame: usize, bytes: &[u8], block: &mut [u8]) {
        for band in 0..self.bands() {
            block[self.rows_in_block(&(frame..frame + 1), band)].copy_from_slice(&bytes[self.row(band)]);
        }
    }
}
