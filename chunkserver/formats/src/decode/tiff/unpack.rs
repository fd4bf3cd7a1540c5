//! The compressions of strips and tiles: TIFF 6.0, sections 9 (packbits) and 13 (LZW); Adobe Photoshop TIFF Technical Note 2 (deflate).

use super::corrupt;
use super::header::Compression;
use crate::decode::Error;
use flate2::{Decompress, FlushDecompress, Status};
use weezl::{BitOrder, LzwStatus, decode};

/// Largest number of consecutive calls without progress. The LZW decoder buffers 64 bits, and each code of 9 bits may only reset the decoder.
const IDLE_CALLS: usize = 64 / 9 + 1;

/// Decompresses chunk after chunk.
pub(super) enum Unpacker {
    None,
    Lzw(Box<decode::Decoder>),
    Deflate(Inflate),
    PackBits(PackBits),
}

/// A stream of deflate with the header and the checksum of zlib.
pub(super) struct Inflate {
    stream: Box<Decompress>,
    /// Whether the checksum was read, and was right.
    ended: bool,
}

/// The rest of a run that did not fit.
#[derive(Clone, Copy, Default)]
pub(super) struct PackBits {
    count: usize,
    /// `None`: a run of literal bytes.
    repeated: Option<u8>,
}

impl Unpacker {
    pub(super) fn new(compression: Compression) -> Self {
        match compression {
            Compression::None => Self::None,
            Compression::Lzw => {
                let lzw = decode::Configuration::with_tiff_size_switch(BitOrder::Msb, 8).with_yield_on_full_buffer(true).build();
                Self::Lzw(Box::new(lzw))
            }
            Compression::Deflate => Self::Deflate(Inflate { stream: Box::new(Decompress::new(true)), ended: false }),
            Compression::PackBits => Self::PackBits(PackBits::default()),
        }
    }

    /// Begins a chunk, which starts with `packed`.
    pub(super) fn begin(&mut self, packed: &[u8]) -> Result<(), Error> {
        match self {
            Self::None => {}
            Self::Lzw(lzw) => {
                // The test of libtiff. Every other chunk starts with a clear code, 0x80.
                if let [0, second, ..] = packed
                    && second & 1 == 1
                {
                    return Err(super::unsupported("LZW in the bit order of versions before TIFF 6.0"));
                }
                lzw.reset();
            }
            Self::Deflate(inflate) => {
                inflate.stream.reset(true);
                inflate.ended = false;
            }
            Self::PackBits(run) => *run = PackBits::default(),
        }
        Ok(())
    }

    /// Fills `out` from `packed`, and removes the bytes that were read from `packed`.
    pub(super) fn fill(&mut self, packed: &mut &[u8], out: &mut [u8]) -> Result<(), Error> {
        match self {
            Self::None => {
                let (bytes, rest) = packed.split_at_checked(out.len()).ok_or_else(|| ends("pixels"))?;
                out.copy_from_slice(bytes);
                *packed = rest;
                Ok(())
            }
            Self::Lzw(lzw) => fill_lzw(lzw, packed, out),
            Self::Deflate(inflate) => inflate.fill(packed, out),
            Self::PackBits(run) => run.fill(packed, out),
        }
    }

    /// After the last byte of a chunk: checks the checksum, which follows the data of deflate.
    pub(super) fn finish(&mut self, packed: &[u8]) -> Result<(), Error> {
        match self {
            Self::Deflate(inflate) if !inflate.ended => {
                inflate.stream.decompress(packed, &mut [0], FlushDecompress::None).map(drop).map_err(corrupt)
            }
            Self::None | Self::Lzw(_) | Self::Deflate(_) | Self::PackBits(_) => Ok(()),
        }
    }
}

/// The `tiff` crate reports the end of the data when its LZW decoder makes no progress in one call, and refuses valid images of noise:
/// <https://github.com/image-rs/image-tiff/pull/402>.
fn fill_lzw(lzw: &mut decode::Decoder, packed: &mut &[u8], mut out: &mut [u8]) -> Result<(), Error> {
    let mut idle = 0;
    while !out.is_empty() {
        let step = lzw.decode_bytes(packed, out);
        *packed = &packed[step.consumed_in..];
        out = &mut out[step.consumed_out..];
        let status = step.status.map_err(corrupt)?;
        idle = if step.consumed_in + step.consumed_out == 0 { idle + 1 } else { 0 };
        if !out.is_empty() && (matches!(status, LzwStatus::Done) || idle > IDLE_CALLS) {
            return Err(ends("LZW data"));
        }
    }
    Ok(())
}

impl Inflate {
    fn fill(&mut self, packed: &mut &[u8], mut out: &mut [u8]) -> Result<(), Error> {
        while !out.is_empty() {
            let (read, written) = (self.stream.total_in(), self.stream.total_out());
            let status = self.stream.decompress(packed, out, FlushDecompress::None).map_err(corrupt)?;
            let (read, written) = ((self.stream.total_in() - read) as usize, (self.stream.total_out() - written) as usize);
            *packed = &packed[read..];
            out = &mut out[written..];
            self.ended = status == Status::StreamEnd;
            if !out.is_empty() && (self.ended || read + written == 0) {
                return Err(ends("deflate data"));
            }
        }
        Ok(())
    }
}

impl PackBits {
    fn fill(&mut self, packed: &mut &[u8], mut out: &mut [u8]) -> Result<(), Error> {
        while !out.is_empty() {
            if self.count == 0 {
                let (&header, rest) = packed.split_first().ok_or_else(|| ends("packbits data"))?;
                *packed = rest;
                match header {
                    0..=127 => *self = Self { count: usize::from(header) + 1, repeated: None },
                    // No operation.
                    128 => {}
                    129..=255 => {
                        let (&byte, rest) = packed.split_first().ok_or_else(|| ends("packbits data"))?;
                        *packed = rest;
                        *self = Self { count: 257 - usize::from(header), repeated: Some(byte) };
                    }
                }
                continue;
            }
            let count = self.count.min(out.len());
            let (run, rest) = out.split_at_mut(count);
            match self.repeated {
                Some(byte) => run.fill(byte),
                None => {
                    let (bytes, left) = packed.split_at_checked(count).ok_or_else(|| ends("packbits data"))?;
                    run.copy_from_slice(bytes);
                    *packed = left;
                }
            }
            self.count -= count;
            out = rest;
        }
        Ok(())
    }
}

fn ends(what: &str) -> Error {
    corrupt(format!("the {what} of a strip or tile ends before its last pixel"))
}
