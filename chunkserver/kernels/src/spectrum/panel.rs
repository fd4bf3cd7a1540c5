//! Panels: 64 bytes of every frame. Only this module reads the band frame by frame; everything after it is contiguous.

use super::Segment;
use std::ops::Range;

/// The bytes of one frame in a panel: one cache line.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(super) struct PanelRow(pub(super) [u8; 64]);

impl Default for PanelRow {
    fn default() -> Self {
        Self([0; 64])
    }
}

/// Copies bytes `columns` of each frame of a band of `band` bytes, in the order of frames. The last panel may be narrower; the rest of its
/// rows is undefined.
pub(super) fn gather(segments: &[Segment<'_>], columns: Range<usize>, band: usize, panel: &mut [PanelRow]) {
    let mut to = panel.iter_mut();
    for segment in segments {
        for (frame, to) in (0..segment.frames).zip(&mut to) {
            let row = &segment.bytes[frame * segment.stride..];
            if let Some(bytes) = row.get(columns.start..columns.start + 64).filter(|_| columns.len() == 64) {
                to.0.copy_from_slice(bytes);
            } else {
                to.0[..columns.len()].copy_from_slice(&row[columns.clone()]);
            }
            // The next panel reads the next cache line. The hardware prefetcher does not follow large strides.
            if columns.end < band {
                prefetch(&row[columns.end..]);
            }
        }
    }
}

/// Prefetches the cache line of byte 63 of `bytes`, which is the first or the second line of the next 64 bytes.
#[inline(always)]
fn prefetch(bytes: &[u8]) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        // SAFETY: a prefetch changes only caches and does not fault, for any address.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(bytes.as_ptr().wrapping_add(63).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = bytes;
}
