//! The bytes of one response come in, the pixels of one frame go out: PNG, JPEG, TIFF or raw, told apart by their first bytes.
//!
//! Samples are little endian, in C order. What a header promises is compared to what the job expects before anything is
//! allocated, so a forged header costs nothing. An image that is cut short or fails its checksums is an error, never a guess.
//! Alone among the formats JPEG has no checksum: damage that still decodes cannot be seen.

mod jpeg;
mod luminance;
mod png;
#[cfg(test)]
mod tests;
mod tiff;

pub use api::job::Color;

use api::geometry::FrameSpec;
use std::fmt;
use thiserror::Error;

/// The formats that carry a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Portable Network Graphics: gray, palette or colour, 1 to 16 bits, interlaced or not.
    Png,
    /// JPEG: baseline or progressive, 8 bits.
    Jpeg,
    /// TIFF and BigTIFF: one page, in strips or tiles; uncompressed, packbits, LZW or deflate.
    Tiff,
}

impl Format {
    /// The format that begins with these bytes, or `None`: raw pixels, or no image at all.
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

impl fmt::Display for Format {
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
    /// An image of another shape or element type.
    #[error("the image is {found}, the job expects {expected}")]
    WrongShape {
        /// What its header says.
        found: FrameSpec,
        /// What the manifest says, or the first frame was.
        expected: FrameSpec,
    },
    /// Colour or alpha where intensities are expected.
    #[error("the {format} is {found}, not gray; set source.images.color: Luminance to convert it")]
    ColourRefused {
        /// The file's format.
        format: Format,
        /// Its kind of pixels.
        found: &'static str,
    },
    /// Damaged.
    #[error("the {format} is corrupt")]
    Corrupt {
        /// The file's format.
        format: Format,
        /// What its decoder met.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Cut short.
    #[error("the {format} ends early, after {received} bytes")]
    Truncated {
        /// The file's format.
        format: Format,
        /// Bytes there are.
        received: usize,
    },
    /// Whole, but of a kind that is not read here.
    #[error("the {format} is of a kind that cannot be read: {what}")]
    Unsupported {
        /// The file's format.
        format: Format,
        /// Which kind.
        what: String,
    },
    /// Raw pixels, but not one frame of them.
    #[error("the body is no PNG, JPEG or TIFF, and has {found} bytes where one raw frame has {expected}")]
    RawSize {
        /// Bytes there are.
        found: usize,
        /// Bytes of a frame.
        expected: usize,
    },
    /// A page of text: some servers answer 200 with their error message.
    #[error("the body is text, not an image; it begins with `{start}`")]
    HtmlInstead {
        /// Its first characters.
        start: String,
    },
    /// Raw pixels do not say how many they are.
    #[error("the body has no header that says its shape (PNG, JPEG and TIFF have); set source.frame: {{height, width, dtype}}")]
    NoHeader,
}

/// Height, width and element type as the header says them. Allocates no pixels.
///
/// # Errors
/// As [`Decoder::decode`]; raw pixels have no header, and give [`Error::NoHeader`].
pub fn probe(bytes: &[u8], color: Color) -> Result<FrameSpec, Error> {
    match Format::of(bytes) {
        Some(Format::Png) => png::probe(bytes, color),
        Some(Format::Jpeg) => jpeg::probe(bytes, color),
        Some(Format::Tiff) => tiff::probe(bytes, color),
        None => Err(text(bytes).unwrap_or(Error::NoHeader)),
    }
}

/// Decodes frame after frame; one for each compute thread.
#[derive(Debug, Default)]
pub struct Decoder {
    /// Colour and packed pixels, before they become gray bytes.
    scratch: Vec<u8>,
}

impl Decoder {
    /// A decoder that has allocated nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Decodes one frame into `out`.
    ///
    /// A body of exactly one frame's size that begins as a JPEG but has no JPEG header is raw all the same.
    ///
    /// # Errors
    /// When the bytes are not exactly one whole frame of the expected shape; `out` then holds anything.
    ///
    /// # Panics
    /// When `out` has not the expected size: a bug of the caller.
    pub fn decode(&mut self, bytes: &[u8], expected: FrameSpec, color: Color, out: &mut [u8]) -> Result<(), Error> {
        assert_eq!(out.len(), expected.bytes(), "the output buffer must hold one frame");
        let Some(format) = Format::of(bytes) else {
            return raw(bytes, out);
        };
        // The signatures of PNG and TIFF do not occur by chance; the three bytes of a JPEG may.
        if format == Format::Jpeg && bytes.len() == out.len() && probe(bytes, Color::Luminance).is_err() {
            return raw(bytes, out);
        }
        match format {
            Format::Png => png::decode(bytes, expected, color, out, &mut self.scratch),
            Format::Jpeg => jpeg::decode(bytes, expected, color, out, &mut self.scratch),
            Format::Tiff => tiff::decode(bytes, expected, color, out, &mut self.scratch),
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
    const SHOWN: usize = 60;
    let start = bytes.trim_ascii_start();
    if !matches!(start.first(), Some(b'<' | b'{')) {
        return None;
    }
    let shown = String::from_utf8_lossy(&start[..start.len().min(SHOWN)]);
    let printable = |c: char| if c.is_control() || c == '`' { ' ' } else { c };
    Some(Error::HtmlInstead { start: shown.chars().map(printable).collect::<String>().trim_end().to_owned() })
}

fn same_shape(found: FrameSpec, expected: FrameSpec) -> Result<(), Error> {
    if found == expected { Ok(()) } else { Err(Error::WrongShape { found, expected }) }
}

fn accept(color: Color, format: Format, found: &'static str) -> Result<(), Error> {
    match color {
        Color::Luminance => Ok(()),
        Color::Refuse => Err(Error::ColourRefused { format, found }),
    }
}
