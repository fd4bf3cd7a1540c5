//! A reader of one scan without its end marker.
//!
//! `zune-jpeg` continues with zeros when it reaches a marker, and zeros decode as pixels. Here ones follow the last byte instead of the
//! marker. No Huffman code consists of ones only (T.81, C.2), so a scan that lacks a code is an error. Only a scan that lacks bits of its very
//! last value is not found. A complete scan is not affected.

use zune_jpeg::zune_core::bytestream::{ZByteIoError, ZByteReaderTrait, ZSeekFrom};

/// Bytes of padding. The decoder reads up to 64 bits ahead, in which each byte 0xff takes two bytes.
const PADDING: usize = 64;

pub(super) struct Padded<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Padded<'a> {
    /// `bytes` ends where the end marker was.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    fn end(&self) -> usize {
        self.bytes.len() + PADDING
    }

    /// The byte at `at`. A stuffed zero follows each 0xff of the padding (T.81, B.1.1.5).
    fn byte(&self, at: usize) -> u8 {
        match at.checked_sub(self.bytes.len()) {
            None => self.bytes[at],
            Some(padding) if padding < PADDING && padding.is_multiple_of(2) => 0xff,
            Some(_) => 0,
        }
    }

    #[cold]
    fn peek_slow(&self, out: &mut [u8]) -> usize {
        let count = out.len().min(self.end().saturating_sub(self.position));
        for (i, byte) in out[..count].iter_mut().enumerate() {
            *byte = self.byte(self.position + i);
        }
        count
    }
}

impl ZByteReaderTrait for Padded<'_> {
    #[inline(always)]
    fn read_byte_no_error(&mut self) -> u8 {
        let byte = self.bytes.get(self.position).copied().unwrap_or_else(|| self.byte(self.position));
        self.position += 1;
        byte
    }

    #[inline(always)]
    fn read_exact_bytes(&mut self, out: &mut [u8]) -> Result<(), ZByteIoError> {
        self.peek_exact_bytes(out)?;
        self.position += out.len();
        Ok(())
    }

    #[inline(always)]
    fn read_bytes(&mut self, out: &mut [u8]) -> Result<usize, ZByteIoError> {
        let count = self.peek_bytes(out)?;
        self.position += count;
        Ok(count)
    }

    #[inline(always)]
    fn peek_bytes(&mut self, out: &mut [u8]) -> Result<usize, ZByteIoError> {
        if let Some(bytes) = self.bytes.get(self.position..).and_then(|rest| rest.get(..out.len())) {
            out.copy_from_slice(bytes);
            return Ok(out.len());
        }
        Ok(self.peek_slow(out))
    }

    #[inline(always)]
    fn peek_exact_bytes(&mut self, out: &mut [u8]) -> Result<(), ZByteIoError> {
        let count = self.peek_bytes(out)?;
        if count == out.len() { Ok(()) } else { Err(ZByteIoError::NotEnoughBytes(count, out.len())) }
    }

    #[inline(always)]
    fn z_seek(&mut self, from: ZSeekFrom) -> Result<u64, ZByteIoError> {
        let (base, offset) = match from {
            ZSeekFrom::Start(position) => (0, position as i64),
            ZSeekFrom::End(offset) => (self.end() as i64, offset),
            ZSeekFrom::Current(offset) => (self.position as i64, offset),
        };
        let position = base.checked_add(offset).and_then(|position| usize::try_from(position).ok());
        self.position = position.ok_or(ZByteIoError::SeekError("before the start"))?;
        Ok(self.position as u64)
    }

    fn is_eof(&mut self) -> Result<bool, ZByteIoError> {
        Ok(self.position >= self.end())
    }

    fn z_position(&mut self) -> Result<u64, ZByteIoError> {
        Ok(self.position as u64)
    }

    fn read_remaining(&mut self, sink: &mut Vec<u8>) -> Result<usize, ZByteIoError> {
        let rest = self.bytes.get(self.position..).unwrap_or_default();
        sink.extend_from_slice(rest);
        self.position += rest.len();
        Ok(rest.len())
    }
}
