//! Cuts the block of a band that a peer requests.

use crate::share::Share;
use journal::Kind;
use kernels::cut::cut_block;

/// The block that a peer requests: the pixels of band `band` in `frames` of this server, (t, pixel) in C order. `None` unless the frames are
/// ready.
pub(crate) fn own_block(share: &Share, band: usize, frames: std::ops::Range<usize>) -> Option<Vec<u8>> {
    let item = share.plan.partition.stack.dtype.size();
    let pixels = share.plan.band(band);
    let bytes = share.stack.read(frames)?;
    let task = share.journal.begin(Kind::Gather, band);
    let block = cut_block(bytes, share.plan.partition.stack.bytes(), pixels.start * item..pixels.end * item);
    task.done(block.len() as u64);
    Some(block)
}
