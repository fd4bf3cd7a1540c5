//! Checksums of the lines of arrays on the scratch disk. A line is a row of a frame, the pixels of one frame in a band, or the spectrum of a
//! pixel. A read compares the lines of its elements: of frames and spectra little more than the read has, of a series in `rechunked` a band.

use api::arrays::Base;
use api::plan::Plan;
use kernels::checksum::row_checksum;
use std::sync::atomic::{AtomicU32, Ordering};
use store::{Frames, Slots};

/// The checksums of one array, (slot, line) in C order.
#[derive(Debug)]
pub struct LineChecksums {
    lines: usize,
    checksums: Vec<AtomicU32>,
}

impl LineChecksums {
    fn new(slots: usize, lines: usize) -> Self {
        Self { lines, checksums: (0..slots * lines).map(|_| AtomicU32::new(0)).collect() }
    }

    /// Computes the checksums of lines of a slot from line `first` on, which have `line_bytes` bytes each. Precedes the state "ready" of the slot,
    /// whose readers therefore see the checksums.
    pub fn set(&self, slot: usize, first: usize, bytes: &[u8], line_bytes: usize) {
        let of_slot = &self.checksums[slot * self.lines + first..(slot + 1) * self.lines];
        for (line, checksum) in bytes.chunks(line_bytes.max(1)).zip(of_slot) {
            checksum.store(row_checksum(line), Ordering::Relaxed);
        }
    }

    /// Whether a line differs from its checksum.
    pub fn is_damaged(&self, slot: usize, line: usize, bytes: &[u8]) -> bool {
        row_checksum(bytes) != self.checksums[slot * self.lines + line].load(Ordering::Relaxed)
    }
}

/// The checksums of the arrays of a share that are on its scratch disk. Arrays in memory have none.
#[derive(Debug)]
pub struct StoredChecksums {
    raw: Option<LineChecksums>,
    stack: Option<LineChecksums>,
    rechunked: Option<LineChecksums>,
    spectrum: Option<LineChecksums>,
}

impl StoredChecksums {
    /// Space for the checksums of the stores of a plan.
    pub(super) fn new(plan: &Plan, raw: Option<&Frames>, stack: &Frames, rechunked: Option<&Slots>, spectrum: Option<&Slots>) -> Self {
        let partition = &plan.partition;
        let of = |store: &Slots, lines: usize| LineChecksums::new(store.count(), lines);
        let of_frames = |store: &Frames, lines: usize| LineChecksums::new(store.count(), lines);
        let (frames, tiles) = (plan.storage.has_frames_on_disk(), plan.storage.has_tiles_on_disk());
        Self {
            raw: raw.filter(|_| frames).map(|raw| of_frames(raw, partition.frame.height)),
            stack: frames.then(|| of_frames(stack, partition.stack.height)),
            rechunked: rechunked.filter(|_| tiles).map(|rechunked| of(rechunked, partition.frames)),
            spectrum: spectrum.filter(|_| tiles).map(|spectrum| of(spectrum, partition.band_pixels)),
        }
    }

    /// Those of the rows of frames of `base`; `None` if the frames are in memory.
    pub fn of_frames(&self, base: Base) -> Option<&LineChecksums> {
        self.raw.as_ref().filter(|_| base == Base::Raw).or(self.stack.as_ref())
    }

    /// Those of the tiles of `base`: of spectra by pixel, of pixels by frame. `None` if the tiles are in memory, or the job does not store them.
    pub fn of_tiles(&self, base: Base) -> Option<&LineChecksums> {
        if base == Base::Spectrum { self.spectrum.as_ref() } else { self.rechunked.as_ref() }
    }
}
