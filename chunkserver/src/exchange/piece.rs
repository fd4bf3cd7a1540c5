//! The form of a block on the network: pieces of consecutive frames, in order. A piece holds the rows of its frames, (t, pixel) in C order,
//! then for each frame the checksum of its row (4 bytes), then for each frame the digest of the frame (8 bytes), little endian.

use api::geometry::cut;
use std::ops::Range;

/// Bytes of the rows of a piece that this server requests: large enough for few iterations, small enough for the memory of several peers.
pub(crate) const PIECE_BYTES: usize = 256 << 10;

/// Bytes of a checksum.
pub(super) const CHECKSUM: usize = 4;

/// Bytes behind the rows of a piece, for each frame.
pub(super) const TRAILER: usize = CHECKSUM + 8;

/// The pieces of a block, each of at most `piece_bytes` bytes or one frame: the ranges of `frames` frames whose rows have `row_bytes` bytes.
pub(crate) fn pieces(frames: usize, row_bytes: usize, piece_bytes: usize) -> impl Iterator<Item = Range<usize>> {
    cut(frames, (piece_bytes / row_bytes.max(1)).max(1))
}
