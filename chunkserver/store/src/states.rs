//! The states of slots: empty, being written by one thread, or ready for good. A reader that respects these states reads no byte while
//! another thread writes that byte.

#[cfg(feature = "loom")]
use loom::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::ops::Range;
#[cfg(not(feature = "loom"))]
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

const EMPTY: u8 = 0;
const WRITING: u8 = 1;
const READY: u8 = 2;

/// One state a slot. Transitions: empty → writing ([`begin`](Self::begin)), writing → ready ([`finish`](Self::finish)), writing → empty
/// ([`give_up`](Self::give_up)). Ready is final.
#[derive(Debug)]
pub(crate) struct States {
    states: Vec<AtomicU8>,
    ready: AtomicUsize,
}

impl States {
    /// `count` empty slots.
    pub(crate) fn new(count: usize) -> Self {
        Self { states: std::iter::repeat_with(|| AtomicU8::new(EMPTY)).take(count).collect(), ready: AtomicUsize::new(0) }
    }

    /// Number of slots.
    pub(crate) fn count(&self) -> usize {
        self.states.len()
    }

    /// Number of ready slots.
    pub(crate) fn ready_count(&self) -> usize {
        self.ready.load(Ordering::Acquire)
    }

    /// Claims an empty slot for one writer. `false` when the slot is ready, has a writer, or does not exist.
    pub(crate) fn begin(&self, slot: usize) -> bool {
        // Acquire: a writer that follows one that gave up sees the bytes of the first.
        let claim = |state: &AtomicU8| state.compare_exchange(EMPTY, WRITING, Ordering::AcqRel, Ordering::Acquire).is_ok();
        self.states.get(slot).is_some_and(claim)
    }

    /// Whether a slot exists and is not empty.
    pub(crate) fn is_begun(&self, slot: usize) -> bool {
        self.states.get(slot).is_some_and(|state| state.load(Ordering::Acquire) != EMPTY)
    }

    /// Makes a claimed slot ready. Only the writer that claimed the slot may call this.
    pub(crate) fn finish(&self, slot: usize) {
        // Release: a reader that sees READY sees the writer's bytes.
        self.states[slot].store(READY, Ordering::Release);
        self.ready.fetch_add(1, Ordering::AcqRel);
    }

    /// Makes a claimed slot empty again. Only the writer that claimed the slot may call this.
    pub(crate) fn give_up(&self, slot: usize) {
        self.states[slot].store(EMPTY, Ordering::Release);
    }

    /// Whether all of `slots` exist and are ready. After `true` their bytes may be read for good.
    pub(crate) fn all_ready(&self, slots: &Range<usize>) -> bool {
        let ready = |state: &AtomicU8| state.load(Ordering::Acquire) == READY;
        self.states.get(slots.clone()).is_some_and(|states| states.iter().all(ready))
    }
}

/// Every interleaving of two or three threads, tried by loom over cells that report a race: <https://docs.rs/loom>.
/// `cargo test -p store --features loom` runs these.
#[cfg(all(test, feature = "loom"))]
mod interleavings {
    use super::*;
    use loom::cell::UnsafeCell;
    use loom::sync::Arc;
    use loom::thread;

    /// A slot of one byte.
    struct Slot {
        states: States,
        byte: UnsafeCell<u8>,
    }

    // SAFETY: `byte` is written by the thread that claimed the slot and read only after it is ready. Loom checks this claim.
    unsafe impl Sync for Slot {}

    impl Slot {
        fn new() -> Arc<Self> {
            Arc::new(Self { states: States::new(1), byte: UnsafeCell::new(0) })
        }

        fn write(&self, value: u8) -> bool {
            let claimed = self.states.begin(0);
            if claimed {
                // SAFETY: this thread has claimed the slot.
                self.byte.with_mut(|byte| unsafe { *byte = value });
                self.states.finish(0);
            }
            claimed
        }

        fn read(&self) -> Option<u8> {
            // SAFETY: a ready slot is never written again.
            self.states.all_ready(&(0..1)).then(|| self.byte.with(|byte| unsafe { *byte }))
        }
    }

    #[test]
    fn a_reader_sees_nothing_or_all_of_a_slot() {
        loom::model(|| {
            let slot = Slot::new();
            let writer = thread::spawn({
                let slot = Arc::clone(&slot);
                move || assert!(slot.write(7))
            });
            assert!(matches!(slot.read(), None | Some(7)));
            writer.join().unwrap();
            assert_eq!(slot.read(), Some(7));
        });
    }

    #[test]
    fn one_of_two_writers_wins() {
        loom::model(|| {
            let slot = Slot::new();
            let other = thread::spawn({
                let slot = Arc::clone(&slot);
                move || slot.write(1)
            });
            let (here, there) = (slot.write(2), other.join().unwrap());
            assert!(here != there, "exactly one thread writes");
            assert_eq!(slot.read(), Some(if here { 2 } else { 1 }));
            assert_eq!(slot.states.ready_count(), 1);
        });
    }

    #[test]
    fn a_writer_that_gives_up_leaves_the_slot_to_the_next() {
        loom::model(|| {
            let slot = Slot::new();
            let other = thread::spawn({
                let slot = Arc::clone(&slot);
                move || {
                    if slot.states.begin(0) {
                        // SAFETY: this thread has claimed the slot.
                        slot.byte.with_mut(|byte| unsafe { *byte = 9 });
                        slot.states.give_up(0);
                    }
                }
            });
            let written = slot.write(3);
            other.join().unwrap();
            assert!(written || slot.write(3), "the slot is free again");
            assert_eq!(slot.read(), Some(3));
        });
    }
}
