//! TIFF pixels that are compressed with LZW: TIFF 6.0, section 13. Predictors: section 14, and Adobe Photoshop TIFF Technical Note 3,
//! <https://www.awaresystems.be/imaging/tiff/tifftags/predictor.html>.
//!
//! The `tiff` crate reports the end of the data when its LZW decoder makes no progress in one call, and refuses valid images of noise:
//! <https://github.com/image-rs/image-tiff/pull/402>. Here the crate reads only the directory, and this module decompresses strips and
//! tiles.

use super::{Header, Input, failed, unsupported};
use crate::decode::{Error, ImageFormat};
use ::tiff::decoder::{ChunkType, Decoder};
use ::tiff::tags::{ByteOrder, CompressionMethod, Predictor, Tag};
use ::weezl::{BitOrder, LzwStatus, decode};
use api::geometry::Dtype;

/// Bytes that are decompressed at a time; at least one row.
const BAND: usize = 1 << 16;

/// Largest number of consecutive calls without progress. The decoder buffers 64 bits, and each code of 9 bits may only reset the decoder.
const IDLE_CALLS: usize = 64 / 9 + 1;

/// Whether [`read`] supports the image.
pub(super) fn applies(decoder: &mut Decoder<Input<'_>>, header: &Header, bytes: &[u8]) -> Result<bool, Error> {
    let method = decoder.find_tag_unsigned::<u16>(Tag::Compression).map_err(|e| failed(e, bytes))?;
    let samples = decoder.find_tag_unsigned::<u16>(Tag::SamplesPerPixel).map_err(|e| failed(e, bytes))?;
    Ok(method == Some(CompressionMethod::LZW.to_u16()) && usize::from(samples.unwrap_or(1)) == header.channels)
}

/// Reads the whole image into `out`, which has the size of the image, in the byte order of the machine. Samples are not inverted.
pub(super) fn read(decoder: &mut Decoder<Input<'_>>, header: &Header, bytes: &[u8], out: &mut [u8]) -> Result<(), Error> {
    let tags = match decoder.get_chunk_type() {
        ChunkType::Strip => (Tag::StripOffsets, Tag::StripByteCounts),
        ChunkType::Tile => (Tag::TileOffsets, Tag::TileByteCounts),
    };
    let mut table = |tag| decoder.find_tag_unsigned_vec::<usize>(tag).map(Option::unwrap_or_default).map_err(|e| failed(e, bytes));
    let (starts, lengths) = (table(tags.0)?, table(tags.1)?);
    let (chunk_width, chunk_height) = decoder.chunk_dimensions();
    let (chunk_width, chunk_height) = (chunk_width as usize, chunk_height as usize);
    let row = Row::new(decoder, header, bytes)?;
    let (height, width) = (header.spec.height, header.spec.width);
    let across = width.div_ceil(chunk_width);
    if starts.len() != lengths.len() || starts.len() != across * height.div_ceil(chunk_height) {
        return Err(corrupt("a strip or tile has no offset or no size"));
    }
    let pixel = header.channels * header.spec.dtype.size();
    let chunk_row = chunk_width * pixel;
    let band_rows = (BAND / chunk_row).clamp(1, chunk_height.min(height));
    let mut band = vec![0; band_rows * chunk_row];
    let mut lzw = decode::Configuration::with_tiff_size_switch(BitOrder::Msb, 8).with_yield_on_full_buffer(true).build();
    for (index, (&start, &length)) in starts.iter().zip(&lengths).enumerate() {
        let end = start.checked_add(length).ok_or_else(|| corrupt("the offset of a strip or tile is out of range"))?;
        let mut packed = bytes.get(start..end).ok_or(Error::Truncated { format: ImageFormat::Tiff, received: bytes.len() })?;
        let (top, left) = (index / across * chunk_height, index % across * chunk_width);
        // The last tiles extend beyond the image.
        let kept = chunk_width.min(width - left) * pixel;
        let rows = chunk_height.min(height - top);
        lzw.reset();
        for first in (0..rows).step_by(band_rows) {
            let band = &mut band[..band_rows.min(rows - first) * chunk_row];
            unpack(&mut lzw, &mut packed, band)?;
            for (i, line) in band.chunks_exact_mut(chunk_row).enumerate() {
                let at = ((top + first + i) * width + left) * pixel;
                row.restore(line, kept, &mut out[at..at + kept]);
            }
        }
    }
    Ok(())
}

/// Fills `out` from `packed` and removes the bytes that were read from `packed`.
fn unpack(lzw: &mut decode::Decoder, packed: &mut &[u8], mut out: &mut [u8]) -> Result<(), Error> {
    let mut idle = 0;
    while !out.is_empty() {
        let step = lzw.decode_bytes(packed, out);
        *packed = &packed[step.consumed_in..];
        out = &mut out[step.consumed_out..];
        let status = step.status.map_err(corrupt)?;
        idle = if step.consumed_in + step.consumed_out == 0 { idle + 1 } else { 0 };
        if !out.is_empty() && (matches!(status, LzwStatus::Done) || idle > IDLE_CALLS) {
            return Err(corrupt("the LZW data of a strip or tile ends before its last pixel"));
        }
    }
    Ok(())
}

/// The conversion of the bytes of a row to samples.
struct Row {
    predictor: Predictor,
    channels: usize,
    dtype: Dtype,
    /// Whether the byte order of the file differs from the byte order of the machine.
    swapped: bool,
}

impl Row {
    fn new(decoder: &mut Decoder<Input<'_>>, header: &Header, bytes: &[u8]) -> Result<Self, Error> {
        let tag = decoder.find_tag_unsigned::<u16>(Tag::Predictor).map_err(|e| failed(e, bytes))?;
        let predictor = Predictor::from_u16(tag.unwrap_or(Predictor::None.to_u16()));
        let dtype = header.spec.dtype;
        let predictor = match predictor {
            Some(Predictor::FloatingPoint) if dtype != Dtype::Float32 => {
                return Err(unsupported("integers with the floating point predictor"));
            }
            Some(known @ (Predictor::None | Predictor::Horizontal | Predictor::FloatingPoint)) => known,
            _ => return Err(unsupported(format!("predictor {}", tag.unwrap_or_default()))),
        };
        Ok(Self { predictor, channels: header.channels, dtype, swapped: decoder.byte_order() != ByteOrder::native() })
    }

    /// Reverts the predictor and the byte order of `line`, and copies the first `kept` bytes to `out`.
    fn restore(&self, line: &mut [u8], kept: usize, out: &mut [u8]) {
        if self.predictor == Predictor::FloatingPoint {
            // The differences run through the whole row: all most significant bytes first, then all second bytes.
            add_previous::<1>(line, self.channels, |[a], [b]| [a.wrapping_add(b)]);
            let plane = line.len() / 4;
            for (i, sample) in out.chunks_exact_mut(4).enumerate() {
                let value = u32::from_be_bytes([line[i], line[plane + i], line[2 * plane + i], line[3 * plane + i]]);
                sample.copy_from_slice(&value.to_ne_bytes());
            }
            return;
        }
        let line = &mut line[..kept];
        if self.swapped && self.dtype.size() > 1 {
            line.chunks_exact_mut(self.dtype.size()).for_each(<[u8]>::reverse);
        }
        if self.predictor == Predictor::Horizontal {
            match self.dtype.size() {
                1 => add_previous(line, self.channels, |[a], [b]| [a.wrapping_add(b)]),
                2 => add_previous(line, self.channels, |a, b| u16::from_ne_bytes(a).wrapping_add(u16::from_ne_bytes(b)).to_ne_bytes()),
                _ => add_previous(line, self.channels, |a, b| u32::from_ne_bytes(a).wrapping_add(u32::from_ne_bytes(b)).to_ne_bytes()),
            }
        }
        out.copy_from_slice(line);
    }
}

/// Adds to each sample the sample `channels` positions before.
fn add_previous<const SIZE: usize>(line: &mut [u8], channels: usize, add: impl Fn([u8; SIZE], [u8; SIZE]) -> [u8; SIZE]) {
    let (samples, _) = line.as_chunks_mut::<SIZE>();
    for i in channels..samples.len() {
        samples[i] = add(samples[i], samples[i - channels]);
    }
}

fn corrupt(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::Corrupt { format: ImageFormat::Tiff, source: source.into() }
}
