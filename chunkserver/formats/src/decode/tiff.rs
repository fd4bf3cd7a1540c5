//! TIFF to gray samples: 8 and 16 bits and float32, in strips or tiles, of either byte order.
//! TIFF 6.0: <https://www.itu.int/itudoc/itu-t/com16/tiff-fx/docs/tiff6.pdf>.
//!
//! Values are those in the file, as in tifffile and scikit-image: `WhiteIsZero` images are not inverted.

mod lzw;

use super::{Color, Error, ImageFormat, accept, luminance, same_shape};
use ::tiff::decoder::{Decoder, Limits};
use ::tiff::tags::{PhotometricInterpretation, SampleFormat, Tag};
use ::tiff::{ColorType, TiffError};
use api::geometry::{Dtype, FrameSpec};
use std::io::{Cursor, ErrorKind};

type Input<'a> = Cursor<&'a [u8]>;

/// Largest width of a tile. The decoder allocates a row of a tile, so a forged width could allocate gigabytes.
const WIDEST_TILE: u32 = 1 << 16;

pub(super) fn probe(bytes: &[u8], color: Color) -> Result<FrameSpec, Error> {
    let mut decoder = open(bytes)?;
    let header = header(&mut decoder, bytes)?;
    header.accept(color)?;
    Ok(header.spec)
}

pub(super) fn decode(bytes: &[u8], expected: FrameSpec, color: Color, out: &mut [u8], scratch: &mut Vec<u8>) -> Result<(), Error> {
    let mut decoder = open(bytes)?;
    let header = header(&mut decoder, bytes)?;
    same_shape(header.spec, expected)?;
    header.accept(color)?;
    let mut limits = Limits::default();
    limits.decoding_buffer_size = header.channels * expected.bytes();
    // No strip or tile is longer than the file.
    limits.intermediate_buffer_size = bytes.len();
    let mut decoder = decoder.with_limits(limits);
    if header.channels == 1 {
        pixels(&mut decoder, &header, bytes, out)?;
        little_endian(out, expected.dtype);
        return Ok(());
    }
    scratch.resize(header.channels * expected.bytes(), 0);
    pixels(&mut decoder, &header, bytes, scratch)?;
    match expected.dtype {
        Dtype::Uint16 => luminance::from_u16(scratch, header.channels, u16::from_ne_bytes, out),
        _ => luminance::from_u8(scratch, header.channels, out),
    }
    Ok(())
}

/// Reads all channels as in the file, in the byte order of the machine.
fn pixels(decoder: &mut Decoder<Input<'_>>, header: &Header, bytes: &[u8], out: &mut [u8]) -> Result<(), Error> {
    if lzw::applies(decoder, header, bytes)? {
        return lzw::read(decoder, header, bytes, out);
    }
    decoder.read_image_bytes(out).map_err(|e| failed(e, bytes))?;
    // The decoder inverts such images. `!` restores the values of the file.
    if header.inverted {
        out.iter_mut().for_each(|byte| *byte = !*byte);
    }
    Ok(())
}

struct Header {
    spec: FrameSpec,
    channels: usize,
    inverted: bool,
}

impl Header {
    fn accept(&self, color: Color) -> Result<(), Error> {
        match self.channels {
            1 => Ok(()),
            3 => accept(color, ImageFormat::Tiff, "RGB"),
            _ => accept(color, ImageFormat::Tiff, "RGBA"),
        }
    }
}

/// Reads the first directory. The decoder limits each table to a megabyte.
fn open(bytes: &[u8]) -> Result<Decoder<Input<'_>>, Error> {
    Decoder::new(Cursor::new(bytes)).map_err(|e| failed(e, bytes))
}

fn header(decoder: &mut Decoder<Input<'_>>, bytes: &[u8]) -> Result<Header, Error> {
    let (width, height) = decoder.dimensions().map_err(|e| failed(e, bytes))?;
    let color = decoder.colortype().map_err(|e| failed(e, bytes))?;
    if decoder.more_images() {
        return Err(unsupported("several pages; each frame needs its own URL"));
    }
    let (bits, channels) = match color {
        ColorType::Gray(bits) => (bits, 1),
        ColorType::RGB(bits) => (bits, 3),
        ColorType::RGBA(bits) => (bits, 4),
        other => return Err(unsupported(format!("{other:?} pixels"))),
    };
    let layout = decoder.image_buffer_layout().map_err(|e| failed(e, bytes))?;
    let dtype = match (layout.sample_format, bits) {
        (SampleFormat::Uint, 8) => Dtype::Uint8,
        (SampleFormat::Uint, 16) => Dtype::Uint16,
        (SampleFormat::IEEEFP, 32) if channels == 1 => Dtype::Float32,
        (format, bits) => {
            return Err(unsupported(format!("{bits}-bit {format:?} samples (uint8, uint16 and float32 are supported)")));
        }
    };
    let spec = FrameSpec { height: height as usize, width: width as usize, dtype };
    // Each colour in its own plane, or more channels than the colour type has.
    let bytes_expected = (width as usize).checked_mul(height as usize).and_then(|pixels| pixels.checked_mul(channels * dtype.size()));
    if layout.planes != 1 || Some(layout.complete_len) != bytes_expected {
        return Err(unsupported("colours in separate planes, or extra channels"));
    }
    if decoder.chunk_dimensions().0 > width.max(WIDEST_TILE) {
        return Err(unsupported(format!("tiles wider than {WIDEST_TILE} pixels")));
    }
    let photometric = decoder.find_tag_unsigned::<u16>(Tag::PhotometricInterpretation).map_err(|e| failed(e, bytes))?;
    let inverted = photometric == Some(PhotometricInterpretation::WhiteIsZero.to_u16());
    if inverted && dtype == Dtype::Float32 {
        return Err(unsupported("float32 with the WhiteIsZero interpretation"));
    }
    Ok(Header { spec, channels, inverted })
}

/// Converts samples from the byte order of the machine.
fn little_endian(out: &mut [u8], dtype: Dtype) {
    if cfg!(target_endian = "big") {
        out.chunks_exact_mut(dtype.size()).for_each(<[u8]>::reverse);
    }
}

fn unsupported(what: impl Into<String>) -> Error {
    Error::Unsupported { format: ImageFormat::Tiff, what: what.into() }
}

fn failed(error: TiffError, bytes: &[u8]) -> Error {
    match error {
        TiffError::IoError(e) if e.kind() == ErrorKind::UnexpectedEof => {
            Error::Truncated { format: ImageFormat::Tiff, received: bytes.len() }
        }
        TiffError::UnsupportedError(e) => unsupported(e.to_string()),
        other => Error::Corrupt { format: ImageFormat::Tiff, source: Box::new(other) },
    }
}
