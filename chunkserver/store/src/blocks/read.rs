//! Reads frames back from the blocks of a scratch file.

use super::Blocks;
use super::pieces::{Piece, READ_BYTES};
use crate::direct::{ALIGNMENT, read};
use crate::{Error, Mapping};
use std::ops::Range;
use std::sync::{Condvar, Mutex, PoisonError};

/// Reads at a time. Each has a buffer, which a later read gets.
pub const READ_BUFFERS: usize = 4;
/// Reads that the disk gets at a time.
const READ_THREADS: usize = 8;
/// A thread with fewer reads costs more than it saves.
const FEWEST_READS: usize = 8;

/// Memory for reads: whole sectors, which are used again.
#[derive(Debug)]
pub struct ReadBuffer(Mapping);

impl ReadBuffer {
    /// For reads of up to `bytes` bytes.
    ///
    /// # Errors
    /// When the system refuses the memory.
    pub fn new(bytes: usize) -> Result<Self, Error> {
        // The first and the last byte may lie within a sector.
        Mapping::new(bytes.next_multiple_of(ALIGNMENT) + ALIGNMENT, None).map(Self)
    }

    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        self.0.as_slice()
    }
}

/// The buffers of reads.
#[derive(Debug)]
pub(super) struct ReadBuffers {
    /// The buffers that no read has; `None` for one that is not allocated yet.
    idle: Mutex<Vec<Option<ReadBuffer>>>,
    returned: Condvar,
}

/// A buffer that returns at the end of its read.
struct Lent<'a> {
    /// `None` after the end.
    buffer: Option<ReadBuffer>,
    of: &'a ReadBuffers,
}

impl Default for ReadBuffers {
    fn default() -> Self {
        Self { idle: Mutex::new((0..READ_BUFFERS).map(|_| None).collect()), returned: Condvar::new() }
    }
}

impl ReadBuffers {
    /// Waits until another read ends, if all buffers are lent.
    fn take(&self) -> Result<Lent<'_>, Error> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let mut idle = self.returned.wait_while(idle, |idle| idle.is_empty()).unwrap_or_else(PoisonError::into_inner);
        let mut lent = Lent { buffer: idle.pop().flatten(), of: self };
        drop(idle);
        if lent.buffer.is_none() {
            lent.buffer = Some(ReadBuffer::new(READ_BYTES)?);
        }
        Ok(lent)
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        self.of.idle.lock().unwrap_or_else(PoisonError::into_inner).push(self.buffer.take());
        self.of.returned.notify_one();
    }
}

impl Blocks {
    /// Bytes of a [`ReadBuffer`] for [`read_band`](Self::read_band).
    pub fn band_buffer_bytes(&self) -> usize {
        let layout = &self.layout;
        layout.blocks() * ((layout.at_once * layout.row_bytes).next_multiple_of(ALIGNMENT) + ALIGNMENT)
    }

    /// Reads the rows of all frames in one band. Returns, in the order of frames, the position of the rows of each block in `buffer`, and the
    /// number of its frames. Rows of a block lie one after another. All frames must be ready.
    ///
    /// # Errors
    /// When the disk refuses the read.
    ///
    /// # Panics
    /// When the buffer is too small: a bug of the caller.
    pub fn read_band(&self, band: usize, buffer: &mut ReadBuffer) -> Result<Vec<(usize, usize)>, Error> {
        let mut at = 0;
        let of_block = |block: usize| {
            let frames = self.layout.frames_of(block);
            let (rows, end) = self.read_rows(&frames, band, buffer, at)?;
            at = end;
            Ok((rows.start, frames.len()))
        };
        (0..self.layout.blocks()).map(of_block).collect()
    }

    /// Reads bytes `bytes` of each of the consecutive frames `frames`, which are ready, into `to`, in C order (frame, byte).
    ///
    /// # Errors
    /// When the disk refuses the read, or the system refuses memory.
    ///
    /// # Panics
    /// When `to` has a wrong size: a bug of the caller.
    pub fn read_frames(&self, frames: Range<usize>, bytes: &Range<usize>, to: &mut [u8]) -> Result<(), Error> {
        let layout = &self.layout;
        let mut all = layout.pieces(&frames, bytes).peekable();
        let mut lent = self.read_buffers.take()?;
        let Some(buffer) = &mut lent.buffer else { return Ok(()) };
        while all.peek().is_some() {
            // As many pieces as the buffer holds.
            let (mut some, mut used) = (Vec::new(), 0);
            while let Some(piece) = all.next_if(|piece| some.is_empty() || used + piece.sectors() <= READ_BYTES) {
                used += piece.sectors();
                some.push(piece);
            }
            self.read_pieces(&some, &mut buffer.0.as_mut_slice()[..used])?;
            let mut read = buffer.as_slice();
            for piece in some {
                let (of_piece, rest) = read.split_at(piece.sectors());
                read = rest;
                piece.copy(of_piece, &frames, bytes, to);
            }
        }
        Ok(())
    }

    /// Reads the sectors of pieces into `to`, one piece after another. Many pieces are read by several threads: a disk is slow if one read waits
    /// for another.
    fn read_pieces(&self, pieces: &[Piece], to: &mut [u8]) -> Result<(), Error> {
        let each = pieces.len().div_ceil(READ_THREADS).max(FEWEST_READS);
        let mut rest = to;
        let mut parts = pieces.chunks(each).map(|some| {
            let (own, behind) = std::mem::take(&mut rest).split_at_mut(some.iter().map(Piece::sectors).sum());
            rest = behind;
            (some, own)
        });
        let read_all = |(pieces, mut to): (&[Piece], &mut [u8])| {
            for piece in pieces {
                let (own, behind) = to.split_at_mut(piece.sectors());
                read(&self.file, own, piece.offset)?;
                to = behind;
            }
            Ok(())
        };
        let Some(first) = parts.next() else { return Ok(()) };
        std::thread::scope(|scope| {
            let others: Vec<_> = parts.map(|part| scope.spawn(move || read_all(part))).collect();
            let own = read_all(first);
            let join = |thread: std::thread::ScopedJoinHandle<'_, Result<(), Error>>| {
                thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            others.into_iter().map(join).fold(own, Result::and)
        })
    }

    /// Reads the rows of consecutive frames of one block in one band into `buffer` from `at` on. Returns the position of the rows, and the end of
    /// the sectors that contain them.
    fn read_rows(&self, frames: &Range<usize>, band: usize, buffer: &mut ReadBuffer, at: usize) -> Result<(Range<usize>, usize), Error> {
        let layout = &self.layout;
        let rows = layout.rows_in_block(frames, band);
        let first = rows.start / ALIGNMENT * ALIGNMENT;
        let end = at + rows.end.next_multiple_of(ALIGNMENT) - first;
        let offset = layout.offset_of(layout.block_of(frames.start)) + first as u64;
        read(&self.file, &mut buffer.0.as_mut_slice()[at..end], offset)?;
        let start = at + rows.start - first;
        Ok((start..start + rows.len(), end))
    }
}
