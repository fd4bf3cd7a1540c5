//! The spectra of a band on their way to the store.

use crate::share::{LineChecksums, Share};
use api::arrays::Base;
use kernels::spectrum::Target;
use store::SlotStream;

/// A slot that takes the spectra of a band, group by group.
pub(super) struct SpectraTile<'a> {
    stream: SlotStream<'a>,
    slot: usize,
    /// Checksums of the spectra; `None` in memory.
    checksums: Option<&'a LineChecksums>,
    spectrum_bytes: usize,
    /// Pixels of the band whose spectra are written.
    pixels: usize,
}

impl<'a> SpectraTile<'a> {
    /// For the band in `slot` of this server.
    pub(super) fn new(share: &'a Share, slot: usize, stream: SlotStream<'a>) -> Self {
        let checksums = share.stored_checksums.of_tiles(Base::Spectrum);
        Self { stream, slot, checksums, spectrum_bytes: share.plan.spectrum_bytes(), pixels: 0 }
    }

    /// Makes the slot ready; see [`SlotStream::finish`].
    pub(super) fn finish(self) {
        self.stream.finish();
    }
}

impl Target for SpectraTile<'_> {
    type Error = store::Error;

    fn next(&mut self, values: usize) -> Result<&mut [f32], store::Error> {
        // Pieces are aligned: their sizes are multiples of a value, and buffers begin at pages.
        self.stream.next(values * size_of::<f32>()).map(bytemuck::cast_slice_mut)
    }

    fn written(&mut self) {
        let group = self.stream.last_piece();
        if let Some(checksums) = self.checksums {
            checksums.set(self.slot, self.pixels, group, self.spectrum_bytes);
        }
        self.pixels += group.len() / self.spectrum_bytes;
    }
}
