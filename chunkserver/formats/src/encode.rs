//! Encodes an n-dimensional array into the bytes of a file format.
//!
//! Specifications: NPY <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>, PNG <https://www.w3.org/TR/png-3/>, JPEG
//! (ITU-T T.81) <https://www.w3.org/Graphics/JPEG/itu-t81.pdf>, TIFF 6.0
//! <https://www.itu.int/itudoc/itu-t/com16/tiff-fx/docs/tiff6.pdf>, JSON <https://www.rfc-editor.org/rfc/rfc8259>, CSV
//! <https://www.rfc-editor.org/rfc/rfc4180> without a header line.

mod jpeg;
mod npy;
mod picture;
mod stream;
mod text;
mod tiff;
pub mod zarr;

pub use npy::header as npy_header;
pub use picture::{Contrast, gray, gray_png, picture};
pub use stream::StreamEncoder;

use api::geometry::Element;
use std::fmt;
use std::path::Path;
use std::str::FromStr;
use thiserror::Error;

/// An array, borrowed from the owner of its pixels.
#[derive(Clone, Copy, Debug)]
pub struct ArrayRef<'a> {
    /// The element type.
    pub element: Element,
    /// Lengths of the axes, slowest axis first; `[]` for a single number.
    pub shape: &'a [usize],
    /// The elements, little endian, in C order.
    pub data: &'a [u8],
}

/// File formats of results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// NumPy's `.npy`: any shape, any element type, lossless.
    Npy,
    /// One 2-D picture: uint8 and uint16 unchanged, other types scaled to 8 bits.
    Png,
    /// One 2-D picture, lossy: uint8 unscaled, other types scaled to 8 bits.
    Jpeg {
        /// 1 (smallest file) to 100 (closest to the original).
        quality: u8,
    },
    /// Text, at most two axes, no header line.
    Csv,
    /// `{"shape", "dtype", "data"}` with nested lists.
    Json,
    /// A picture, or a stack of pictures with one page per frame; values unchanged.
    Tiff,
    /// Only the elements: little endian, C order.
    Raw,
}

/// Why an array cannot be encoded in a format. The message names an alternative.
#[derive(Debug, Error)]
pub enum Error {
    /// The name of the format, or the extension of the file, is unknown.
    #[error("{0:?} is not a known format: use npy, png, jpg, csv, json, tiff or raw")]
    UnknownFormat(String),
    /// The JPEG quality is not valid.
    #[error("{0:?} is not a JPEG quality: use a number from 1 to 100, as in jpg:80")]
    Quality(String),
    /// The length of the data does not match the shape: a bug of the caller.
    #[error("an array of shape {shape} has {expected} bytes, not {found}")]
    WrongLength {
        /// The shape, in the notation of NumPy.
        shape: String,
        /// Bytes of the shape.
        expected: usize,
        /// Bytes of the data.
        found: usize,
    },
    /// The format does not support the number of axes.
    #[error("{format} holds {holds}, and this array has the shape {shape}: {advice}")]
    Axes {
        /// The requested format.
        format: Format,
        /// What the format holds.
        holds: &'static str,
        /// The shape, in the notation of NumPy.
        shape: String,
        /// An alternative.
        advice: String,
    },
    /// An axis has length 0, which the format does not support.
    #[error("{format} cannot hold an array without elements, and this one has the shape {shape}: use npy")]
    Empty {
        /// The requested format.
        format: Format,
        /// The shape, in the notation of NumPy.
        shape: String,
    },
    /// The format does not support the element type.
    #[error("{format} cannot hold {element} values: use npy, or select power instead of the spectrum")]
    ElementType {
        /// The requested format.
        format: Format,
        /// The array's element type.
        element: Element,
    },
    /// An axis is longer than the header of the format allows.
    #[error("{format} cannot hold an array as large as {shape}: select a part of it, or use npy")]
    TooLarge {
        /// The requested format.
        format: Format,
        /// The shape, in the notation of NumPy.
        shape: String,
    },
    /// The PNG encoder failed.
    #[error("failed to encode a PNG of shape {shape}")]
    Png {
        /// The shape, in the notation of NumPy.
        shape: String,
        /// The error of the encoder.
        #[source]
        source: ::png::EncodingError,
    },
    /// The JPEG encoder failed.
    #[error("failed to encode a JPEG of shape {shape}")]
    Jpeg {
        /// The shape, in the notation of NumPy.
        shape: String,
        /// The error of the encoder.
        #[source]
        source: jpeg_encoder::EncodingError,
    },
    /// The TIFF encoder failed.
    #[error("failed to encode a TIFF of shape {shape}")]
    Tiff {
        /// The shape, in the notation of NumPy.
        shape: String,
        /// The error of the encoder.
        #[source]
        source: ::tiff::TiffError,
    },
}

/// Encodes an array as a file of the given format.
///
/// # Errors
/// When the format does not support the shape or element type. The message names an alternative.
pub fn encode(a: &ArrayRef<'_>, format: Format) -> Result<Vec<u8>, Error> {
    a.check()?;
    if let Some(encoder) = StreamEncoder::new(format, a.element, a.shape)? {
        return encoder.encode(a);
    }
    match format {
        Format::Jpeg { quality } => jpeg::encode(a, quality),
        Format::Tiff => tiff::encode(a),
        Format::Png | Format::Npy | Format::Raw | Format::Csv | Format::Json => picture::encode(a),
    }
}

/// Default quality, as in [DVID](https://github.com/janelia-flyem/dvid).
const JPEG_QUALITY: u8 = 80;

impl Format {
    /// The names of all formats.
    pub const NAMES: [&str; 7] = ["npy", "png", "jpg", "csv", "json", "tiff", "raw"];

    /// The format of a file name, by its extension.
    ///
    /// # Errors
    /// When the extension is missing or unknown.
    pub fn from_path(path: &Path) -> Result<Self, Error> {
        match path.extension() {
            Some(extension) => extension.to_string_lossy().parse(),
            None => Err(Error::UnknownFormat(path.display().to_string())),
        }
    }

    /// The name of the format, which is also the extension of its files.
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

    /// The media type of the files.
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

    /// `jpg:80` is a JPEG of quality 80.
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
    /// The value for a gray level; the magnitude of complex values.
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

    /// The elements in C order as float64; of complex elements the magnitudes. An incomplete last element is left out.
    pub fn magnitudes(&self) -> impl Iterator<Item = f64> + Clone + use<'a> {
        self.values().map(Value::magnitude)
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

/// The first `N` bytes. The caller passes at least `N` bytes.
fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    std::array::from_fn(|i| bytes[i])
}

/// A shape in the notation of NumPy: `()`, `(5,)`, `(3, 4)`.
fn tuple(shape: &[usize]) -> String {
    match shape {
        [one] => format!("({one},)"),
        _ => format!("({})", shape.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
    }
}

/// A selection that keeps the last `keep` axes, as an example in messages: `[5, :, :]`.
fn selection(shape: &[usize], keep: usize) -> String {
    let cut = shape.len().saturating_sub(keep);
    let axes = shape.iter().enumerate().map(|(i, &axis)| if i < cut { (axis / 2).to_string() } else { ":".to_owned() });
    format!("[{}]", axes.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests;
