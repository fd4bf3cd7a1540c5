//! Images: an error or pixels, never more memory than the plan counts, and the pixels that the crates `png` and `tiff` read.
//!
//! Input: one byte of options, then the image. Checksums of a PNG are corrected, so that changes reach the decoder.

use crate::allocation::at_most;
use api::geometry::{Dtype, FrameSpec};
use formats::decode::{Color, Decoder, Error, ImageFormat, probe};
use formats::scratch::beyond_plan;
use std::io::Cursor;

/// Largest frame of a run. The limit keeps runs fast.
const LARGEST: usize = 1 << 18;
/// Bytes that decoders need for tables, and for the text of an error.
const TABLES: usize = 1 << 20;

pub(super) fn run(input: &[u8]) {
    let Some((options, image)) = input.split_first() else { return };
    let color = if options & 1 == 0 { Color::Refuse } else { Color::Luminance };
    let mut image = image.to_vec();
    if options & 2 == 0 {
        correct_checksums(&mut image);
    }
    // Headers, tables and lists of an image are at most as long as the image.
    let limit = TABLES + 16 * image.len();
    let found = at_most(limit, || probe(&image, color));
    let wrong = FrameSpec { height: 5, width: 3, dtype: Dtype::Uint8 };
    check_wrong(&image, color, wrong, limit, found.as_ref().is_ok_and(|found| *found == wrong));
    let Ok(spec) = found else { return };
    if spec.height.saturating_mul(spec.width) > LARGEST {
        return;
    }
    // The parts of the plan: frames in color of 1 or 2 bytes a channel, and rows.
    let beyond = usize::try_from(beyond_plan(&image, spec)).unwrap();
    let scratch = spec.bytes() / 4 + 9 * spec.bytes();
    let (mut once, mut twice) = (vec![0x5a; spec.bytes()], vec![0xa5; spec.bytes()]);
    let mut decoder = Decoder::new();
    let first = at_most(limit + beyond + scratch, || decoder.decode(&image, spec, color, &mut once));
    let second = decoder.decode(&image, spec, color, &mut twice);
    assert_eq!(first.is_ok(), second.is_ok(), "the decoder depends on earlier images");
    if first.is_err() {
        return;
    }
    assert!(once == twice, "not every pixel is written");
    let reference = match ImageFormat::of(&image) {
        Some(ImageFormat::Png) => of_png(&image, spec),
        Some(ImageFormat::Tiff) => of_tiff(&image),
        Some(ImageFormat::Jpeg) | None => None,
    };
    if let Some(reference) = reference {
        assert!(once == reference, "another decoder reads other pixels");
    }
}

/// The decoder refuses an image of another shape without more memory than the header needs.
fn check_wrong(image: &[u8], color: Color, wrong: FrameSpec, limit: usize, is_right: bool) {
    let mut out = vec![0; wrong.bytes()];
    let decoded = at_most(limit, || Decoder::new().decode(image, wrong, color, &mut out));
    let is_raw = image.len() == wrong.bytes();
    assert!(decoded.is_err() || is_right || is_raw);
    if let Err(error) = decoded {
        let _ = (error.is_damage(), error.to_string());
        assert!(!matches!(error, Error::NoHeader));
    }
}

/// The pixels of a gray PNG of 8 or 16 bits without transparency.
fn of_png(image: &[u8], spec: FrameSpec) -> Option<Vec<u8>> {
    let mut reader = png::Decoder::new(Cursor::new(image)).read_info().ok()?;
    let info = reader.info();
    if info.color_type != png::ColorType::Grayscale || (info.bit_depth as usize) < 8 || info.trns.is_some() || info.interlaced {
        return None;
    }
    let mut pixels = vec![0; spec.bytes()];
    reader.next_frame(&mut pixels).ok()?;
    if spec.dtype == Dtype::Uint16 {
        pixels.as_chunks_mut::<2>().0.iter_mut().for_each(|pair| pair.reverse());
    }
    Some(pixels)
}

/// The pixels of a gray TIFF, as far as the crate reads the file.
fn of_tiff(image: &[u8]) -> Option<Vec<u8>> {
    use tiff::decoder::{Decoder, DecodingResult};
    use tiff::tags::Tag;
    let mut decoder = Decoder::new(Cursor::new(image)).ok()?;
    // The crate takes the last of two equal tags, libtiff and tifffile the first.
    let tags: Vec<u16> = tags(image)?;
    if (1..tags.len()).any(|at| tags[..at].contains(&tags[at])) {
        return None;
    }
    if !matches!(decoder.colortype().ok()?, tiff::ColorType::Gray(8 | 16 | 32)) {
        return None;
    }
    // Where the crate differs from tifffile: reversed bits, sparse files, palettes and inverted gray.
    let is_plain = [Tag::FillOrder, Tag::Unknown(42113), Tag::Predictor].iter().all(|tag| decoder.find_tag(*tag).ok().flatten().is_none());
    if !is_plain || decoder.get_tag_u32(Tag::PhotometricInterpretation).ok()? != 1 || has_no_offset(&mut decoder) {
        return None;
    }
    Some(match decoder.read_image().ok()? {
        DecodingResult::U8(values) => values,
        DecodingResult::U16(values) => values.into_iter().flat_map(u16::to_le_bytes).collect(),
        DecodingResult::F32(values) => values.into_iter().flat_map(f32::to_le_bytes).collect(),
        _ => return None,
    })
}

/// The tags of the first directory.
fn tags(image: &[u8]) -> Option<Vec<u16>> {
    let is_big_endian = image.starts_with(b"MM");
    let number = |at: usize, size: usize| -> Option<usize> {
        let bytes = image.get(at..at.checked_add(size)?)?;
        let join = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
        let value = if is_big_endian { bytes.iter().fold(0, join) } else { bytes.iter().rev().fold(0, join) };
        usize::try_from(value).ok()
    };
    let (word, count, entry) = if number(2, 2)? == 43 { (8, 8, 20) } else { (4, 2, 12) };
    let directory = number(word, word)?;
    let entries = 0..number(directory, count)?.min(image.len());
    entries.map(|index| number(directory.checked_add(count + index * entry)?, 2).map(|tag| tag as u16)).collect()
}

/// Whether a strip or tile is sparse: offset and length 0, which the crate reads as the header of the file.
fn has_no_offset(decoder: &mut tiff::decoder::Decoder<Cursor<&[u8]>>) -> bool {
    use tiff::tags::Tag;
    [Tag::StripOffsets, Tag::TileOffsets, Tag::StripByteCounts, Tag::TileByteCounts]
        .into_iter()
        .any(|tag| decoder.get_tag_u64_vec(tag).is_ok_and(|values| values.contains(&0)))
}

/// Writes the checksum that each chunk of a PNG must have: CRC-32 of its type and data (<https://www.w3.org/TR/png-3/#5CRC-algorithm>).
fn correct_checksums(image: &mut [u8]) {
    let mut at = 8;
    while ImageFormat::of(image) == Some(ImageFormat::Png)
        && let Some(&[a, b, c, d]) = image.get(at..at + 4)
    {
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        let Some(end) = length.checked_add(at + 8).filter(|end| end + 4 <= image.len()) else { return };
        let checksum = crc32(&image[at + 4..end]).to_be_bytes();
        image[end..end + 4].copy_from_slice(&checksum);
        at = end + 4;
    }
}

fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { 0xedb8_8320 ^ (crc >> 1) } else { crc >> 1 };
    !bytes.iter().fold(u32::MAX, |crc, &byte| (0..8).fold(crc ^ u32::from(byte), step))
}
