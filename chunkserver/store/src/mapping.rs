//! Memory for pixels: anonymous memory in huge pages, or a mapped scratch file.

use super::Error;
use super::reserve::reserve;
use memmap2::{MmapOptions, MmapRaw};
use std::fs::File;
use std::ops::Range;
use std::path::Path;

/// Bytes that one call begins to read. Linux begins no more than the read-ahead of the disk in one call, which is 128 KiB by default:
/// <https://www.kernel.org/doc/Documentation/block/queue-sysfs.txt>.
const READ_AHEAD_BYTES: usize = 128 << 10;

/// A nameless file of `bytes` bytes in `folder`, whose disk space is reserved.
pub(super) fn scratch_file(bytes: usize, folder: &Path) -> Result<File, Error> {
    let file = tempfile::tempfile_in(folder).map_err(|source| Error::Scratch { bytes, folder: folder.to_owned(), source })?;
    reserve(&file, bytes, folder)?;
    Ok(file)
}

/// A mapping, filled with zeros. Anonymous pages cost nothing until they are touched; disk space is reserved at once.
#[derive(Debug)]
pub struct Mapping {
    raw: MmapRaw,
    len: usize,
    /// The scratch file.
    file: Option<File>,
}

impl Mapping {
    /// Maps `len` bytes of anonymous memory, or of a nameless file in `scratch` when one is given.
    ///
    /// # Errors
    /// When the system refuses the memory, or the disk has too little free space.
    pub fn new(len: usize, scratch: Option<&Path>) -> Result<Self, Error> {
        // Linux refuses empty mappings.
        let bytes = len.max(1);
        let (raw, file) = match scratch {
            None => {
                let map = MmapOptions::new().len(bytes).map_anon().map_err(|source| Error::Map { bytes, source })?;
                // First touch costs 1–2 GB/s in pages of 4 KiB, 3–7 GB/s in huge ones. The system may ignore the advice.
                #[cfg(target_os = "linux")]
                let _ = map.advise(memmap2::Advice::HugePage);
                (MmapRaw::from(map), None)
            }
            Some(folder) => {
                let refused = |source| Error::Scratch { bytes, folder: folder.to_owned(), source };
                let file = scratch_file(bytes, folder)?;
                (MmapOptions::new().len(bytes).map_raw(&file).map_err(refused)?, Some(file))
            }
        };
        Ok(Self { raw, len, file })
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the mapping is empty.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Begins to read a range from the disk, without waiting. No effect on anonymous memory.
    pub(super) fn prefetch(&self, bytes: Range<usize>) {
        #[cfg(unix)]
        if self.file.is_some() {
            for start in bytes.clone().step_by(READ_AHEAD_BYTES) {
                // A refusal costs only time.
                let _ = self.raw.advise_range(memmap2::Advice::WillNeed, start, READ_AHEAD_BYTES.min(bytes.end - start));
            }
        }
    }

    /// Touches pages of anonymous memory, whose contents stay as they are. Returns whether the system can do so. No effect on a file.
    pub(super) fn touch(&self, bytes: Range<usize>) -> bool {
        #[cfg(target_os = "linux")]
        if self.file.is_none() && !bytes.is_empty() {
            // Linux 5.14 and later: <https://man7.org/linux/man-pages/man2/madvise.2.html>, `MADV_POPULATE_WRITE`.
            return self.raw.advise_range(memmap2::Advice::PopulateWrite, bytes.start, bytes.len()).is_ok();
        }
        let _ = bytes;
        false
    }

    /// Another handle of the scratch file; `None` for anonymous memory.
    pub(super) fn file(&self) -> Option<std::io::Result<File>> {
        self.file.as_ref().map(File::try_clone)
    }

    /// The first byte. The caller keeps reads and writes through this pointer apart; see [`super::Slots`].
    pub(super) fn as_mut_ptr(&self) -> *mut u8 {
        self.raw.as_mut_ptr()
    }

    /// All bytes, mutable for the only owner.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        // SAFETY: the mapping has at least `len` bytes and lives as long as `self`, which the slice borrows mutably.
        unsafe { std::slice::from_raw_parts_mut(self.raw.as_mut_ptr(), self.len) }
    }

    /// All bytes.
    pub fn as_slice(&self) -> &[u8] {
        // SAFETY: as above. Writes need `&mut self`, or go through `Slots`, which never gives out a reference to its mapping.
        unsafe { std::slice::from_raw_parts(self.raw.as_ptr(), self.len) }
    }
}
