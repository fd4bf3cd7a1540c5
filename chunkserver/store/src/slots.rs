//! Slots of one size, one after another in one mapping.

mod stream;

pub use stream::SlotStream;

use super::direct::{ALIGNMENT, Writer};
use super::shared::Shared;
use super::{Error, Mapping};
use std::ops::{Deref, DerefMut, Range};
use std::path::Path;
use std::sync::Arc;

/// Bytes that one call touches: a huge page. The system takes no other page of the process meanwhile.
const TOUCH_BYTES: usize = 2 << 20;

/// The slots: frames of a server's slabs, or the bands of a server's tile.
#[derive(Debug)]
pub struct Slots {
    map: Mapping,
    slot_bytes: usize,
    /// Distance from one slot to the next, in bytes.
    stride: usize,
    total_bytes: usize,
    shared: Arc<Shared>,
    /// Writes the file of slots that are written piece by piece.
    writer: Option<Writer>,
}

impl Slots {
    /// Allocates `total_bytes` bytes, cut into slots of `slot_bytes` bytes. The last slot may be shorter.
    ///
    /// # Errors
    /// When the system refuses the memory or the disk space.
    pub fn new(total_bytes: usize, slot_bytes: usize, scratch: Option<&Path>) -> Result<Self, Error> {
        let map = Mapping::new(total_bytes, scratch)?;
        let shared = Shared::new(count(total_bytes, slot_bytes));
        Ok(Self { map, slot_bytes, stride: slot_bytes, total_bytes, shared, writer: None })
    }

    /// As [`new`](Self::new), for slots that are written piece by piece ([`stream`](Self::stream)), to a file through `buffers` buffers of
    /// `buffer_bytes` bytes. A buffer holds a piece and [`ALIGNMENT`] bytes more. In a file, each slot begins at a sector, and is read alone.
    ///
    /// # Errors
    /// When the system refuses the memory, the disk space or a thread.
    pub fn streamed(
        total_bytes: usize,
        slot_bytes: usize,
        (buffers, buffer_bytes): (usize, usize),
        scratch: Option<&Path>,
    ) -> Result<Self, Error> {
        let (count, stride) = (count(total_bytes, slot_bytes), slot_bytes.next_multiple_of(ALIGNMENT));
        let Some(folder) = scratch.filter(|_| count > 0) else { return Self::new(total_bytes, slot_bytes, scratch) };
        let map = Mapping::new(count * stride, Some(folder))?;
        let refused = |source| Error::Scratch { bytes: count * stride, folder: folder.to_owned(), source };
        let file = map.file().transpose().map_err(refused)?;
        let writer = file.map(|file| Writer::new(file, buffers, buffer_bytes)).transpose()?;
        Ok(Self { map, slot_bytes, stride, total_bytes, shared: Shared::new(count), writer })
    }

    /// The states of the slots.
    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Number of slots.
    pub fn count(&self) -> usize {
        self.shared.states.count()
    }

    /// Number of ready slots.
    pub fn ready_count(&self) -> usize {
        self.shared.states.ready_count()
    }

    /// The position of one slot, or of consecutive slots without padding.
    fn bytes_of(&self, slots: &Range<usize>) -> Range<usize> {
        let bytes = (slots.end * self.slot_bytes).min(self.total_bytes) - (slots.start * self.slot_bytes).min(self.total_bytes);
        let start = (slots.start * self.stride).min(self.map.len());
        start..start + bytes
    }

    /// Claims an empty slot for writing. `None` when the slot is ready, has a writer, or does not exist.
    pub fn write(&self, slot: usize) -> Option<SlotWriter<'_>> {
        self.shared.states.begin(slot).then(|| SlotWriter { slots: self, slot, finished: false })
    }

    /// Claims an empty slot, which is written piece by piece in order. `None` when the slot is ready, has a writer, or does not exist.
    pub fn stream(&self, slot: usize) -> Option<SlotStream<'_>> {
        let Some(writer) = &self.writer else { return self.write(slot).map(SlotStream::in_memory) };
        let offset = slot as u64 * self.stride as u64;
        self.shared.states.begin(slot).then(|| SlotStream::to_file(self, slot, writer, offset))
    }

    /// The bytes of consecutive slots, one after another. `None` unless all of them are ready. Slots in a file that are written piece by piece
    /// have padding between them: `None` for more than one.
    pub fn read(&self, slots: Range<usize>) -> Option<&[u8]> {
        if !self.shared.states.all_ready(&slots) || (self.stride != self.slot_bytes && slots.len() > 1) {
            return None;
        }
        let bytes = self.bytes_of(&slots);
        // SAFETY: `bytes` lies within the mapping by `bytes_of`. `all_ready` states that every writer of these slots has finished and that
        // no thread writes them again (`States`).
        Some(unsafe { std::slice::from_raw_parts(self.map.as_mut_ptr().add(bytes.start), bytes.len()) })
    }

    /// Begins to read bytes `bytes` of a slot from the disk, without waiting. Otherwise a thread that touches the pages of a mapping waits for one
    /// page after another. No effect in memory.
    pub fn prefetch(&self, slot: usize, bytes: Range<usize>) {
        let of_slot = self.bytes_of(&(slot..slot + 1));
        let (start, end) = (bytes.start.min(of_slot.len()), bytes.end.min(of_slot.len()));
        self.map.prefetch(of_slot.start + start..of_slot.start + end.max(start));
    }

    /// Touches the next bytes of memory from `at` on: the system then has the pages before a thread writes them. Returns the end of the touched
    /// bytes; `None` at the end of the memory, on disk, or if the system cannot do so.
    pub fn touch(&self, at: usize) -> Option<usize> {
        let end = self.map.len().min(at.checked_add(TOUCH_BYTES)?);
        self.map.touch(at.min(end)..end).then_some(end)
    }

    /// Whether all of `slots` are ready.
    pub fn all_ready(&self, slots: &Range<usize>) -> bool {
        self.shared.states.all_ready(slots)
    }

    /// Waits until all of `slots` are ready.
    pub async fn until_ready(&self, slots: Range<usize>) {
        self.shared.until_ready(slots).await;
    }

    /// Waits until the stream of `slot` has been written.
    ///
    /// # Errors
    /// When a write failed.
    pub async fn until_written(&self, slot: usize) -> Result<(), Error> {
        let slots = slot..slot + 1;
        self.shared.until(|| if self.all_ready(&slots) { Some(Ok(())) } else { self.shared.check().err().map(Err) }).await
    }
}

fn count(total_bytes: usize, slot_bytes: usize) -> usize {
    if slot_bytes == 0 { 0 } else { total_bytes.div_ceil(slot_bytes) }
}

/// The right to write one slot. [`finish`](Self::finish) makes the slot ready; a writer that is dropped leaves the slot empty.
#[derive(Debug)]
pub struct SlotWriter<'a> {
    slots: &'a Slots,
    slot: usize,
    finished: bool,
}

impl SlotWriter<'_> {
    /// Makes the slot ready for readers.
    pub fn finish(mut self) {
        self.finished = true;
        self.slots.shared.finish(self.slot..self.slot + 1);
    }
}

impl Drop for SlotWriter<'_> {
    fn drop(&mut self) {
        if !self.finished {
            self.slots.shared.states.give_up(self.slot);
        }
    }
}

impl Deref for SlotWriter<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        let bytes = self.slots.bytes_of(&(self.slot..self.slot + 1));
        // SAFETY: `bytes` lies within the mapping. `States::begin` gave the slot to this writer alone, and no reader gets its bytes before
        // `finish`, which consumes the writer.
        unsafe { std::slice::from_raw_parts(self.slots.map.as_mut_ptr().add(bytes.start), bytes.len()) }
    }
}

impl DerefMut for SlotWriter<'_> {
    fn deref_mut(&mut self) -> &mut [u8] {
        let bytes = self.slots.bytes_of(&(self.slot..self.slot + 1));
        // SAFETY: as in `deref`; `&mut self` makes this slice the only one.
        unsafe { std::slice::from_raw_parts_mut(self.slots.map.as_mut_ptr().add(bytes.start), bytes.len()) }
    }
}

// Loom replaces the atomics, which then work inside of its models only.
#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_written_once_and_then_read() {
        let slots = Slots::new(10, 4, None).unwrap();
        assert_eq!(slots.count(), 3);
        assert!(slots.read(0..1).is_none());
        let mut writer = slots.write(2).unwrap();
        assert_eq!(writer.len(), 2, "the last slot is shorter");
        writer.copy_from_slice(&[7, 8]);
        assert!(slots.write(2).is_none(), "one writer at a time");
        assert!(slots.read(2..3).is_none(), "not before it is finished");
        writer.finish();
        assert_eq!(slots.read(2..3).unwrap(), [7, 8]);
        assert!(slots.write(2).is_none(), "a ready slot is never written again");
        drop(slots.write(0).unwrap());
        slots.write(0).unwrap().finish();
        slots.write(1).unwrap().finish();
        assert_eq!(slots.read(0..3).unwrap(), [0, 0, 0, 0, 0, 0, 0, 0, 7, 8]);
        assert!(slots.read(0..4).is_none());
    }

    #[test]
    fn a_scratch_file_works_like_memory() {
        let folder = tempfile::tempdir().unwrap();
        let slots = Slots::new(8, 4, Some(folder.path())).unwrap();
        let mut writer = slots.write(1).unwrap();
        writer.fill(3);
        writer.finish();
        assert_eq!(slots.read(1..2).unwrap(), [3; 4]);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "the file has no name and leaves nothing behind");
        assert!(matches!(Slots::new(8, 4, Some(Path::new("/nowhere"))), Err(Error::Scratch { .. })));
    }

    #[test]
    fn touched_memory_stays_as_it_is() {
        let slots = Slots::new(5 << 20, 1 << 20, None).unwrap();
        let mut writer = slots.write(1).unwrap();
        writer.fill(3);
        writer.finish();
        let mut at = 0;
        while let Some(end) = slots.touch(at) {
            assert!(end > at && end <= 5 << 20, "{end}");
            at = end;
        }
        // Systems without the call touch nothing.
        assert!(at == 5 << 20 || at == 0, "{at}");
        assert!(slots.read(1..2).unwrap().iter().all(|&byte| byte == 3));
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Slots::new(8, 4, Some(folder.path())).unwrap().touch(0), None);
    }

    #[tokio::test]
    async fn until_ready_returns_when_the_last_slot_is_ready() {
        let slots = std::sync::Arc::new(Slots::new(8, 4, None).unwrap());
        let waiting = tokio::spawn({
            let slots = std::sync::Arc::clone(&slots);
            async move { slots.until_ready(0..2).await }
        });
        slots.write(1).unwrap().finish();
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        slots.write(0).unwrap().finish();
        waiting.await.unwrap();
    }
}
