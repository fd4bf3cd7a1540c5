//! JPEG to gray samples: ITU-T T.81, <https://www.w3.org/Graphics/JPEG/itu-t81.pdf>. One component is gray, three are converted from `YCbCr`
//! or RGB.
//!
//! Ordinary images are decoded by `zune-jpeg`. The standard allows decoders to differ by one gray level, and this decoder may differ from
//! libjpeg, which Pillow uses. All other images are decoded by [`exact`], without a difference. `Orientation` in EXIF is ignored, as in
//! Pillow.

mod block;
mod exact;
mod header;
mod huffman;
mod idct;
mod padded;
mod planes;

use super::{Color, Error, ImageFormat, accept, luminance, same_shape};
use api::geometry::FrameSpec;
use header::{END_OF_IMAGE, Header};
use padded::Padded;
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

pub(super) fn probe(bytes: &[u8], color: Color) -> Result<FrameSpec, Error> {
    let header = Header::read(bytes)?;
    acceptable(&header, color)?;
    Ok(header.spec())
}

pub(super) fn decode(bytes: &[u8], expected: FrameSpec, color: Color, out: &mut [u8], scratch: &mut Vec<u8>) -> Result<(), Error> {
    let header = Header::read(bytes)?;
    same_shape(header.spec(), expected)?;
    acceptable(&header, color)?;
    let end = huffman::marker_after(bytes, header.scan).ok_or_else(|| truncated(bytes))?;
    // The only scan ends the image.
    let ordinary = header.is_ordinary() && bytes[end..].iter().find(|&&byte| byte != 0xff) == Some(&END_OF_IMAGE);
    // The fast decoder also refuses some valid images.
    if ordinary && fast(&bytes[..end], header.components.len(), expected, out, scratch).is_ok() {
        return Ok(());
    }
    planes::gray(exact::coefficients(bytes, &header)?, &header, out)
}

/// Bytes that the decoder of a gray image allocates beyond rows, from the header alone; 0 for colours, whose channels the plan of a job
/// counts. An image that is not readable takes nothing. Not counted: an image that looks ordinary and that the fast decoder refuses.
pub(crate) fn scratch_bytes(bytes: &[u8]) -> u64 {
    match Header::read(bytes) {
        Ok(header) if header.components.len() == 1 && !header.is_ordinary() => exact::bytes(&header),
        _ => 0,
    }
}

/// Decodes with `zune-jpeg`. `bytes` ends before the end marker.
fn fast(bytes: &[u8], components: usize, expected: FrameSpec, out: &mut [u8], scratch: &mut Vec<u8>) -> Result<(), DecodeErrors> {
    if components == 1 {
        return open(bytes, ColorSpace::Luma).decode_into(out);
    }
    scratch.resize(3 * expected.pixels(), 0);
    open(bytes, ColorSpace::RGB).decode_into(scratch)?;
    luminance::from_u8(scratch, 3, out);
    Ok(())
}

/// A strict decoder. Otherwise parts that fail to decode become gray.
fn open(bytes: &[u8], space: ColorSpace) -> JpegDecoder<Padded<'_>> {
    let largest = usize::from(u16::MAX);
    let options =
        DecoderOptions::default().set_strict_mode(true).set_max_width(largest).set_max_height(largest).jpeg_set_out_colorspace(space);
    JpegDecoder::new_with_options(Padded::new(bytes), options)
}

fn acceptable(header: &Header, color: Color) -> Result<(), Error> {
    match header.components.len() {
        1 => Ok(()),
        3 => accept(color, ImageFormat::Jpeg, "in colour"),
        other => Err(unsupported(format!("{other} components, such as CMYK"))),
    }
}

fn unsupported(what: impl Into<String>) -> Error {
    Error::Unsupported { format: ImageFormat::Jpeg, what: what.into() }
}

fn corrupt(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::Corrupt { format: ImageFormat::Jpeg, source: source.into() }
}

fn truncated(bytes: &[u8]) -> Error {
    Error::Truncated { format: ImageFormat::Jpeg, received: bytes.len() }
}
