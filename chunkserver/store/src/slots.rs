//! Slots of one size, one after another in one mapping.

use super::states::States;
use super::{Error, Mapping};
use std::ops::{Deref, DerefMut, Range};
use std::path::Path;
use tokio::sync::Notify;

/// The slots: frames of a server's slabs, or the bands of a server's tile.
#[derive(Debug)]
pub struct Slots {
    map: Mapping,
    slot_bytes: usize,
    total_bytes: usize,
    states: States,
    /// Notified whenever a slot becomes ready.
    changed: Notify,
}

impl Slots {
    /// Allocates `total_bytes` bytes, cut into slots of `slot_bytes` bytes. The last slot may be shorter.
    ///
    /// # Errors
    /// When the system refuses the memory or the disk space.
    pub fn new(total_bytes: usize, slot_bytes: usize, scratch: Option<&Path>) -> Result<Self, Error> {
        let count = if slot_bytes == 0 { 0 } else { total_bytes.div_ceil(slot_bytes) };
        let map = Mapping::new(total_bytes, scratch)?;
        Ok(Self { map, slot_bytes, total_bytes, states: States::new(count), changed: Notify::new() })
    }

    /// Number of slots.
    pub fn count(&self) -> usize {
        self.states.count()
    }

    /// Number of ready slots.
    pub fn ready_count(&self) -> usize {
        self.states.ready_count()
    }

    fn bytes_of(&self, slots: &Range<usize>) -> Range<usize> {
        (slots.start * self.slot_bytes).min(self.total_bytes)..(slots.end * self.slot_bytes).min(self.total_bytes)
    }

    /// Claims an empty slot for writing. `None` when the slot is ready, has a writer, or does not exist.
    pub fn write(&self, slot: usize) -> Option<SlotWriter<'_>> {
        self.states.begin(slot).then(|| SlotWriter { slots: self, slot, finished: false })
    }

    /// The bytes of consecutive slots, one after another. `None` unless all of them are ready.
    pub fn read(&self, slots: Range<usize>) -> Option<&[u8]> {
        if !self.states.all_ready(&slots) {
            return None;
        }
        let bytes = self.bytes_of(&slots);
        // SAFETY: `bytes` lies within the mapping by `bytes_of`. `all_ready` states that every writer of these slots has finished and that
        // no thread writes them again (`States`).
        Some(unsafe { std::slice::from_raw_parts(self.map.as_mut_ptr().add(bytes.start), bytes.len()) })
    }

    /// Whether all of `slots` are ready.
    pub fn all_ready(&self, slots: &Range<usize>) -> bool {
        self.states.all_ready(slots)
    }

    /// Waits until all of `slots` are ready.
    pub async fn until_ready(&self, slots: Range<usize>) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Registered before the check: a slot that becomes ready in between wakes this task.
            changed.as_mut().enable();
            if self.all_ready(&slots) {
                return;
            }
            changed.await;
        }
    }
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
        self.slots.states.finish(self.slot);
        self.slots.changed.notify_waiters();
    }
}

impl Drop for SlotWriter<'_> {
    fn drop(&mut self) {
        if !self.finished {
            self.slots.states.give_up(self.slot);
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
