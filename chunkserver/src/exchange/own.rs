//! Cuts the pieces of a block that a peer requests.

use super::piece::TRAILER;
use crate::share::{Share, columns};
use journal::Kind;
use kernels::cut::cut_block;
use std::ops::Range;
use store::Frames;
use thiserror::Error;

/// What a peer requests beside the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Checks {
    /// Nothing: a server of an earlier version.
    None,
    /// Checksums and digests.
    Send,
    /// As [`Self::Send`], after this server has compared its rows with the checksums: the peer received a damaged row before.
    Compare,
}

/// Why a piece cannot be cut.
#[derive(Debug, Error)]
pub(crate) enum OwnError {
    #[error("the frames are no longer in memory")]
    NotReady,
    #[error("the scratch disk of this server cannot be read")]
    Disk(#[from] store::Error),
    #[error("frame {frame} was damaged in the memory or on the scratch disk of this server")]
    Damaged {
        /// The number of the frame in the job.
        frame: usize,
    },
}

/// A piece of the block of `band`: the rows of `frames`, which count from the first frame of this server, and what [`Checks`] adds.
pub(crate) fn own_piece(share: &Share, band: usize, frames: Range<usize>, checks: Checks) -> Result<Vec<u8>, OwnError> {
    let columns = columns(&share.plan.partition, band);
    let row = columns.len();
    if !share.stack.all_ready(&frames) {
        return Err(OwnError::NotReady);
    }
    let task = share.journal.begin(Kind::Gather, band);
    let trailer = if checks == Checks::None { 0 } else { TRAILER };
    let mut piece = Vec::with_capacity(frames.len() * (row + trailer));
    match &share.stack {
        Frames::Memory(stack) => {
            let bytes = stack.read(frames.clone()).ok_or(OwnError::NotReady)?;
            cut_block(bytes, share.plan.partition.stack.bytes(), columns, &mut piece);
        }
        Frames::Disk(blocks) => {
            piece.resize(frames.len() * row, 0);
            blocks.read_frames(frames.clone(), &columns, &mut piece)?;
        }
    }
    if let Some(checksums) = share.row_checksums.as_ref().filter(|_| checks != Checks::None) {
        if checks == Checks::Compare
            && let Some(frame) = checksums.first_damaged(frames.clone(), band, &piece, row, row)
        {
            task.failed(0);
            return Err(OwnError::Damaged { frame: share.frames().start + frame });
        }
        piece.extend(frames.clone().flat_map(|frame| checksums.get(frame, band).to_le_bytes()));
        // Every loaded frame has a digest.
        let digest = |frame| share.frame_digests.get(share.frames().start + frame).unwrap_or_default();
        piece.extend(frames.clone().flat_map(|frame| digest(frame).to_le_bytes()));
    }
    task.done((frames.len() * row) as u64);
    Ok(piece)
}
