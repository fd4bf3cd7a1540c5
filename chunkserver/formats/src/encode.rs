//! An n-dimensional result in, the bytes of a file format out; pure.

mod jpeg;
mod npy;
mod picture;
mod text;
mod tiff;
pub mod zarr;

pub use npy::header as npy_header;
pub use picture::{Contrast, gray, gray_png, picture};

use api::geometry::Element;
use std::fmt;
use std::path::Path;
use std::str::FromStr;
use thiserror::Error;

/// A result that someone asked for, borrowed from whoever owns its pixels.
#[derive(Clone, Copy, Debug)]
pub struct ArrayRef<'a> {
    /// What one element is.
    pub element: Element,
    /// Lengths of the axes, slowest first; `[]` for a single number.
    pub shape: &'a [usize],
    /// The elements, little endian, in C order.
    pub data: &'a [u8],
}

/// The file formats that results are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// NumPy's `.npy`: any shape, any element type, nothing lost.
    Npy,
    /// One 2-D picture: 8 or 16 bits as they are, anything else scaled to 8 bits.
    Png,
    /// One 2-D picture, lossy: 8 bits as they are, anything else scaled to 8 bits.
    Jpeg {
        /// From 1, small, to 100, close to the original.
        quality: u8,
    },
    /// Text, at most two axes, no header line.
    Csv,
    /// `{"shape", "dtype", "data"}` with nested lists.
    Json,
    /// A picture, or a stack of them with one page per frame; values as they are.
    Tiff,
    /// The elements alone: little endian, C order.
    Raw,
}

/// Why an array could not be written in a format; the sentence says what to ask for instead.
#[derive(Debug, Error)]
pub enum Error {
    /// The name of a format or a file's extension means nothing here.
    #[error("{0:?} is not a known format: use npy, png, jpg, csv, json, tiff or raw")]
    UnknownFormat(String),
    /// A JPEG of no quality.
    #[error("jpg:{0} is not a JPEG's quality: it is a number from 1 to 100, as in jpg:80")]
    Quality(String),
    /// The bytes do not fill the shape: a bug of the caller.
    #[error("an array of shape {shape} has {expected} bytes, not {found}")]
    WrongLength {
        /// The shape, as NumPy writes it.
        shape: String,
        /// Bytes that the shape needs.
        expected: usize,
        /// Bytes that there are.
        found: usize,
    },
    /// The format has no room for that many or that few axes.
    #[error("{format} holds {holds}, and this array has the shape {shape}: {advice}")]
    Axes {
        /// The format asked for.
        format: Format,
        /// What the format can hold.
        holds: &'static str,
        /// The shape, as NumPy writes it.
        shape: String,
        /// What to ask for instead.
        advice: String,
    },
    /// An axis of length 0, in a format that cannot express it.
    #[error("{format} cannot hold an array without elements, and this one has the shape {shape}: use npy")]
    Empty {
        /// The format asked for.
        format: Format,
        /// The shape, as NumPy writes it.
        shape: String,
    },
    /// The format has no such element type.
    #[error("{format} cannot hold {element} values: use npy, or select power instead of the spectrum")]
    ElementType {
        /// The format asked for.
        format: Format,
        /// The array's element type.
        element: Element,
    },
    /// An axis is longer than the format's header can say.
    #[error("{format} cannot hold an array as large as {shape}: select a part of it, or use npy")]
    TooLarge {
        /// The format asked for.
        format: Format,
        /// The shape, as NumPy writes it.
        shape: String,
    },
    /// The PNG encoder failed.
    #[error("failed to encode a PNG of shape {shape}")]
    Png {
        /// The shape, as NumPy writes it.
        shape: String,
        /// What the encoder said.
        #[source]
        source: ::png::EncodingError,
    },
    /// The JPEG encoder failed.
    #[error("failed to encode a JPEG of shape {shape}")]
    Jpeg {
        /// The shape, as NumPy writes it.
        shape: String,
        /// What the encoder said.
        #[source]
        source: jpeg_encoder::EncodingError,
    },
    /// The TIFF encoder failed.
    #[error("failed to encode a TIFF of shape {shape}")]
    Tiff {
        /// The shape, as NumPy writes it.
        shape: String,
        /// What the encoder said.
        #[source]
        source: ::tiff::TiffError,
    },
}

/// The bytes of a file of the given format that holds the array.
///
/// # Errors
/// When the format cannot hold such an array; the error says what to ask for instead.
pub fn encode(a: &ArrayRef<'_>, format: Format) -> Result<Vec<u8>, Error> {
    a.check()?;
    match format {
        Format::Npy => npy::encode(a),
        Format::Png => picture::encode(a),
        Format::Jpeg { quality } => jpeg::encode(a, quality),
        Format::Csv => text::csv(a),
        Format::Json => Ok(text::json(a)),
        Format::Tiff => tiff::encode(a),
        Format::Raw => Ok(a.data.to_vec()),
    }
}

/// What DVID takes where nobody says.
const JPEG_QUALITY: u8 = 80;

impl Format {
    /// The names of all formats.
    pub const NAMES: [&str; 7] = ["npy", "png", "jpg", "csv", "json", "tiff", "raw"];

    /// The format that a file's extension names.
    ///
    /// # Errors
    /// When there is no extension, or none that is known.
    pub fn from_path(path: &Path) -> Result<Self, Error> {
        match path.extension() {
            Some(extension) => extension.to_string_lossy().parse(),
            None => Err(Error::UnknownFormat(path.display().to_string())),
        }
    }

    /// The format's name, which is also its files' extension.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Npy => "npy",
            Self::Png => "png",
            Self::Jpeg { .. } => "jpg",
            Self::Csv => "csv",
            Self::Json => "json",
            Self::Tiff => "tiff",
            Self::Raw => "raw",
        }
    }

    /// The media type to send with the bytes.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Npy | Self::Raw => "application/octet-stream",
            Self::Png => "image/png",
            Self::Jpeg { .. } => "image/jpeg",
            Self::Csv => "text/csv; charset=utf-8",
            Self::Json => "application/json",
            Self::Tiff => "image/tiff",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Format {
    type Err = Error;

    /// `jpg:80` is a JPEG of that quality.
    fn from_str(name: &str) -> Result<Self, Error> {
        let lowercase = name.to_ascii_lowercase();
        if let Some(quality) = lowercase.strip_prefix("jpg:").or_else(|| lowercase.strip_prefix("jpeg:")) {
            let known = quality.parse().ok().filter(|known| (1..=100).contains(known));
            return known.map(|quality| Self::Jpeg { quality }).ok_or_else(|| Error::Quality(quality.to_owned()));
        }
        match lowercase.as_str() {
            "npy" => Ok(Self::Npy),
            "png" => Ok(Self::Png),
            "jpg" | "jpeg" => Ok(Self::Jpeg { quality: JPEG_QUALITY }),
            "csv" => Ok(Self::Csv),
            "json" => Ok(Self::Json),
            "tif" | "tiff" => Ok(Self::Tiff),
            "raw" => Ok(Self::Raw),
            _ => Err(Error::UnknownFormat(name.to_owned())),
        }
    }
}

/// One element, widened without loss.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Value {
    Whole(u64),
    Signed(i32),
    Single(f32),
    Double(f64),
    Complex(f32, f32),
}

impl Value {
    /// A number to make a gray value of; a complex one counts by its magnitude.
    fn magnitude(self) -> f64 {
        match self {
            Self::Whole(v) => v as f64,
            Self::Signed(v) => f64::from(v),
            Self::Single(v) => f64::from(v),
            Self::Double(v) => v,
            Self::Complex(re, im) => f64::from(re).hypot(f64::from(im)),
        }
    }
}

impl<'a> ArrayRef<'a> {
    fn check(&self) -> Result<(), Error> {
        let expected = self.shape.iter().try_fold(self.element.size(), |bytes, &axis| bytes.checked_mul(axis));
        if expected == Some(self.data.len()) {
            return Ok(());
        }
        let expected = expected.unwrap_or(usize::MAX);
        Err(Error::WrongLength { shape: tuple(self.shape), expected, found: self.data.len() })
    }

    /// The elements in C order.
    fn values(&self) -> impl Iterator<Item = Value> + Clone + use<'a> {
        let element = self.element;
        self.data.chunks_exact(element.size()).map(move |bytes| match element {
            Element::Uint8 => Value::Whole(u64::from(bytes[0])),
            Element::Uint16 => Value::Whole(u64::from(u16::from_le_bytes(array(bytes)))),
            Element::Uint64 => Value::Whole(u64::from_le_bytes(array(bytes))),
            Element::Int32 => Value::Signed(i32::from_le_bytes(array(bytes))),
            Element::Float32 => Value::Single(f32::from_le_bytes(array(bytes))),
            Element::Float64 => Value::Double(f64::from_le_bytes(array(bytes))),
            Element::Complex64 => Value::Complex(f32::from_le_bytes(array(bytes)), f32::from_le_bytes(array(&bytes[4..]))),
        })
    }
}

/// The first `N` bytes; the caller has cut at least as many.
fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    std::array::from_fn(|i| bytes[i])
}

/// A shape as NumPy writes it: `()`, `(5,)`, `(3, 4)`.
fn tuple(shape: &[usize]) -> String {
    match shape {
        [one] => format!("({one},)"),
        _ => format!("({})", shape.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
    }
}

/// A selection that leaves the last `keep` of the axes, to put into advice: `[5, :, :]`.
fn selection(shape: &[usize], keep: usize) -> String {
    let cut = shape.len().saturating_sub(keep);
    let axes = shape.iter().enumerate().map(|(i, &axis)| if i < cut { (axis / 2).to_string() } else { ":".to_owned() });
    format!("[{}]", axes.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests;
