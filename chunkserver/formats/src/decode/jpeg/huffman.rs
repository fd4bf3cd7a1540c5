//! Huffman tables (T.81, annex C) and the bits of entropy-coded data (T.81, F.2.2.5).

use super::{corrupt, truncated};
use crate::decode::Error;

/// Bits of a code that are looked up at once.
const AHEAD: u32 = 9;

/// A Huffman table.
pub(super) struct Table {
    /// Length and value of the code that the next bits start with; 0 for longer codes.
    short: Box<[u16; 1 << AHEAD]>,
    /// For each length: one more than the largest code, and what to add to a code for its index in `values`.
    ends: [u32; 17],
    shifts: [i32; 17],
    values: Vec<u8>,
}

impl Table {
    /// `counts` has the number of codes of 1 to 16 bits. `values` are sorted by code.
    pub(super) fn new(counts: &[u8; 16], values: &[u8]) -> Result<Self, Error> {
        let mut table = Self { short: Box::new([0; 1 << AHEAD]), ends: [0; 17], shifts: [0; 17], values: values.to_vec() };
        let (mut code, mut index) = (0_u32, 0_usize);
        for (length, &count) in (1_u32..=16).zip(counts) {
            table.shifts[length as usize] = index as i32 - code as i32;
            for &value in values.get(index..index + usize::from(count)).ok_or_else(|| corrupt("a Huffman table that is too short"))? {
                if length <= AHEAD {
                    let first = (code << (AHEAD - length)) as usize;
                    let entries = table.short.get_mut(first..first + (1 << (AHEAD - length)));
                    entries.ok_or_else(bad_table)?.fill((length as u16) << 8 | u16::from(value));
                }
                code += 1;
            }
            index += usize::from(count);
            if code > 1 << length {
                return Err(bad_table());
            }
            table.ends[length as usize] = code;
            code <<= 1;
        }
        Ok(table)
    }
}

fn bad_table() -> Error {
    corrupt("a Huffman table with more codes than bits allow")
}

/// The bits of one scan, up to the next marker.
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    /// Where the next byte is, or the marker.
    pub(super) position: usize,
    /// The next bits, from the most significant one.
    buffer: u64,
    count: u32,
}

impl<'a> Bits<'a> {
    pub(super) fn new(bytes: &'a [u8], position: usize) -> Self {
        Self { bytes, position, buffer: 0, count: 0 }
    }

    /// Reads restart marker `index`, which must follow: T.81, F.2.1.3.1.
    pub(super) fn restart(&mut self, index: usize) -> Result<(), Error> {
        self.refill();
        let at = self.next_marker().filter(|&at| self.count < 8 && at == self.position);
        let after = at.map(|at| at + self.bytes[at..].iter().take_while(|&&byte| byte == 0xff).count());
        let after = after.filter(|&after| self.bytes.get(after) == Some(&(0xd0 + (index % 8) as u8)));
        self.position = after.ok_or_else(|| corrupt("a restart marker is missing or out of order"))? + 1;
        (self.buffer, self.count) = (0, 0);
        Ok(())
    }

    /// Where the next marker is, after bytes that no block needed.
    pub(super) fn next_marker(&self) -> Option<usize> {
        marker_after(self.bytes, self.position)
    }

    #[inline]
    fn refill(&mut self) {
        while self.count <= 56 {
            let Some(&byte) = self.bytes.get(self.position) else { return };
            if byte == 0xff {
                if self.bytes.get(self.position + 1) != Some(&0) {
                    return;
                }
                self.position += 1;
            }
            self.position += 1;
            self.buffer |= u64::from(byte) << (56 - self.count);
            self.count += 8;
        }
    }

    #[inline]
    fn drop(&mut self, count: u32) -> Result<(), Error> {
        if count > self.count {
            return Err(self.ended());
        }
        self.buffer <<= count;
        self.count -= count;
        Ok(())
    }

    /// The error of data that is too short: before a marker, or at the end of the file.
    #[cold]
    fn ended(&self) -> Error {
        match self.bytes.get(self.position..) {
            Some([] | [0xff]) | None => truncated(self.bytes),
            Some(_) => corrupt("the entropy-coded data ends before the last pixel"),
        }
    }

    /// The value of the next code.
    #[inline]
    pub(super) fn code(&mut self, table: &Table) -> Result<u8, Error> {
        if self.count < 16 {
            self.refill();
        }
        let entry = table.short[(self.buffer >> (64 - AHEAD)) as usize];
        if entry != 0 {
            self.drop(u32::from(entry >> 8))?;
            return Ok(entry as u8);
        }
        for length in AHEAD + 1..=16 {
            let code = (self.buffer >> (64 - length)) as u32;
            if code < table.ends[length as usize] {
                self.drop(length)?;
                let index = code as i32 + table.shifts[length as usize];
                return table.values.get(index as usize).copied().ok_or_else(|| corrupt("an unknown Huffman code"));
            }
        }
        // A code of ones is also what follows the last byte.
        self.drop(16)?;
        Err(corrupt("an unknown Huffman code"))
    }

    /// The next `count` bits, at most 16.
    #[inline]
    pub(super) fn bits(&mut self, count: u32) -> Result<u32, Error> {
        if count == 0 {
            return Ok(0);
        }
        if self.count < count {
            self.refill();
        }
        let value = (self.buffer >> (64 - count)) as u32;
        self.drop(count)?;
        Ok(value)
    }

    /// A signed value of `count` bits: T.81, F.2.2.1.
    #[inline]
    pub(super) fn signed(&mut self, count: u32) -> Result<i32, Error> {
        let value = self.bits(count)? as i32;
        Ok(if count > 0 && value < 1 << (count - 1) { value - (1 << count) + 1 } else { value })
    }
}

/// The typical tables that frames of motion JPEG imply, as pairs of lengths and values: T.81, tables K.3 to K.6.
pub(super) fn typical(ac: bool, index: usize) -> Result<Table, Error> {
    match (ac, index) {
        (false, 0) => Table::new(&[0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0], &DC),
        (false, 1) => Table::new(&[0, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0], &DC),
        (true, 0) => Table::new(&[0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 125], &AC_LUMINANCE),
        (true, 1) => Table::new(&[0, 2, 1, 2, 4, 4, 3, 4, 7, 5, 4, 4, 0, 1, 2, 119], &AC_CHROMINANCE),
        _ => Err(corrupt("a Huffman table is missing")),
    }
}

const DC: [u8; 12] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];

#[rustfmt::skip]
const AC_LUMINANCE: [u8; 162] = [
    0x01, 0x02, 0x03, 0x00, 0x04, 0x11, 0x05, 0x12, 0x21, 0x31, 0x41, 0x06, 0x13, 0x51, 0x61, 0x07, 0x22, 0x71, 0x14, 0x32, 0x81, 0x91,
    0xa1, 0x08, 0x23, 0x42, 0xb1, 0xc1, 0x15, 0x52, 0xd1, 0xf0, 0x24, 0x33, 0x62, 0x72, 0x82, 0x09, 0x0a, 0x16, 0x17, 0x18, 0x19, 0x1a,
    0x25, 0x26, 0x27, 0x28, 0x29, 0x2a, 0x34, 0x35, 0x36, 0x37, 0x38, 0x39, 0x3a, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4a, 0x53,
    0x54, 0x55, 0x56, 0x57, 0x58, 0x59, 0x5a, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79,
    0x7a, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0xa2, 0xa3, 0xa4, 0xa5,
    0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, 0xb8, 0xb9, 0xba, 0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7, 0xc8, 0xc9,
    0xca, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 0xd9, 0xda, 0xe1, 0xe2, 0xe3, 0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9, 0xea, 0xf1, 0xf2,
    0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9, 0xfa,
];

#[rustfmt::skip]
const AC_CHROMINANCE: [u8; 162] = [
    0x00, 0x01, 0x02, 0x03, 0x11, 0x04, 0x05, 0x21, 0x31, 0x06, 0x12, 0x41, 0x51, 0x07, 0x61, 0x71, 0x13, 0x22, 0x32, 0x81, 0x08, 0x14,
    0x42, 0x91, 0xa1, 0xb1, 0xc1, 0x09, 0x23, 0x33, 0x52, 0xf0, 0x15, 0x62, 0x72, 0xd1, 0x0a, 0x16, 0x24, 0x34, 0xe1, 0x25, 0xf1, 0x17,
    0x18, 0x19, 0x1a, 0x26, 0x27, 0x28, 0x29, 0x2a, 0x35, 0x36, 0x37, 0x38, 0x39, 0x3a, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4a,
    0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59, 0x5a, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78,
    0x79, 0x7a, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0xa2, 0xa3,
    0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, 0xb8, 0xb9, 0xba, 0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7,
    0xc8, 0xc9, 0xca, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 0xd9, 0xda, 0xe2, 0xe3, 0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9, 0xea, 0xf2,
    0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9, 0xfa,
];

/// Where the first marker in entropy-coded data is. A zero follows each byte 0xff of the data (T.81, B.1.1.5).
pub(super) fn marker_after(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        // Eight bytes at a time: `!word` has a zero byte where `word` has 0xff.
        while let Some(word) = bytes.get(at..).and_then(|rest| rest.first_chunk()) {
            let inverse = !u64::from_le_bytes(*word);
            let found = inverse.wrapping_sub(0x0101_0101_0101_0101) & !inverse & 0x8080_8080_8080_8080;
            if found != 0 {
                at += found.trailing_zeros() as usize / 8;
                break;
            }
            at += 8;
        }
        at += bytes.get(at..)?.iter().position(|&byte| byte == 0xff)?;
        // Fill bytes before a marker.
        let mut next = at + 1;
        while bytes.get(next) == Some(&0xff) {
            next += 1;
        }
        if *bytes.get(next)? != 0 {
            return Some(at);
        }
        at = next + 1;
    }
}
