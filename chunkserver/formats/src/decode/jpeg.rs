//! JPEG to gray samples: ITU-T T.81, <https://www.w3.org/Graphics/JPEG/itu-t81.pdf>. One component is decoded into the output, three are
//! decoded to RGB and converted.
//!
//! The standard allows decoders to differ by one gray level. This decoder may differ from libjpeg, which Pillow uses.

use super::{Color, Error, ImageFormat, accept, luminance, same_shape};
use api::geometry::{Dtype, FrameSpec};
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

pub(super) fn probe(bytes: &[u8], color: Color) -> Result<FrameSpec, Error> {
    let (found, components) = header(bytes)?;
    acceptable(components, color)?;
    Ok(found)
}

pub(super) fn decode(bytes: &[u8], expected: FrameSpec, color: Color, out: &mut [u8], scratch: &mut Vec<u8>) -> Result<(), Error> {
    let (found, components) = header(bytes)?;
    same_shape(found, expected)?;
    acceptable(components, color)?;
    if !ends(bytes) {
        return Err(Error::Truncated { format: ImageFormat::Jpeg, received: bytes.len() });
    }
    if components == 1 {
        return open(bytes, ColorSpace::Luma).decode_into(out).map_err(|e| failed(e, bytes));
    }
    scratch.resize(3 * expected.pixels(), 0);
    open(bytes, ColorSpace::RGB).decode_into(scratch).map_err(|e| failed(e, bytes))?;
    luminance::from_u8(scratch, 3, out);
    Ok(())
}

/// A strict decoder. Otherwise parts that fail to decode become gray.
fn open(bytes: &[u8], space: ColorSpace) -> JpegDecoder<ZCursor<&[u8]>> {
    let largest = usize::from(u16::MAX);
    let options =
        DecoderOptions::default().set_strict_mode(true).set_max_width(largest).set_max_height(largest).jpeg_set_out_colorspace(space);
    JpegDecoder::new_with_options(ZCursor::new(bytes), options)
}

fn header(bytes: &[u8]) -> Result<(FrameSpec, u8), Error> {
    let mut decoder = open(bytes, ColorSpace::Luma);
    decoder.decode_headers().map_err(|e| failed(e, bytes))?;
    let info = decoder.info().ok_or_else(|| Error::Corrupt { format: ImageFormat::Jpeg, source: "the header is missing".into() })?;
    let spec = FrameSpec { height: info.height.into(), width: info.width.into(), dtype: Dtype::Uint8 };
    Ok((spec, info.components))
}

fn acceptable(components: u8, color: Color) -> Result<(), Error> {
    match components {
        1 => Ok(()),
        3 => accept(color, ImageFormat::Jpeg, "in colour"),
        other => Err(Error::Unsupported { format: ImageFormat::Jpeg, what: format!("{other} components, such as CMYK") }),
    }
}

/// Whether an end-of-image marker follows the header segments. Entropy-coded data does not contain the marker: each 0xff is followed by 0
/// (T.81, B.1.1.5).
fn ends(bytes: &[u8]) -> bool {
    const START_OF_SCAN: u8 = 0xda;
    let mut at = 2;
    while let Some(&[0xff, marker]) = bytes.get(at..at + 2) {
        // Fill bytes before a marker (T.81, B.1.1.2).
        if marker == 0xff {
            at += 1;
            continue;
        }
        if marker == START_OF_SCAN {
            break;
        }
        let Some(&[high, low]) = bytes.get(at + 2..at + 4) else {
            return false;
        };
        at += 2 + usize::from(u16::from_be_bytes([high, low]));
    }
    // Backwards, because the marker is usually at the end.
    bytes.get(at..).is_some_and(|scan| scan.windows(2).rev().any(|pair| pair == [0xff, 0xd9]))
}

fn failed(error: DecodeErrors, bytes: &[u8]) -> Error {
    match error {
        DecodeErrors::ExhaustedData | DecodeErrors::IoErrors(_) => Error::Truncated { format: ImageFormat::Jpeg, received: bytes.len() },
        DecodeErrors::Unsupported(scheme) => Error::Unsupported { format: ImageFormat::Jpeg, what: format!("{scheme:?}") },
        other => Error::Corrupt { format: ImageFormat::Jpeg, source: Box::new(other) },
    }
}
