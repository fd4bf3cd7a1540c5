//! Memory for pixels, straight from the system: anonymous in huge pages, or a scratch file that is mapped.

use super::Error;
use memmap2::{MmapOptions, MmapRaw};
use std::path::Path;

/// A mapping, zero at first. Pages cost nothing until they are touched.
#[derive(Debug)]
pub struct Mapping {
    raw: MmapRaw,
    len: usize,
}

impl Mapping {
    /// Maps `len` bytes of anonymous memory, or of a nameless file in `scratch` when one is given.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn new(len: usize, scratch: Option<&Path>) -> Result<Self, Error> {
        // The system maps no empty range.
        let bytes = len.max(1);
        let raw = match scratch {
            None => {
                let map = MmapOptions::new().len(bytes).map_anon().map_err(|source| Error::Map { bytes, source })?;
                // First touch costs 1–2 GB/s in pages of 4 KiB, 3–7 GB/s in huge ones. Advice: refusal is no error.
                #[cfg(target_os = "linux")]
                let _ = map.advise(memmap2::Advice::HugePage);
                MmapRaw::from(map)
            }
            Some(folder) => {
                let refused = |source| Error::Scratch { bytes, folder: folder.to_owned(), source };
                let file = tempfile::tempfile_in(folder).map_err(refused)?;
                file.set_len(bytes as u64).map_err(refused)?;
                MmapOptions::new().len(bytes).map_raw(&file).map_err(refused)?
            }
        };
        Ok(Self { raw, len })
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The first byte. What is read and written through it is the caller's to keep apart; see [`super::Slots`].
    pub(super) fn as_mut_ptr(&self) -> *mut u8 {
        self.raw.as_mut_ptr()
    }

    /// All bytes, for the one owner.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        // SAFETY: the mapping is `len` bytes long and lives as long as `self`, which is borrowed for as long as the slice.
        unsafe { std::slice::from_raw_parts_mut(self.raw.as_mut_ptr(), self.len) }
    }

    /// All bytes.
    pub fn as_slice(&self) -> &[u8] {
        // SAFETY: as above; writes need `&mut self` or go through `Slots`, which never hands out its mapping.
        unsafe { std::slice::from_raw_parts(self.raw.as_ptr(), self.len) }
    }
}
