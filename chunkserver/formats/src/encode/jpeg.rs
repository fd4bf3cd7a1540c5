//! A 2-D array (y, x) as a gray JPEG, ITU-T T.81: <https://www.w3.org/Graphics/JPEG/itu-t81.pdf>.

use super::picture::{Contrast, gray, sides};
use super::{ArrayRef, Error, Format, Value, tuple};
use api::geometry::Element;
use jpeg_encoder::{ColorType, Encoder};
use std::borrow::Cow;

/// `uint8` unscaled; other types scaled as [`super::picture()`] with linear contrast.
pub(super) fn encode(a: &ArrayRef<'_>, quality: u8) -> Result<Vec<u8>, Error> {
    let format = Format::Jpeg { quality };
    let (height, width) = sides(a, format)?;
    let (Ok(height), Ok(width)) = (u16::try_from(height), u16::try_from(width)) else {
        return Err(Error::TooLarge { format, shape: tuple(a.shape) });
    };
    let pixels = match a.element {
        Element::Uint8 => Cow::Borrowed(a.data),
        _ => Cow::Owned(gray(a.values().map(Value::magnitude), Contrast::Linear)),
    };
    let mut out = Vec::with_capacity(pixels.len() / 4 + 1024);
    match Encoder::new(&mut out, quality).encode(&pixels, width, height, ColorType::Luma) {
        Ok(()) => Ok(out),
        Err(source) => Err(Error::Jpeg { shape: tuple(a.shape), source }),
    }
}
