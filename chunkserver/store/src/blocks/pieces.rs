//! Which sectors of a file contain selected bytes of frames. Pure functions.

use super::layout::BlockLayout;
use crate::direct::ALIGNMENT;
use std::ops::Range;

/// Bytes that are read at a time.
pub const READ_BYTES: usize = 4 << 20;

/// Whole rows are read instead of one part a frame, if the parts are more than this fraction of the rows.
const SPARSE: usize = 8;

/// Bytes of consecutive frames of one block in one band, which one read returns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// Position of the first sector in the file, in bytes.
    pub(super) offset: u64,
    /// Position of the first selected byte within the sectors.
    first: usize,
    /// Distance of two frames, in bytes.
    row_bytes: usize,
    frames: Range<usize>,
    /// The selected bytes of each frame.
    bytes: Range<usize>,
}

impl Piece {
    /// Selected bytes of a read, and unselected bytes between them.
    const fn length(&self) -> usize {
        (self.frames.end - self.frames.start - 1) * self.row_bytes + self.bytes.end - self.bytes.start
    }

    /// Bytes of all sectors.
    pub(super) const fn sectors(&self) -> usize {
        (self.first + self.length()).next_multiple_of(ALIGNMENT)
    }

    /// Copies the selected bytes from the sectors to `to`, which holds bytes `bytes` of frames `frames` in C order.
    pub(super) fn copy(&self, sectors: &[u8], frames: &Range<usize>, bytes: &Range<usize>, to: &mut [u8]) {
        for (index, frame) in self.frames.clone().enumerate() {
            let from = self.first + index * self.row_bytes;
            let at = (frame - frames.start) * bytes.len() + self.bytes.start - bytes.start;
            to[at..at + self.bytes.len()].copy_from_slice(&sectors[from..from + self.bytes.len()]);
        }
    }
}

impl BlockLayout {
    /// The reads that return bytes `bytes` of each of `frames`.
    pub(super) fn pieces(&self, frames: &Range<usize>, bytes: &Range<usize>) -> impl Iterator<Item = Piece> {
        let (layout, frames, bytes) = (*self, frames.clone(), bytes.clone());
        let blocks = if bytes.is_empty() { 0..0 } else { layout.blocks_of(&frames) };
        blocks.flat_map(move |block| {
            let of_block = layout.frames_of(block);
            let frames = frames.start.max(of_block.start)..frames.end.min(of_block.end);
            layout.parts(bytes.clone()).flat_map(move |part| layout.runs(frames.clone(), part))
        })
    }

    /// `bytes`, cut at bands and at the size of a read.
    fn parts(self, bytes: Range<usize>) -> impl Iterator<Item = Range<usize>> {
        let mut start = bytes.start;
        std::iter::from_fn(move || {
            let end = ((start / self.row_bytes + 1) * self.row_bytes).min(start + READ_BYTES).min(bytes.end);
            let part = (start < end).then_some(start..end);
            start = end;
            part
        })
    }

    /// Frames of one block, as many at once as one read returns. `bytes` lies in one band.
    fn runs(self, frames: Range<usize>, bytes: Range<usize>) -> impl Iterator<Item = Piece> {
        let row = self.row(bytes.start / self.row_bytes).len();
        let is_sparse = bytes.len() * SPARSE < row && row > ALIGNMENT;
        let at_once = if is_sparse { 1 } else { (READ_BYTES / row).max(1) };
        frames.clone().step_by(at_once).map(move |first| self.piece(first..frames.end.min(first + at_once), bytes.clone()))
    }

    fn piece(self, frames: Range<usize>, bytes: Range<usize>) -> Piece {
        let band = bytes.start / self.row_bytes;
        let (rows, row) = (self.rows_in_block(&frames, band), self.row(band));
        let start = rows.start + bytes.start - row.start;
        let sector = start / ALIGNMENT * ALIGNMENT;
        let offset = self.offset_of(self.block_of(frames.start)) + sector as u64;
        Piece { offset, first: start - sector, row_bytes: row.len(), frames, bytes }
    }
}
