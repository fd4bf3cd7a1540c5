//! Checksums of the lines of arrays on the scratch disk. A line is a row of a frame, the pixels of one frame in a band, or the spectrum of a
//! pixel. A read compares the lines of its elements: of frames and spectra little more than the read has, of a series in `rechunked` a band.

use api::arrays::Base;
use api::job::Storage;
use api::plan::Plan;
use kernels::checksum::row_checksum;
use std::sync::atomic::{AtomicU32, Ordering};
use store::Slots;

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

    /// Computes the checksums of a slot, whose lines have `line_bytes` bytes. Precedes the state "ready" of the slot, whose readers therefore
    /// see the checksums.
    pub fn set(&self, slot: usize, bytes: &[u8], line_bytes: usize) {
        for (line, checksum) in bytes.chunks(line_bytes.max(1)).zip(&self.checksums[slot * self.lines..(slot + 1) * self.lines]) {
            checksum.store(row_checksum(line), Ordering::Relaxed);
        }
    }

    /// Whether a line differs from its checksum.
    pub fn is_damaged(&self, slot: usize, line: usize, bytes: &[u8]) -> bool {
        row_checksum(bytes) != self.checksums[slot * self.lines + line].load(Ordering::Relaxed)
    }
}

/// The checksums of all arrays of a share that are on its scratch disk.
#[derive(Debug)]
pub struct StoredChecksums {
    raw: Option<LineChecksums>,
    stack: LineChecksums,
    rechunked: Option<LineChecksums>,
    spectrum: Option<LineChecksums>,
}

impl StoredChecksums {
    /// Space for the checksums of the stores of a plan; `None` if they are in memory.
    pub(super) fn new(
        plan: &Plan,
        raw: Option<&Slots>,
        stack: &Slots,
        rechunked: Option<&Slots>,
        spectrum: Option<&Slots>,
    ) -> Option<Self> {
        let partition = &plan.partition;
        let of = |store: &Slots, lines: usize| LineChecksums::new(store.count(), lines);
        (plan.storage == Storage::Disk).then(|| Self {
            raw: raw.map(|raw| of(raw, partition.frame.height)),
            stack: of(stack, partition.stack.height),
            rechunked: rechunked.map(|rechunked| of(rechunked, partition.frames)),
            spectrum: spectrum.map(|spectrum| of(spectrum, partition.band_pixels)),
        })
    }

    /// Those of the rows of frames of `base`.
    pub fn of_frames(&self, base: Base) -> &LineChecksums {
        self.raw.as_ref().filter(|_| base == Base::Raw).unwrap_or(&self.stack)
    }

    /// Those of the tiles of `base`: of spectra by pixel, of pixels by frame. `None` if the job does not store them.
    pub fn of_tiles(&self, base: Base) -> Option<&LineChecksums> {
        if base == Base::Spectrum { self.spectrum.as_ref() } else { self.rechunked.as_ref() }
    }
}
