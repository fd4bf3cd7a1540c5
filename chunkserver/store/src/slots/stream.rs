//! Writes a slot piece by piece, in order: directly in memory, or through the buffers of a scratch file.

use super::{SlotWriter, Slots};
use crate::Error;
use crate::direct::{ALIGNMENT, Buffer, Write, Writer};
use std::sync::Arc;

/// The pieces of one slot. [`finish`](Self::finish) makes the slot ready, on disk after the last write; a stream that is dropped leaves the slot
/// empty.
#[derive(Debug)]
pub struct SlotStream<'a>(Target<'a>);

#[derive(Debug)]
enum Target<'a> {
    Memory {
        writer: SlotWriter<'a>,
        /// Written bytes.
        at: usize,
        /// Bytes of the last piece.
        last: usize,
    },
    File(Buffered<'a>),
}

impl<'a> SlotStream<'a> {
    pub(super) const fn in_memory(writer: SlotWriter<'a>) -> Self {
        Self(Target::Memory { writer, at: 0, last: 0 })
    }

    /// For a claimed slot at position `offset` of the file, in bytes.
    pub(super) const fn to_file(slots: &'a Slots, slot: usize, writer: &'a Writer, offset: u64) -> Self {
        Self(Target::File(Buffered { slots, slot, writer, buffer: None, used: 0, last: 0, offset, handed_over: false }))
    }

    /// Space for the next `bytes` bytes of the slot. Waits until the disk has written earlier pieces.
    ///
    /// # Errors
    /// When an earlier write failed.
    ///
    /// # Panics
    /// When the slot or a buffer has too little space: a bug of the caller.
    pub fn next(&mut self, bytes: usize) -> Result<&mut [u8], Error> {
        match &mut self.0 {
            Target::Memory { writer, at, last } => {
                *at += bytes;
                *last = bytes;
                Ok(&mut writer[*at - bytes..*at])
            }
            Target::File(buffered) => buffered.next(bytes),
        }
    }

    /// The last piece.
    pub fn last_piece(&self) -> &[u8] {
        match &self.0 {
            Target::Memory { writer, at, last } => &writer[at - last..*at],
            Target::File(Buffered { buffer, used, last, .. }) => {
                buffer.as_ref().map_or(&[], |buffer| &buffer.as_slice()[used - last..*used])
            }
        }
    }

    /// Makes the slot ready for readers; on disk later, after the last write ([`Slots::until_written`]).
    pub fn finish(self) {
        match self.0 {
            Target::Memory { writer, .. } => writer.finish(),
            Target::File(buffered) => buffered.finish(),
        }
    }
}

/// A slot of a file, and its bytes that are not written yet.
#[derive(Debug)]
struct Buffered<'a> {
    slots: &'a Slots,
    slot: usize,
    writer: &'a Writer,
    /// `None` before the first piece, and after the last.
    buffer: Option<Buffer>,
    /// Used bytes of the buffer.
    used: usize,
    /// Bytes of the last piece.
    last: usize,
    /// Position of the buffer in the file, in bytes.
    offset: u64,
    /// Whether the writer makes the slot ready.
    handed_over: bool,
}

impl Buffered<'_> {
    fn next(&mut self, bytes: usize) -> Result<&mut [u8], Error> {
        self.slots.shared.check()?;
        if self.used + bytes > self.writer.buffer_bytes {
            self.flush();
        }
        let buffer = self.buffer.get_or_insert_with(|| self.writer.buffer());
        self.used += bytes;
        self.last = bytes;
        Ok(&mut buffer.as_mut_slice()[self.used - bytes..self.used])
    }

    /// Hands all whole sectors to the writer. The rest moves to the next buffer.
    fn flush(&mut self) {
        let Some(buffer) = self.buffer.take() else { return };
        let bytes = self.used / ALIGNMENT * ALIGNMENT;
        let mut rest = [0; ALIGNMENT];
        let rest = &mut rest[..self.used - bytes];
        rest.copy_from_slice(&buffer.as_slice()[bytes..self.used]);
        let shared = Arc::clone(&self.slots.shared);
        let done = Box::new(move |result: std::io::Result<()>| {
            let _ = result.map_err(|error| shared.fail(error));
        });
        self.writer.write(Write { buffer, bytes, offset: self.offset, done });
        self.offset += bytes as u64;
        // The buffer is with the writer, so that a stream never waits for a buffer while it holds one.
        let mut next = self.writer.buffer();
        next.as_mut_slice()[..rest.len()].copy_from_slice(rest);
        (self.buffer, self.used) = (Some(next), rest.len());
    }

    fn finish(mut self) {
        // The distance of slots is a multiple of the alignment, so that the padding is within the slot.
        let bytes = self.used.next_multiple_of(ALIGNMENT);
        let buffer = self.buffer.take().unwrap_or_else(|| self.writer.buffer());
        let (shared, slot) = (Arc::clone(&self.slots.shared), self.slot);
        let done = Box::new(move |result: std::io::Result<()>| match result {
            Ok(()) => shared.finish(slot..slot + 1),
            Err(error) => shared.fail(error),
        });
        self.handed_over = true;
        self.writer.write(Write { buffer, bytes, offset: self.offset, done });
    }
}

impl Drop for Buffered<'_> {
    fn drop(&mut self) {
        if let Some(buffer) = self.buffer.take() {
            self.writer.give_back(buffer);
        }
        if !self.handed_over {
            self.slots.shared.states.give_up(self.slot);
        }
    }
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;
    use std::path::Path;

    /// Three slots of 10,000 bytes, the last of 7,000, in pieces of up to 600 bytes through buffers of two sectors.
    const SLOT: usize = 10_000;
    const TOTAL: usize = 27_000;
    const BUFFERS: (usize, usize) = (2, 2 * ALIGNMENT);

    fn slots(scratch: Option<&Path>) -> Result<Slots, Error> {
        Slots::streamed(TOTAL, SLOT, BUFFERS, scratch)
    }

    fn byte(slot: usize, at: usize) -> u8 {
        (slot * 91 + at * 7 + at / 251) as u8
    }

    /// Writes a slot in pieces of growing sizes.
    fn fill(slots: &Slots, slot: usize) -> Result<(), Error> {
        let bytes = SLOT.min(TOTAL - slot * SLOT);
        let mut stream = slots.stream(slot).ok_or_else(|| Error::Write(std::io::Error::other("the slot is taken")))?;
        let (mut at, mut size) = (0, 1);
        while at < bytes {
            let piece = stream.next(size.min(bytes - at))?;
            piece.iter_mut().enumerate().for_each(|(i, to)| *to = byte(slot, at + i));
            let (first, length) = (piece[0], piece.len());
            assert_eq!((stream.last_piece()[0], stream.last_piece().len()), (first, length));
            (at, size) = (at + length, (size + 37) % 600 + 1);
        }
        stream.finish();
        Ok(())
    }

    #[tokio::test]
    async fn a_stream_gives_the_same_bytes_in_memory_and_on_disk() {
        let folder = tempfile::tempdir().unwrap();
        for scratch in [None, Some(folder.path())] {
            let slots = slots(scratch).unwrap();
            assert_eq!(slots.count(), 3);
            std::thread::scope(|scope| {
                for slot in [2, 0, 1] {
                    let slots = &slots;
                    scope.spawn(move || fill(slots, slot).unwrap());
                }
            });
            for slot in 0..3 {
                slots.until_written(slot).await.unwrap();
                let expected: Vec<u8> = (0..SLOT.min(TOTAL - slot * SLOT)).map(|at| byte(slot, at)).collect();
                assert!(slots.read(slot..slot + 1).unwrap() == expected, "slot {slot}, {scratch:?}");
                assert!(slots.stream(slot).is_none(), "a slot is written once");
            }
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "the file has no name and leaves nothing behind");
    }

    #[tokio::test]
    async fn a_stream_that_is_dropped_leaves_the_slot_and_the_buffers_to_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let slots = slots(Some(folder.path())).unwrap();
        for _ in 0..5 {
            let mut stream = slots.stream(1).unwrap();
            assert!(slots.stream(1).is_none(), "one writer at a time");
            stream.next(600).unwrap().fill(9);
        }
        assert_eq!(slots.ready_count(), 0);
        fill(&slots, 1).unwrap();
        slots.until_written(1).await.unwrap();
        assert_eq!(slots.read(1..2).unwrap()[600], byte(1, 600));
    }

    #[tokio::test]
    async fn a_failed_write_fails_the_slot_and_all_later_streams() {
        let slots = slots(Some(tempfile::tempdir().unwrap().path())).unwrap();
        let mut stream = slots.stream(0).unwrap();
        stream.next(5).unwrap().fill(1);
        slots.shared.fail(std::io::Error::from_raw_os_error(5));
        assert!(matches!(stream.next(5), Err(Error::Write(error)) if error.raw_os_error() == Some(5)));
        stream.finish();
        assert!(matches!(slots.until_written(0).await, Err(Error::Write(_))));
        assert!(slots.read(0..1).is_none());
    }
}
