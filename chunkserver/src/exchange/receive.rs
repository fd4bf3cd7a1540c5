//! Puts the pieces of a block together, and compares the checksum of each row.

use super::piece::{CHECKSUM, TRAILER};
use api::digest::FrameDigest;
use kernels::checksum::row_checksum;
use std::ops::Range;
use transport::client::PullError;

/// A block that arrives in pieces.
pub(super) struct Receiver<'a, P> {
    /// The rows, (t, pixel) in C order.
    into: &'a mut [u8],
    row_bytes: usize,
    /// Bytes behind the rows of a piece for each frame; 0 if the sender is of an earlier version.
    trailer_bytes: usize,
    /// The first frame of the sender, as a number in the job.
    first: usize,
    /// Later pieces: ranges of frames from `first`.
    pieces: P,
    /// Frames of the current piece.
    piece: Range<usize>,
    /// Received bytes of the rows of all pieces.
    filled: usize,
    /// Received bytes behind the rows of the current piece.
    trailer: Vec<u8>,
}

impl<'a, P: Iterator<Item = Range<usize>>> Receiver<'a, P> {
    pub(super) fn new(into: &'a mut [u8], row_bytes: usize, checked: bool, first: usize, mut pieces: P) -> Self {
        let piece = pieces.next().unwrap_or_default();
        let trailer_bytes = if checked { TRAILER } else { 0 };
        Self { into, row_bytes, trailer_bytes, first, pieces, piece, filled: 0, trailer: Vec::new() }
    }

    /// Takes the next bytes of the response. `learn` gets the digest of each frame whose row is complete and correct.
    pub(super) fn take(&mut self, mut bytes: &[u8], mut learn: impl FnMut(FrameDigest)) -> Result<(), PullError> {
        while !bytes.is_empty() {
            let end = self.piece.end * self.row_bytes;
            if self.filled < end {
                let (rows, rest) = bytes.split_at(bytes.len().min(end - self.filled));
                self.into[self.filled..self.filled + rows.len()].copy_from_slice(rows);
                self.filled += rows.len();
                bytes = rest;
            } else if self.piece.is_empty() {
                return Err(PullError::Length { found: self.filled + bytes.len(), expected: self.into.len() });
            }
            let trailer = self.piece.len() * self.trailer_bytes;
            let (part, rest) = bytes.split_at(bytes.len().min(trailer - self.trailer.len()));
            if self.filled == end {
                self.trailer.extend_from_slice(part);
                bytes = rest;
                if self.trailer.len() == trailer {
                    self.end_piece(&mut learn)?;
                }
            }
        }
        Ok(())
    }

    /// Compares the rows of a complete piece.
    fn end_piece(&mut self, learn: &mut impl FnMut(FrameDigest)) -> Result<(), PullError> {
        let frames = self.piece.len();
        if self.trailer_bytes > 0 {
            let rows = self.into[self.piece.start * self.row_bytes..].chunks_exact(self.row_bytes);
            let (checksums, digests) = self.trailer.split_at(frames * CHECKSUM);
            let (checksums, _) = checksums.as_chunks::<CHECKSUM>();
            let (digests, _) = digests.as_chunks::<8>();
            for (((index, row), checksum), digest) in self.piece.clone().zip(rows).zip(checksums).zip(digests) {
                let frame = self.first + index;
                if row_checksum(row) != u32::from_le_bytes(*checksum) {
                    return Err(PullError::Checksum { frame });
                }
                let digest = u64::from_le_bytes(*digest);
                if digest != 0 {
                    learn(FrameDigest { frame, digest });
                }
            }
        }
        self.trailer.clear();
        self.piece = self.pieces.next().unwrap_or(self.piece.end..self.piece.end);
        Ok(())
    }

    /// The end of the response. Returns the bytes of the rows.
    pub(super) fn end(self) -> Result<usize, PullError> {
        if self.filled == self.into.len() && self.piece.is_empty() {
            Ok(self.filled)
        } else {
            Err(PullError::Length { found: self.filled, expected: self.into.len() })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ROW: usize = 5;

    /// A block of `frames` frames in pieces of `each` frames, and its form on the network.
    fn block(frames: usize, each: usize) -> (Vec<u8>, Vec<u8>) {
        let rows: Vec<u8> = (0..frames * ROW).map(|byte| (byte * 7) as u8).collect();
        let mut sent = Vec::new();
        for piece in api::geometry::cut(frames, each) {
            let rows = &rows[piece.start * ROW..piece.end * ROW];
            sent.extend_from_slice(rows);
            sent.extend(rows.chunks_exact(ROW).flat_map(|row| row_checksum(row).to_le_bytes()));
            sent.extend(piece.flat_map(|frame| (frame as u64 + 1).to_le_bytes()));
        }
        (rows, sent)
    }

    fn receive(sent: &[u8], frames: usize, each: usize, chunk: usize, checked: bool) -> Result<(Vec<u8>, Vec<FrameDigest>), PullError> {
        let (mut into, mut learned) = (vec![0; frames * ROW], Vec::new());
        let mut receiver = Receiver::new(&mut into, ROW, checked, 100, api::geometry::cut(frames, each));
        for bytes in sent.chunks(chunk) {
            receiver.take(bytes, |digest| learned.push(digest))?;
        }
        assert_eq!(receiver.end()?, frames * ROW);
        Ok((into, learned))
    }

    proptest! {
        #[test]
        fn a_block_arrives_whatever_the_size_of_chunks(frames in 1usize..40, each in 1usize..9, chunk in 1usize..50) {
            let (rows, sent) = block(frames, each);
            let (into, learned) = receive(&sent, frames, each, chunk, true).unwrap();
            prop_assert_eq!(&into, &rows);
            let expected: Vec<FrameDigest> = (0..frames).map(|frame| FrameDigest { frame: 100 + frame, digest: frame as u64 + 1 }).collect();
            prop_assert_eq!(learned, expected);
            // A sender of an earlier version sends rows alone.
            prop_assert_eq!(receive(&rows, frames, each, chunk, false).unwrap().0, rows);
        }

        #[test]
        fn a_flipped_bit_and_a_wrong_length_are_errors(frames in 1usize..20, each in 1usize..9, chunk in 1usize..50, at in 0usize..100_000) {
            let (_, sent) = block(frames, each);
            // A bit of a row or of a checksum. A digest has no checksum: a wrong digest fails the job as a changed source.
            let (piece, frame) = (at % frames / each * each, at % frames);
            let of_piece = piece * (ROW + TRAILER);
            let in_piece = (frame - piece) * ROW + at % ROW;
            let mut damaged = sent.clone();
            damaged[of_piece + in_piece] ^= 1 << (at % 8);
            let error = receive(&damaged, frames, each, chunk, true).unwrap_err();
            prop_assert!(matches!(error, PullError::Checksum { frame: found } if found == 100 + frame), "{}", error);
            for wrong in [&sent[..at % sent.len()], &[&sent[..], &[0]].concat()] {
                let error = receive(wrong, frames, each, chunk, true).unwrap_err();
                prop_assert!(matches!(error, PullError::Length { .. }), "{}", error);
            }
        }
    }
}
