//! PNG to gray samples: <https://www.w3.org/TR/png-3/>. 8-bit gray is decoded into the output; other kinds need a table, or a pass over the
//! scratch memory.
//!
//! Gray of 1, 2 and 4 bits is scaled to 0 to 255, as in Pillow. A palette of grays becomes these grays. The decoder ignores a transparent
//! colour (`tRNS`), gamma and colour profiles. An animation of several frames is refused.

use super::{Color, Error, ImageFormat, accept, luminance, same_shape};
use ::png::{BitDepth, ColorType, DecodeOptions, DecodingError, Info, Limits, Reader};
use api::geometry::{Dtype, FrameSpec};
use std::io::{Cursor, ErrorKind};

type Input<'a> = Cursor<&'a [u8]>;

pub(super) fn probe(bytes: &[u8], color: Color) -> Result<FrameSpec, Error> {
    let mut decoder = open(bytes);
    let info = decoder.read_header_info().map_err(|e| failed(e, bytes))?;
    let (found, kind) = (spec(info), info.color_type);
    match kind {
        ColorType::Grayscale => {}
        // The palette follows later in the file. Reading up to the palette costs at most one row.
        ColorType::Indexed if color == Color::Refuse => {
            let reader = decoder.read_info().map_err(|e| failed(e, bytes))?;
            table(reader.info(), color)?;
        }
        ColorType::Indexed => {}
        other => accept(color, ImageFormat::Png, name(other))?,
    }
    Ok(found)
}

pub(super) fn decode(bytes: &[u8], expected: FrameSpec, color: Color, out: &mut [u8], scratch: &mut Vec<u8>) -> Result<(), Error> {
    let mut decoder = open(bytes);
    let info = decoder.read_header_info().map_err(|e| failed(e, bytes))?;
    let (kind, depth) = (info.color_type, info.bit_depth);
    same_shape(spec(info), expected)?;
    if !matches!(kind, ColorType::Grayscale | ColorType::Indexed) {
        accept(color, ImageFormat::Png, name(kind))?;
    }
    let mut reader = decoder.read_info().map_err(|e| failed(e, bytes))?;
    if let Some(frames) = reader.info().animation_control().map(|control| control.num_frames).filter(|&frames| frames > 1) {
        let what = format!("the animation states {frames} frames in one file; each frame needs its own URL");
        return Err(Error::Unsupported { format: ImageFormat::Png, what });
    }
    match (kind, depth) {
        (ColorType::Grayscale, BitDepth::Eight) => pixels(&mut reader, bytes, out),
        (ColorType::Grayscale, BitDepth::Sixteen) => {
            pixels(&mut reader, bytes, out)?;
            out.chunks_exact_mut(2).for_each(|sample| sample.swap(0, 1));
            Ok(())
        }
        (ColorType::Indexed, BitDepth::Eight) => {
            let table = table(reader.info(), color)?;
            pixels(&mut reader, bytes, out)?;
            look_up(&table, out)
        }
        (ColorType::Grayscale | ColorType::Indexed, _) => {
            let table = table(reader.info(), color)?;
            let size = reader_size(&reader)?;
            pixels(&mut reader, bytes, zeros(scratch, size))?;
            unpack(scratch, depth as u8, expected.width, out);
            look_up(&table, out)
        }
        _ => {
            let size = reader_size(&reader)?;
            pixels(&mut reader, bytes, zeros(scratch, size))?;
            match depth {
                BitDepth::Sixteen => {
                    luminance::from_u16(scratch, kind.samples(), u16::from_be_bytes, out);
                }
                _ => luminance::from_u8(scratch, kind.samples(), out),
            }
            Ok(())
        }
    }
}

/// A decoder that verifies checksums, skips text and colour profiles, and allocates at most 16 MiB before the pixels.
fn open(bytes: &[u8]) -> ::png::Decoder<Input<'_>> {
    let mut options = DecodeOptions::default();
    options.set_ignore_checksums(false);
    options.set_ignore_text_chunk(true);
    options.set_ignore_iccp_chunk(true);
    let mut decoder = ::png::Decoder::new_with_options(Cursor::new(bytes), options);
    decoder.set_limits(Limits { bytes: 16 << 20 });
    decoder
}

fn spec(info: &Info<'_>) -> FrameSpec {
    let dtype = if info.bit_depth == BitDepth::Sixteen { Dtype::Uint16 } else { Dtype::Uint8 };
    FrameSpec { height: info.height as usize, width: info.width as usize, dtype }
}

fn name(kind: ColorType) -> &'static str {
    match kind {
        ColorType::Grayscale => "gray",
        ColorType::GrayscaleAlpha => "gray with alpha",
        ColorType::Indexed => "a colour palette",
        ColorType::Rgb => "RGB",
        ColorType::Rgba => "RGBA",
    }
}

/// Decodes the first frame. `next_frame` copies each row once, while the unfiltered row is in the cache.
fn pixels(reader: &mut Reader<Input<'_>>, bytes: &[u8], out: &mut [u8]) -> Result<(), Error> {
    let frame = reader.next_frame(out).map_err(|e| failed(e, bytes))?;
    if frame.buffer_size() == out.len() {
        Ok(())
    } else {
        Err(Error::Unsupported { format: ImageFormat::Png, what: "an animation whose first frame covers a part of the image".into() })
    }
}

fn reader_size(reader: &Reader<Input<'_>>) -> Result<usize, Error> {
    reader.output_buffer_size().ok_or_else(|| corrupt("the image does not fit in memory"))
}

/// Zeros, because the decoder combines the passes of an interlaced image below 8 bits by or.
fn zeros(scratch: &mut Vec<u8>, size: usize) -> &mut [u8] {
    scratch.clear();
    scratch.resize(size, 0);
    scratch
}

/// The gray values of packed samples or palette indices; `None` beyond the palette.
fn table(info: &Info<'_>, color: Color) -> Result<[Option<u8>; 256], Error> {
    let mut table = [None; 256];
    if info.color_type == ColorType::Grayscale {
        let largest = (1_u16 << info.bit_depth as u8) - 1;
        for (value, gray) in (0..=largest).zip(&mut table) {
            *gray = Some((value * 255 / largest) as u8);
        }
        return Ok(table);
    }
    let palette = info.palette.as_deref().ok_or_else(|| corrupt("the palette is missing"))?;
    if palette.chunks_exact(3).any(|entry| entry[0] != entry[1] || entry[1] != entry[2]) {
        accept(color, ImageFormat::Png, name(info.color_type))?;
    }
    for (entry, gray) in palette.chunks_exact(3).zip(&mut table) {
        *gray = Some(luminance::of_u8(entry[0], entry[1], entry[2]));
    }
    Ok(table)
}

fn look_up(table: &[Option<u8>; 256], out: &mut [u8]) -> Result<(), Error> {
    let mut missing = false;
    for value in out {
        let gray = table[usize::from(*value)];
        missing |= gray.is_none();
        *value = gray.unwrap_or_default();
    }
    if missing { Err(corrupt("a pixel lies outside the palette")) } else { Ok(()) }
}

/// Unpacks samples of 1, 2 or 4 bits, most significant first. Each row starts at a byte: <https://www.w3.org/TR/png-3/#7Scanline>.
fn unpack(packed: &[u8], bits: u8, width: usize, out: &mut [u8]) {
    let per_byte = usize::from(8 / bits);
    let mask = (1_u8 << bits) - 1;
    let rows = out.chunks_exact_mut(width).zip(packed.chunks_exact(width.div_ceil(per_byte)));
    for (row, packed) in rows {
        for (samples, byte) in row.chunks_mut(per_byte).zip(packed) {
            let mut shift = 8;
            for sample in samples {
                shift -= bits;
                *sample = (byte >> shift) & mask;
            }
        }
    }
}

fn corrupt(what: &'static str) -> Error {
    Error::Corrupt { format: ImageFormat::Png, source: what.into() }
}

fn failed(error: DecodingError, bytes: &[u8]) -> Error {
    match error {
        DecodingError::IoError(e) if e.kind() == ErrorKind::UnexpectedEof => {
            Error::Truncated { format: ImageFormat::Png, received: bytes.len() }
        }
        other => Error::Corrupt { format: ImageFormat::Png, source: Box::new(other) },
    }
}
