//! Formats whose bytes follow from one element after another: the encoder never holds the whole array.

use super::text::{self, Text};
use super::{ArrayRef, Error, Format, npy};
use api::geometry::Element;

/// Encodes an array whose elements arrive in pieces, in C order.
///
/// ```
/// use api::geometry::Element;
/// use formats::encode::{Format, StreamEncoder};
///
/// let mut encoder = StreamEncoder::new(Format::Json, Element::Uint8, &[2, 2])?.expect("JSON needs no second look at an element");
/// let mut json = encoder.head()?;
/// for piece in [&[1, 2, 3][..], &[4]] {
///     encoder.append(piece, &mut json);
/// }
/// json.extend(encoder.tail());
/// assert_eq!(json, br#"{"shape":[2,2],"dtype":"uint8","data":[[1,2],[3,4]]}"#);
/// # Ok::<(), formats::encode::Error>(())
/// ```
#[derive(Debug)]
pub struct StreamEncoder {
    format: Format,
    element: Element,
    shape: Vec<usize>,
    text: Option<Text>,
}

impl StreamEncoder {
    /// An encoder of an array of that shape; `None` for a format that needs all elements at once: PNG, JPEG and TIFF.
    ///
    /// # Errors
    /// When the format does not support the shape.
    pub fn new(format: Format, element: Element, shape: &[usize]) -> Result<Option<Self>, Error> {
        let text = match format {
            Format::Npy | Format::Raw => None,
            Format::Csv => Some(Text::csv(shape)?),
            Format::Json => Some(Text::json(shape)?),
            Format::Png | Format::Jpeg { .. } | Format::Tiff => return Ok(None),
        };
        Ok(Some(Self { format, element, shape: shape.to_vec(), text }))
    }

    /// The bytes before the first element.
    ///
    /// # Errors
    /// When the shape exceeds the header of the format.
    pub fn head(&self) -> Result<Vec<u8>, Error> {
        match (&self.text, self.format) {
            (None, Format::Npy) => npy::header(self.element, &self.shape),
            (Some(text), Format::Json) => Ok(text.json_head(self.element, &self.shape).into_bytes()),
            _ => Ok(Vec::new()),
        }
    }

    /// Whether the encoded elements are the elements as they are, without a copy.
    pub const fn keeps_elements(&self) -> bool {
        self.text.is_none()
    }

    /// Appends the encoded next elements. `elements` are whole elements, little endian.
    pub fn append(&mut self, elements: &[u8], to: &mut Vec<u8>) {
        let Some(text) = &mut self.text else { return to.extend_from_slice(elements) };
        let values = ArrayRef { element: self.element, shape: &[], data: elements }.values();
        match self.format {
            Format::Csv => values.for_each(|value| text.append_csv(value, to)),
            _ => values.for_each(|value| text.append_json(value, to)),
        }
    }

    /// The bytes after the last element.
    pub fn tail(&self) -> Vec<u8> {
        self.text.as_ref().map_or_else(Vec::new, |text| if self.format == Format::Csv { text.csv_tail() } else { text.json_tail() })
    }

    /// Number of bytes in total; `None` for text, whose length depends on the values.
    pub fn length(&self) -> Option<u64> {
        let elements = self.shape.iter().fold(self.element.size() as u64, |bytes, &axis| bytes.saturating_mul(axis as u64));
        match self.text {
            Some(_) => None,
            None => Some(elements + self.head().map_or(0, |head| head.len() as u64)),
        }
    }

    /// Encodes all elements of `a`.
    pub(super) fn encode(mut self, a: &ArrayRef<'_>) -> Result<Vec<u8>, Error> {
        let (mut out, factor) = (self.head()?, if self.keeps_elements() { 1 } else { 2 });
        out.reserve_exact(a.data.len() * factor);
        self.append(a.data, &mut out);
        out.extend(self.tail());
        Ok(out)
    }
}

/// Margin for headers, tables and buffers of an encoder, in bytes.
const MARGIN: u64 = 64 << 10;

impl Format {
    /// Most bytes that [`super::encode`] allocates beyond the elements, of an array of `elements` elements in pages of `page` elements.
    pub fn scratch_bytes(self, element: Element, elements: u64, page: u64) -> u64 {
        let (raw, gray) = (elements.saturating_mul(element.size() as u64), if element == Element::Uint8 { 0 } else { elements });
        // Data that does not compress is stored with five bytes for each block of at most 64 KiB, and a byte for each row.
        let stored = |bytes: u64| bytes.saturating_add(bytes / 16);
        MARGIN.saturating_add(match self {
            Self::Npy | Self::Raw => raw,
            Self::Csv | Self::Json => elements.saturating_mul(text::element_bytes(element)),
            // The samples, the compressed samples, and the file.
            Self::Png if element == Element::Uint16 => raw.saturating_add(stored(raw).saturating_mul(2)),
            Self::Png => gray.saturating_add(stored(elements).saturating_mul(2)),
            // The grays, and at most two bytes a pixel.
            Self::Jpeg { .. } => gray.saturating_add(elements.saturating_mul(2)),
            // The file, and one page in the byte order of the file.
            Self::Tiff => raw.saturating_add(page.saturating_mul(element.size() as u64)).saturating_add(elements / page.max(1) * 512),
        })
    }
}
