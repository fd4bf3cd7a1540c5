//! The NPY format of NumPy, version 1.0: <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>.

use super::{Error, Format, tuple};
use api::geometry::Element;

/// Magic string, version, and the two bytes with the length of the rest of the header.
const PRELUDE: usize = 10;

/// The data starts at a multiple of this number of bytes, so that readers can map the file.
const ALIGNMENT: usize = 64;

/// The bytes of an `.npy` file before the elements, for callers that stream the elements.
///
/// # Errors
/// When the shape has thousands of axes and exceeds the header.
pub fn header(element: Element, shape: &[usize]) -> Result<Vec<u8>, Error> {
    let shape = tuple(shape);
    let dictionary = format!("{{'descr': '{}', 'fortran_order': False, 'shape': {shape}, }}", element.type_string());
    let total = (PRELUDE + dictionary.len() + 1).next_multiple_of(ALIGNMENT);
    let Ok(length) = u16::try_from(total - PRELUDE) else {
        return Err(Error::TooLarge { format: Format::Npy, shape });
    };
    let mut out = Vec::with_capacity(total);
    out.extend_from_slice(b"\x93NUMPY\x01\x00");
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(dictionary.as_bytes());
    out.resize(total - 1, b' ');
    out.push(b'\n');
    Ok(out)
}
