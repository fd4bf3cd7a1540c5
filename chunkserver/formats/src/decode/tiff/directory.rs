//! Image file directories of TIFF and BigTIFF. TIFF 6.0, section 2; BigTIFF <https://www.awaresystems.be/imaging/tiff/bigtiff.html>.
//!
//! Values stay in the file. Nothing is allocated, so a forged count costs no memory.

use super::{corrupt, truncated};
use crate::decode::Error;

/// The bytes of a file, and how numbers are stored in these bytes.
#[derive(Clone, Copy)]
pub(super) struct File<'a> {
    pub(super) bytes: &'a [u8],
    /// Whether the most significant byte of a number is first.
    pub(super) big_endian: bool,
    /// BigTIFF: offsets have 8 bytes.
    big: bool,
}

impl<'a> File<'a> {
    /// Reads the byte order and the version. The caller has checked the signature.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, big_endian: bytes.starts_with(b"MM"), big: bytes.get(2..4).is_some_and(|version| version.contains(&43)) }
    }

    /// The offset of the first directory.
    pub(super) fn first(&self) -> Result<u64, Error> {
        if self.big && self.number(self.slice(4, 4)?) != if self.big_endian { 8 << 16 } else { 8 } {
            return Err(corrupt("the size of offsets in the BigTIFF header is not 8"));
        }
        let (at, size) = if self.big { (8, 8) } else { (4, 4) };
        Ok(self.number(self.slice(at, size)?))
    }

    /// The directory at `offset`.
    pub(super) fn directory(&self, offset: u64) -> Result<Directory<'a>, Error> {
        let (count_size, entry_size) = if self.big { (8, 20) } else { (2, 12) };
        let count = self.number(self.slice(offset, count_size)?);
        let size = count.checked_mul(entry_size).ok_or_else(|| truncated(self.bytes))?;
        let start = offset + count_size;
        let entries = self.slice(start, size)?;
        // The offset of the next directory is missing in files that end after the last entry.
        let next = self.slice(start + size, self.word()).map_or(0, |bytes| self.number(bytes));
        Ok(Directory { file: *self, entries, next })
    }

    /// `size` bytes at `offset`.
    pub(super) fn slice(&self, offset: u64, size: u64) -> Result<&'a [u8], Error> {
        let range = offset.checked_add(size).and_then(|end| Some(usize::try_from(offset).ok()?..usize::try_from(end).ok()?));
        range.and_then(|range| self.bytes.get(range)).ok_or_else(|| truncated(self.bytes))
    }

    /// Bytes of an offset.
    fn word(&self) -> u64 {
        if self.big { 8 } else { 4 }
    }

    /// An unsigned integer of up to 8 bytes.
    fn number(&self, bytes: &[u8]) -> u64 {
        let join = |value: u64, &byte: &u8| value << 8 | u64::from(byte);
        if self.big_endian { bytes.iter().fold(0, join) } else { bytes.iter().rev().fold(0, join) }
    }
}

/// One directory.
pub(super) struct Directory<'a> {
    file: File<'a>,
    entries: &'a [u8],
    /// The offset of the next directory; 0 after the last one.
    pub(super) next: u64,
}

impl<'a> Directory<'a> {
    /// Whether a tag is present.
    pub(super) fn contains(&self, tag: u16) -> bool {
        self.occurrences(tag).next().is_some()
    }

    /// The values of a tag. If a tag occurs twice, the first one counts, as in libtiff and tifffile.
    pub(super) fn table(&self, tag: u16) -> Result<Option<Table<'a>>, Error> {
        self.tables(tag).next().transpose()
    }

    /// The values of each occurrence of a tag.
    pub(super) fn tables(&self, tag: u16) -> impl Iterator<Item = Result<Table<'a>, Error>> {
        self.occurrences(tag).map(move |entry| self.values(tag, entry))
    }

    fn values(&self, tag: u16, entry: &'a [u8]) -> Result<Table<'a>, Error> {
        let (file, word) = (self.file, self.file.word() as usize);
        let kind = file.number(&entry[2..4]);
        let count = file.number(&entry[4..4 + word]);
        let size = match kind {
            // BYTE, ASCII, SBYTE, UNDEFINED.
            1 | 2 | 6 | 7 => 1,
            // SHORT, SSHORT.
            3 | 8 => 2,
            // LONG, SLONG, FLOAT, IFD.
            4 | 9 | 11 | 13 => 4,
            // RATIONAL, SRATIONAL, DOUBLE, LONG8, SLONG8, IFD8.
            5 | 10 | 12 | 16..=18 => 8,
            _ => return Err(corrupt(format!("tag {tag} has the unknown type {kind}"))),
        };
        let total = count.checked_mul(size).ok_or_else(|| truncated(file.bytes))?;
        let inline = &entry[4 + word..];
        let data = if total <= file.word() { &inline[..total as usize] } else { file.slice(file.number(inline), total)? };
        Ok(Table { file, data, size: size as usize, unsigned: matches!(kind, 1 | 3 | 4 | 13 | 16 | 18), tag })
    }

    /// The first value of a tag.
    pub(super) fn value(&self, tag: u16) -> Result<Option<u64>, Error> {
        let table = self.table(tag)?.filter(|table| table.len() > 0);
        table.map(|table| table.get(0)).transpose()
    }

    /// The one value of a tag that is stored for each channel; `None` if the tag is missing.
    pub(super) fn uniform(&self, tag: u16) -> Result<Option<u64>, Error> {
        let Some(first) = self.value(tag)? else { return Ok(None) };
        let Some(table) = self.table(tag)? else { return Ok(None) };
        for i in 1..table.len() {
            if table.get(i)? != first {
                return Err(super::unsupported(format!("channels of different kinds (tag {tag})")));
            }
        }
        Ok(Some(first))
    }

    fn occurrences(&self, tag: u16) -> impl Iterator<Item = &'a [u8]> {
        let (file, size) = (self.file, if self.file.big { 20 } else { 12 });
        self.entries.chunks_exact(size).filter(move |entry| file.number(&entry[..2]) == u64::from(tag))
    }
}

/// The values of one tag.
#[derive(Clone, Copy)]
pub(super) struct Table<'a> {
    file: File<'a>,
    data: &'a [u8],
    size: usize,
    unsigned: bool,
    tag: u16,
}

impl<'a> Table<'a> {
    pub(super) fn len(&self) -> usize {
        self.data.len() / self.size
    }

    /// The value at index `i`, which is less than the length.
    pub(super) fn get(&self, i: usize) -> Result<u64, Error> {
        if !self.unsigned {
            return Err(corrupt(format!("tag {} is not an unsigned integer", self.tag)));
        }
        Ok(self.file.number(&self.data[i * self.size..(i + 1) * self.size]))
    }

    /// The bytes of a text, up to its end or its first zero byte.
    pub(super) fn text(&self) -> &'a [u8] {
        self.data.split(|&byte| byte == 0).next().unwrap_or_default()
    }
}
