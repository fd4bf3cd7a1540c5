//! Decodes the bytes of one response into the pixels of one frame (y, x): PNG, JPEG, TIFF or raw, distinguished by the first bytes.
//!
//! Pixels are little endian, in C order. The header is compared with the expected shape before anything is allocated, so a forged header
//! costs no memory. An image that is truncated or fails its checksums is an error. Only PNG, and TIFF with deflate, have checksums: damage of
//! other formats that still decodes is not detected.
//!
//! Pixels are those that tifffile and Pillow read. A file that these libraries read differently, or that holds several frames, is refused.
//!
//! Specifications: PNG <https://www.w3.org/TR/png-3/>, JPEG (ITU-T T.81) <https://www.w3.org/Graphics/JPEG/itu-t81.pdf>, TIFF 6.0
//! <https://www.itu.int/itudoc/itu-t/com16/tiff-fx/docs/tiff6.pdf>, BigTIFF <https://www.awaresystems.be/imaging/tiff/bigtiff.html>.

mod jpeg;
mod luminance;
mod png;
#[cfg(test)]
mod tests;
mod tiff;

pub use api::job::Color;
pub(crate) use jpeg::scratch_bytes as jpeg_scratch;
pub(crate) use tiff::copies as tiff_copies;

use api::geometry::FrameSpec;
use std::fmt;
use thiserror::Error;

/// Image formats with a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageFormat {
    /// Portable Network Graphics: gray, palette or colour, 1 to 16 bits, interlaced or not.
    Png,
    /// JPEG: baseline or progressive, 8 bits.
    Jpeg,
    /// TIFF and BigTIFF: one page, in strips or tiles; uncompressed, packbits, LZW or deflate.
    Tiff,
}

impl ImageFormat {
    /// The format whose signature the bytes start with; `None` for raw pixels, and for anything else.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
            Some(Self::Png)
        } else if bytes.starts_with(&[0xff, 0xd8, 0xff]) {
            Some(Self::Jpeg)
        } else if [&b"II*\0"[..], b"MM\0*", b"II+\0", b"MM\0+"].iter().any(|magic| bytes.starts_with(magic)) {
            Some(Self::Tiff)
        } else {
            None
        }
    }
}

impl fmt::Display for ImageFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Png => "PNG",
            Self::Jpeg => "JPEG",
            Self::Tiff => "TIFF",
        })
    }
}

/// Why bytes are not the frame that the job expects.
#[derive(Debug, Error)]
pub enum Error {
    /// The image has another shape or element type.
    #[error("the image is {found}, the job expects {expected}")]
    WrongShape {
        /// The shape in the header.
        found: FrameSpec,
        /// The shape in the manifest, or of the first frame.
        expected: FrameSpec,
    },
    /// The image has colour or alpha, and the job expects gray.
    #[error("the {format} is {found}, not gray; set source.images.color: Luminance to convert it")]
    ColourRefused {
        /// The file's format.
        format: ImageFormat,
        /// The kind of pixels.
        found: &'static str,
    },
    /// The image is damaged.
    #[error("the {format} is corrupt")]
    Corrupt {
        /// The file's format.
        format: ImageFormat,
        /// The error of the decoder.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The image is truncated.
    #[error("the {format} ends early, after {received} bytes")]
    Truncated {
        /// The file's format.
        format: ImageFormat,
        /// Bytes received.
        received: usize,
    },
    /// The image uses a feature that is not supported.
    #[error("the {format} is not supported: {what}")]
    Unsupported {
        /// The file's format.
        format: ImageFormat,
        /// The feature.
        what: String,
    },
    /// The body is not one frame of raw pixels.
    #[error("the body is not PNG, JPEG or TIFF, and has {found} bytes, but a raw frame has {expected}")]
    RawSize {
        /// Bytes received.
        found: usize,
        /// Bytes of a frame.
        expected: usize,
    },
    /// The body is HTML, XML or JSON. Some servers send an error page with status 200.
    #[error("the body is text, not an image: {kind}")]
    HtmlInstead {
        /// The kind of text. The text itself may be secret: a manifest may name any URL.
        kind: &'static str,
    },
    /// Raw pixels have no header, so their shape is unknown.
    #[error("the body has no header with the shape (PNG, JPEG and TIFF have one); set source.frame: {{height, width, dtype}}")]
    NoHeader,
}

impl Error {
    /// Whether the bytes are damaged or are not an image at all: a second fetch may return the image.
    pub const fn is_damage(&self) -> bool {
        match self {
            Self::Corrupt { .. } | Self::Truncated { .. } | Self::RawSize { .. } | Self::HtmlInstead { .. } => true,
            Self::WrongShape { .. } | Self::ColourRefused { .. } | Self::Unsupported { .. } | Self::NoHeader => false,
        }
    }
}

/// Height, width and element type from the header. Allocates no pixels.
///
/// # Errors
/// As [`Decoder::decode`]. [`Error::NoHeader`] for raw pixels.
pub fn probe(bytes: &[u8], color: Color) -> Result<FrameSpec, Error> {
    match ImageFormat::of(bytes) {
        Some(ImageFormat::Png) => png::probe(bytes, color),
        Some(ImageFormat::Jpeg) => jpeg::probe(bytes, color),
        Some(ImageFormat::Tiff) => tiff::probe(bytes, color),
        None => Err(text(bytes).unwrap_or(Error::NoHeader)),
    }
}

/// Decodes one frame after another. Each compute thread has one decoder.
#[derive(Debug, Default)]
pub struct Decoder {
    /// Colour and packed pixels, before the conversion to gray.
    scratch: Vec<u8>,
}

impl Decoder {
    /// A decoder. Allocates nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Decodes one frame into `out`, (y, x) in C order, little endian.
    ///
    /// A body with the size of one raw frame that starts like a JPEG but has no JPEG header is raw.
    ///
    /// # Errors
    /// When the bytes are not exactly one complete frame of the expected shape. The content of `out` is then undefined.
    ///
    /// # Panics
    /// When `out` does not have the expected size: a bug of the caller.
    pub fn decode(&mut self, bytes: &[u8], expected: FrameSpec, color: Color, out: &mut [u8]) -> Result<(), Error> {
        assert_eq!(out.len(), expected.bytes(), "the output buffer must hold one frame");
        let Some(format) = ImageFormat::of(bytes) else {
            return raw(bytes, out);
        };
        // Raw pixels may start with the three bytes of a JPEG by chance. The signatures of PNG and TIFF are unlikely.
        if format == ImageFormat::Jpeg && bytes.len() == out.len() && probe(bytes, Color::Luminance).is_err() {
            return raw(bytes, out);
        }
        match format {
            ImageFormat::Png => png::decode(bytes, expected, color, out, &mut self.scratch),
            ImageFormat::Jpeg => jpeg::decode(bytes, expected, color, out, &mut self.scratch),
            ImageFormat::Tiff => tiff::decode(bytes, expected, color, out, &mut self.scratch),
        }
    }
}

fn raw(bytes: &[u8], out: &mut [u8]) -> Result<(), Error> {
    if bytes.len() != out.len() {
        return Err(text(bytes).unwrap_or(Error::RawSize { found: bytes.len(), expected: out.len() }));
    }
    out.copy_from_slice(bytes);
    Ok(())
}

/// The error for HTML, XML or JSON.
fn text(bytes: &[u8]) -> Option<Error> {
    let start = bytes.trim_ascii_start();
    let begins = |word: &[u8]| start.get(..word.len()).is_some_and(|found| found.eq_ignore_ascii_case(word));
    let kind = match start.first()? {
        b'{' => "JSON",
        b'<' if begins(b"<!doctype html") || begins(b"<html") => "HTML",
        b'<' => "HTML or XML",
        _ => return None,
    };
    Some(Error::HtmlInstead { kind })
}

fn same_shape(found: FrameSpec, expected: FrameSpec) -> Result<(), Error> {
    if found == expected { Ok(()) } else { Err(Error::WrongShape { found, expected }) }
}

fn accept(color: Color, format: ImageFormat, found: &'static str) -> Result<(), Error> {
    match color {
        Color::Luminance => Ok(()),
        Color::Refuse => Err(Error::ColourRefused { format, found }),
    }
}
