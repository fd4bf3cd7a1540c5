//! TIFF to gray samples: 1, 2, 4, 8 and 16 bits, float32 and palettes, in strips or tiles, of either byte order.
//! TIFF 6.0: <https://www.itu.int/itudoc/itu-t/com16/tiff-fx/docs/tiff6.pdf>.
//!
//! Values are those in the file, as in tifffile and scikit-image: `WhiteIsZero` images are not inverted, and `Orientation` is ignored. Gray
//! below 8 bits is scaled to 0 to 255, and a palette of grays becomes these grays, as in Pillow. Where these libraries differ, the image is
//! refused.

mod chunks;
mod directory;
mod frames;
mod header;
mod row;
mod tag;
mod unpack;

use super::{Color, Error, ImageFormat, luminance, same_shape};
use api::geometry::{Dtype, FrameSpec};
use directory::File;
use header::{Compression, Header};
use row::Row;
use std::borrow::Cow;
use unpack::Unpacker;

/// Bytes that are decompressed at a time; at least one row.
const BAND: usize = 1 << 16;

pub(super) fn probe(bytes: &[u8], color: Color) -> Result<FrameSpec, Error> {
    let header = open(bytes)?;
    header.accept(color)?;
    Ok(header.spec)
}

pub(super) fn decode(bytes: &[u8], expected: FrameSpec, color: Color, out: &mut [u8], scratch: &mut Vec<u8>) -> Result<(), Error> {
    let header = open(bytes)?;
    same_shape(header.spec, expected)?;
    header.accept(color)?;
    if header.channels == 1 {
        return pixels(&header, out);
    }
    scratch.resize(header.channels * expected.bytes(), 0);
    pixels(&header, scratch)?;
    match expected.dtype {
        Dtype::Uint16 => luminance::from_u16(scratch, header.channels, u16::from_le_bytes, out),
        _ => luminance::from_u8(scratch, header.channels, out),
    }
    Ok(())
}

/// Most bytes of the file that the decoder copies; `None` if the header is not readable.
pub(crate) fn copies(bytes: &[u8]) -> Option<usize> {
    open(bytes).ok().map(|header| if header.reversed_bits { bytes.len() } else { 0 })
}

/// The header of the only frame.
fn open(bytes: &[u8]) -> Result<Header<'_>, Error> {
    let file = File::new(bytes);
    let offset = file.first()?;
    let directory = file.directory(offset)?;
    frames::one_page(&file, &directory, offset)?;
    let header = Header::read(file, &directory)?;
    frames::one_frame(&directory, &header)?;
    Ok(header)
}

/// Reads all channels, little endian, into `out`, which has the size of the image.
fn pixels(header: &Header<'_>, out: &mut [u8]) -> Result<(), Error> {
    let (row, chunks) = (Row::new(header), &header.chunks);
    let FrameSpec { height, width, dtype } = header.spec;
    // Bytes of a pixel in `out`, and bytes of a row in `out` and in a chunk.
    let pixel = header.channels * dtype.size();
    let (out_row, chunk_row) = (width * pixel, (chunks.width * header.channels * header.bits).div_ceil(8));
    let blank = header.grays.as_ref().map_or(chunks.blank, |grays| [grays[usize::from(chunks.blank[0])], 0, 0, 0]);
    let mut unpacker = Unpacker::new(header.compression);
    let direct = row.in_place() && chunk_row == out_row;
    let band_rows = (BAND / chunk_row).clamp(1, chunks.height.min(height));
    let mut band = vec![0; if direct { 0 } else { band_rows * chunk_row }];
    for index in 0..chunks.count {
        let (top, left) = (index / chunks.across * chunks.height, index % chunks.across * chunks.width);
        let rows = chunks.height.min(height - top);
        // The last tiles extend beyond the image.
        let kept = chunks.width.min(width - left) * pixel;
        let size = (header.compression == Compression::None).then(|| rows.saturating_mul(chunk_row));
        let Some(packed) = chunks.bytes(&header.file, index, size)? else {
            for y in top..top + rows {
                let line = &mut out[y * out_row + left * pixel..][..kept];
                line.chunks_exact_mut(dtype.size()).for_each(|sample| sample.copy_from_slice(&blank[..dtype.size()]));
            }
            continue;
        };
        let packed = in_order(packed, header.reversed_bits);
        let mut packed = &packed[..];
        unpacker.begin(packed)?;
        if direct {
            let lines = &mut out[top * out_row..][..rows * out_row];
            unpacker.fill(&mut packed, lines)?;
            row.restore(lines, out_row);
        } else if row.in_place() && header.compression == Compression::None {
            for (y, line) in packed.chunks_exact(chunk_row).take(rows).enumerate() {
                let out = &mut out[(top + y) * out_row + left * pixel..][..kept];
                out.copy_from_slice(&line[..kept]);
                row.restore(out, kept);
            }
        } else {
            for first in (0..rows).step_by(band_rows) {
                let band = &mut band[..band_rows.min(rows - first) * chunk_row];
                unpacker.fill(&mut packed, band)?;
                for (i, line) in band.chunks_exact_mut(chunk_row).enumerate() {
                    row.convert(line, &mut out[(top + first + i) * out_row + left * pixel..][..kept]);
                }
            }
        }
        // Tiles at the lower edge continue with padding, which is not read.
        if rows == chunks.height {
            unpacker.finish(packed)?;
        }
    }
    Ok(())
}

/// The bytes of a chunk, with the most significant bit first. As in libtiff, `FillOrder` 2 reverses the bits of every byte of the file's
/// data, before decompression and for samples of any size.
fn in_order(packed: &[u8], reversed: bool) -> Cow<'_, [u8]> {
    if reversed { packed.iter().map(|byte| byte.reverse_bits()).collect::<Vec<_>>().into() } else { packed.into() }
}

fn unsupported(what: impl Into<String>) -> Error {
    Error::Unsupported { format: ImageFormat::Tiff, what: what.into() }
}

fn corrupt(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::Corrupt { format: ImageFormat::Tiff, source: source.into() }
}

fn truncated(bytes: &[u8]) -> Error {
    Error::Truncated { format: ImageFormat::Tiff, received: bytes.len() }
}
