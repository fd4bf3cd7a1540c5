//! Slots of one size, side by side in one mapping. A slot is empty, being written by one, or ready for all, and never
//! goes back from ready.

use super::{Error, Mapping};
use std::ops::{Deref, DerefMut, Range};
use std::path::Path;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use tokio::sync::Notify;

const EMPTY: u8 = 0;
const WRITING: u8 = 1;
const READY: u8 = 2;

/// The slots. Frames of a server's slabs, or the bands of its tile.
#[derive(Debug)]
pub struct Slots {
    map: Mapping,
    slot_bytes: usize,
    total_bytes: usize,
    states: Vec<AtomicU8>,
    ready: AtomicUsize,
    /// Told whenever a slot becomes ready.
    changed: Notify,
}

impl Slots {
    /// `total_bytes` cut into slots of `slot_bytes`; the last one may be shorter.
    ///
    /// # Errors
    /// When the system refuses the memory.
    pub fn new(total_bytes: usize, slot_bytes: usize, scratch: Option<&Path>) -> Result<Self, Error> {
        let count = if slot_bytes == 0 { 0 } else { total_bytes.div_ceil(slot_bytes) };
        let states = std::iter::repeat_with(|| AtomicU8::new(EMPTY)).take(count).collect();
        Ok(Self {
            map: Mapping::new(total_bytes, scratch)?,
            slot_bytes,
            total_bytes,
            states,
            ready: AtomicUsize::new(0),
            changed: Notify::new(),
        })
    }

    /// Number of slots.
    pub fn count(&self) -> usize {
        self.states.len()
    }

    /// Number of ready slots.
    pub fn ready_count(&self) -> usize {
        self.ready.load(Ordering::Acquire)
    }

    fn bytes_of(&self, slots: &Range<usize>) -> Range<usize> {
        (slots.start * self.slot_bytes).min(self.total_bytes)..(slots.end * self.slot_bytes).min(self.total_bytes)
    }

    /// Takes an empty slot for writing; `None` when it is ready, or being written by another.
    pub fn write(&self, slot: usize) -> Option<SlotWriter<'_>> {
        self.states.get(slot)?.compare_exchange(EMPTY, WRITING, Ordering::AcqRel, Ordering::Acquire).ok()?;
        Some(SlotWriter { slots: self, slot, finished: false })
    }

    /// The bytes of consecutive slots, one after another; `None` unless all are ready.
    pub fn read(&self, slots: Range<usize>) -> Option<&[u8]> {
        if slots.end > self.states.len() || !self.all_ready(&slots) {
            return None;
        }
        let bytes = self.bytes_of(&slots);
        // SAFETY: in bounds by `bytes_of`; all slots are ready, seen with Acquire after the writer's Release, and ready
        // slots are never written again.
        Some(unsafe { std::slice::from_raw_parts(self.map.as_mut_ptr().add(bytes.start), bytes.len()) })
    }

    /// Whether all of `slots` are ready.
    pub fn all_ready(&self, slots: &Range<usize>) -> bool {
        self.states[slots.clone()].iter().all(|state| state.load(Ordering::Acquire) == READY)
    }

    /// Waits until all of `slots` are ready.
    pub async fn until_ready(&self, slots: Range<usize>) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Registered before the look, so that what becomes ready in between wakes us.
            changed.as_mut().enable();
            if self.all_ready(&slots) {
                return;
            }
            changed.await;
        }
    }
}

/// The right to write one slot. [`finish`](Self::finish) makes it ready; without that it is empty again.
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
        self.slots.states[self.slot].store(READY, Ordering::Release);
        self.slots.ready.fetch_add(1, Ordering::AcqRel);
        self.slots.changed.notify_waiters();
    }
}

impl Drop for SlotWriter<'_> {
    fn drop(&mut self) {
        if !self.finished {
            self.slots.states[self.slot].store(EMPTY, Ordering::Release);
        }
    }
}

impl Deref for SlotWriter<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        let bytes = self.slots.bytes_of(&(self.slot..self.slot + 1));
        // SAFETY: the slot is in state WRITING and this is its only writer; no reader has it.
        unsafe { std::slice::from_raw_parts(self.slots.map.as_mut_ptr().add(bytes.start), bytes.len()) }
    }
}

impl DerefMut for SlotWriter<'_> {
    fn deref_mut(&mut self) -> &mut [u8] {
        let bytes = self.slots.bytes_of(&(self.slot..self.slot + 1));
        // SAFETY: as in `deref`, and `&mut self` makes this the only slice of it.
        unsafe { std::slice::from_raw_parts_mut(self.slots.map.as_mut_ptr().add(bytes.start), bytes.len()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_written_once_and_read_when_ready() {
        let slots = Slots::new(10, 4, None).unwrap();
        assert_eq!(slots.count(), 3);
        assert!(slots.read(0..1).is_none());
        let mut writer = slots.write(2).unwrap();
        assert_eq!(writer.len(), 2, "the last slot is what is left");
        writer.copy_from_slice(&[7, 8]);
        assert!(slots.write(2).is_none(), "one writer at a time");
        assert!(slots.read(2..3).is_none(), "not before it is finished");
        writer.finish();
        assert_eq!(slots.read(2..3).unwrap(), [7, 8]);
        assert!(slots.write(2).is_none(), "ready is for good");
        drop(slots.write(0).unwrap());
        slots.write(0).unwrap().finish();
        slots.write(1).unwrap().finish();
        assert_eq!(slots.read(0..3).unwrap(), [0, 0, 0, 0, 0, 0, 0, 0, 7, 8]);
        assert!(slots.read(0..4).is_none());
    }

    #[test]
    fn a_scratch_file_serves_as_memory_does() {
        let folder = tempfile::tempdir().unwrap();
        let slots = Slots::new(8, 4, Some(folder.path())).unwrap();
        let mut writer = slots.write(1).unwrap();
        writer.fill(3);
        writer.finish();
        assert_eq!(slots.read(1..2).unwrap(), [3; 4]);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "the file has no name, so nothing is left behind");
        assert!(matches!(Slots::new(8, 4, Some(Path::new("/nowhere"))), Err(Error::Scratch { .. })));
    }

    #[tokio::test]
    async fn waiting_ends_when_the_last_slot_is_ready() {
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
