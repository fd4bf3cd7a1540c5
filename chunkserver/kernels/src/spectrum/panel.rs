//! Gathers 64 bytes of every frame: the only access to the band that strides from frame to frame.

use super::Segment;
use std::ops::Range;

/// A panel's bytes of one frame: one cache line.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(super) struct PanelRow(pub(super) [u8; 64]);

impl Default for PanelRow {
    fn default() -> Self {
        Self([0; 64])
    }
}

/// Copies bytes `part` of a band of `band` bytes from each frame, in order. What a narrower last panel leaves of a row is zero or
/// left over.
pub(super) fn gather(segments: &[Segment<'_>], part: Range<usize>, band: usize, panel: &mut [PanelRow]) {
    let mut to = panel.iter_mut();
    for segment in segments {
        for (frame, to) in (0..segment.frames).zip(&mut to) {
            let row = &segment.bytes[frame * segment.stride..];
            if let Some(bytes) = row.get(part.start..part.start + 64).filter(|_| part.len() == 64) {
                to.0.copy_from_slice(bytes);
            } else {
                to.0[..part.len()].copy_from_slice(&row[part.clone()]);
            }
            // The next panel will want the next cache line, by when this one is transformed: the hardware does not foresee such strides.
            if part.end < band {
                prefetch(&row[part.end..]);
            }
        }
    }
}

/// Fetches the start of `bytes`, and the line after it in case that they straddle two.
#[inline(always)]
fn prefetch(bytes: &[u8]) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        // SAFETY: prefetching has no effect but on caches, whatever the address.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(bytes.as_ptr().wrapping_add(63).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = bytes;
}
