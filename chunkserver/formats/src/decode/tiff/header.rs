//! What a directory states about its pixels.

use super::chunks::Chunks;
use super::directory::{Directory, File};
use super::{tag, unsupported};
use crate::decode::{Color, Error, ImageFormat, accept, luminance};
use api::geometry::{Dtype, FrameSpec};

/// Largest width of a tile. A row of tiles is allocated, so a forged width could allocate gigabytes.
const WIDEST_TILE: usize = 1 << 16;

/// The compression of strips and tiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compression {
    None,
    Lzw,
    Deflate,
    PackBits,
}

/// The differences that are stored instead of samples: TIFF 6.0, section 14, and Adobe Photoshop TIFF Technical Note 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Predictor {
    None,
    Horizontal,
    FloatingPoint,
}

/// The gray of each sample.
pub(super) type Grays = Box<[u8; 256]>;

/// The meaning of the samples of a pixel.
#[derive(Clone, Copy)]
enum Meaning {
    Gray,
    Palette { has_colour: bool },
    Rgb,
    Rgba,
}

pub(super) struct Header<'a> {
    pub(super) file: File<'a>,
    pub(super) spec: FrameSpec,
    /// Samples of a pixel in the file.
    pub(super) channels: usize,
    /// Bits of a sample in the file.
    pub(super) bits: usize,
    pub(super) compression: Compression,
    pub(super) predictor: Predictor,
    /// Whether the least significant bit of each byte is first (`FillOrder` 2).
    pub(super) reversed_bits: bool,
    /// The gray value of each sample, for palettes and for samples below 8 bits.
    pub(super) grays: Option<Grays>,
    pub(super) chunks: Chunks<'a>,
    meaning: Meaning,
}

impl<'a> Header<'a> {
    pub(super) fn read(file: File<'a>, directory: &Directory<'a>) -> Result<Self, Error> {
        let one = |tag| directory.value(tag);
        let need = |tag| one(tag)?.ok_or_else(|| super::corrupt(format!("tag {tag} is missing")));
        let (width, height) = (need(tag::IMAGE_WIDTH)?, need(tag::IMAGE_LENGTH)?);
        let side = |length| u32::try_from(length).ok().filter(|&length| length > 0).map(|length| length as usize);
        let (Some(width), Some(height)) = (side(width), side(height)) else {
            return Err(super::corrupt(format!("an image of {height}×{width} pixels")));
        };
        let channels = one(tag::SAMPLES_PER_PIXEL)?.unwrap_or(1);
        let bits = directory.uniform(tag::BITS_PER_SAMPLE)?.unwrap_or(1);
        let dtype = dtype(directory.uniform(tag::SAMPLE_FORMAT)?.unwrap_or(1), bits)?;
        let (meaning, grays) = meaning(directory, channels, bits)?;
        let (channels, bits) = (channels as usize, bits as usize);
        if channels > 1 && dtype == Dtype::Float32 {
            return Err(unsupported("colours of type float32"));
        }
        if channels > 1 && one(tag::PLANAR_CONFIGURATION)?.unwrap_or(1) != 1 {
            return Err(unsupported("colours in separate planes"));
        }
        let compression = compression(one(tag::COMPRESSION)?.unwrap_or(1))?;
        let predictor = predictor(one(tag::PREDICTOR)?.unwrap_or(1), compression, dtype, bits)?;
        let reversed_bits = match one(tag::FILL_ORDER)?.unwrap_or(1) {
            1 => false,
            2 => true,
            other => return Err(unsupported(format!("fill order {other}"))),
        };
        let spec = FrameSpec { height, width, dtype };
        let bits_of_pixel = channels * bits;
        let chunks = Chunks::read(directory, spec, bits_of_pixel)?;
        if chunks.width > width.max(WIDEST_TILE) {
            return Err(unsupported(format!("tiles wider than {WIDEST_TILE} pixels")));
        }
        Ok(Self { file, spec, channels, bits, compression, predictor, reversed_bits, grays, chunks, meaning })
    }

    pub(super) fn accept(&self, color: Color) -> Result<(), Error> {
        match self.meaning {
            Meaning::Gray | Meaning::Palette { has_colour: false } => Ok(()),
            Meaning::Palette { has_colour: true } => accept(color, ImageFormat::Tiff, "a colour palette"),
            Meaning::Rgb => accept(color, ImageFormat::Tiff, "RGB"),
            Meaning::Rgba => accept(color, ImageFormat::Tiff, "RGBA"),
        }
    }

    /// Samples of the page.
    pub(super) fn samples(&self) -> u64 {
        self.spec.pixels() as u64 * self.channels as u64
    }

    /// Whether the pixels are uncompressed and at least as many bytes follow them. Readers of stacks with one directory look there.
    pub(super) fn has_room_for_two_frames(&self) -> Result<bool, Error> {
        if self.compression != Compression::None || self.chunks.tiled {
            return Ok(false);
        }
        let row = (self.spec.width * self.channels * self.bits).div_ceil(8) as u64;
        let bytes = row * self.spec.height as u64;
        let end = self.chunks.first_offset()?.checked_add(2 * bytes);
        Ok(end.is_some_and(|end| end <= self.file.bytes.len() as u64))
    }
}

/// The element type of samples with a `SampleFormat` and bits.
fn dtype(format: u64, bits: u64) -> Result<Dtype, Error> {
    match (format, bits) {
        (1, 1 | 2 | 4 | 8) => Ok(Dtype::Uint8),
        (1, 16) => Ok(Dtype::Uint16),
        (3, 32) => Ok(Dtype::Float32),
        _ => {
            let format = match format {
                1 => "unsigned integer",
                2 => "signed integer",
                3 => "floating point",
                5 | 6 => "complex",
                _ => "untyped",
            };
            Err(unsupported(format!("{bits}-bit {format} samples (uint8, uint16 and float32 are supported)")))
        }
    }
}

fn meaning(directory: &Directory<'_>, channels: u64, bits: u64) -> Result<(Meaning, Option<Grays>), Error> {
    const WHITE_IS_ZERO: u64 = 0;
    // Without the tag, readers take one channel as gray.
    let photometric = directory.value(tag::PHOTOMETRIC)?.unwrap_or(if channels == 1 { 1 } else { u64::MAX });
    let extra = directory.value(tag::EXTRA_SAMPLES)?;
    match (photometric, channels) {
        (WHITE_IS_ZERO, 1) if bits < 8 => {
            Err(unsupported("samples below 8 bits with the WhiteIsZero interpretation, which some readers invert and others do not"))
        }
        (WHITE_IS_ZERO | 1, 1) if bits < 8 => Ok((Meaning::Gray, Some(scaled(bits)))),
        (WHITE_IS_ZERO | 1, 1) => Ok((Meaning::Gray, None)),
        (2, 3) if bits >= 8 => Ok((Meaning::Rgb, None)),
        // 0 is unspecified, 2 is alpha that is not multiplied into the colours.
        (2, 4) if bits >= 8 && matches!(extra, None | Some(0 | 2)) => Ok((Meaning::Rgba, None)),
        (2, 4) if extra == Some(1) => Err(unsupported("RGB that is multiplied by alpha")),
        (3, 1) if bits <= 8 => palette(directory, bits),
        (0..=2, _) => Err(unsupported(format!("{channels} channels of {bits} bits (gray, RGB and RGBA are supported)"))),
        (other, _) => {
            let name = match other {
                3 => "16-bit or multichannel palette",
                4 => "mask",
                5 => "CMYK",
                6 => "YCbCr",
                8..=10 => "Lab",
                32803 => "colour filter array",
                _ => "unknown",
            };
            Err(unsupported(format!("{name} pixels (gray, RGB, RGBA and palettes are supported)")))
        }
    }
}

/// Gray of 1, 2 and 4 bits is scaled to 0 to 255, as in Pillow and in PNG.
fn scaled(bits: u64) -> Grays {
    let largest = (1_usize << bits) - 1;
    Box::new(std::array::from_fn(|value| (value.min(largest) * 255 / largest) as u8))
}

/// The grays of a palette: 16-bit values, first all reds, then all greens, then all blues. The high bytes are used, as in Pillow.
fn palette(directory: &Directory<'_>, bits: u64) -> Result<(Meaning, Option<Grays>), Error> {
    let colours = 1_usize << bits;
    let map = directory.table(tag::COLOR_MAP)?.ok_or_else(|| super::corrupt("the palette is missing"))?;
    if map.len() != 3 * colours {
        return Err(super::corrupt(format!("the palette has {} values instead of {}", map.len(), 3 * colours)));
    }
    let mut grays = Box::new([0; 256]);
    let (mut has_colour, mut largest) = (false, 0);
    for (i, gray) in grays.iter_mut().take(colours).enumerate() {
        let (red, green, blue) = (map.get(i)?, map.get(colours + i)?, map.get(2 * colours + i)?);
        largest = largest.max(red).max(green).max(blue);
        let [red, green, blue] = [red, green, blue].map(|value| (value >> 8) as u8);
        has_colour |= red != green || green != blue;
        *gray = luminance::of_u8(red, green, blue);
    }
    if (1..256).contains(&largest) {
        return Err(unsupported("a palette of 8-bit values, where 16 bits are expected"));
    }
    Ok((Meaning::Palette { has_colour }, Some(grays)))
}

fn compression(code: u64) -> Result<Compression, Error> {
    let name = match code {
        1 => return Ok(Compression::None),
        5 => return Ok(Compression::Lzw),
        8 | 32946 => return Ok(Compression::Deflate),
        32773 => return Ok(Compression::PackBits),
        2..=4 => "fax",
        6 | 7 => "JPEG",
        34712 | 33003 | 33005 => "JPEG 2000",
        34887 => "LERC",
        34925 => "LZMA",
        50000 => "zstd",
        50001 => "WebP",
        _ => "unknown",
    };
    Err(unsupported(format!("{name} compression ({code}); none, packbits, LZW and deflate are supported")))
}

fn predictor(code: u64, compression: Compression, dtype: Dtype, bits: usize) -> Result<Predictor, Error> {
    let predictor = match code {
        1 => return Ok(Predictor::None),
        2 if bits >= 8 => Predictor::Horizontal,
        3 if dtype == Dtype::Float32 => Predictor::FloatingPoint,
        2 => return Err(unsupported("a predictor of samples below 8 bits")),
        3 => return Err(unsupported("integers with the floating point predictor")),
        _ => return Err(unsupported(format!("predictor {code}"))),
    };
    match compression {
        Compression::Lzw | Compression::Deflate => Ok(predictor),
        Compression::None | Compression::PackBits => {
            Err(unsupported("a predictor without LZW or deflate, which some readers revert and others ignore"))
        }
    }
}
