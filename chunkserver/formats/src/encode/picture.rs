//! A 2-D array (y, x) as a gray PNG: <https://www.w3.org/TR/png-3/>.

use super::{ArrayRef, Error, Format, Value, selection, tuple};
use api::geometry::Element;

/// The mapping of values to the 256 grays of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contrast {
    /// The smallest finite value is black, the largest is white.
    Linear,
    /// As `Linear`, of `log(1 + value)`, with 0 for negative values: for power, which spans many decades.
    Log,
}

/// `uint8` and `uint16` unchanged; other types by [`picture`] with linear contrast.
pub(super) fn encode(a: &ArrayRef<'_>) -> Result<Vec<u8>, Error> {
    let (height, width) = sides(a, Format::Png)?;
    match a.element {
        Element::Uint8 => write(height, width, ::png::BitDepth::Eight, a.data),
        Element::Uint16 => {
            // PNG's 16-bit samples are big endian.
            let swapped: Vec<u8> = a.data.chunks_exact(2).flat_map(|b| [b[1], b[0]]).collect();
            write(height, width, ::png::BitDepth::Sixteen, &swapped)
        }
        _ => picture(a, Contrast::Linear),
    }
}

/// An 8-bit gray PNG of a 2-D array of any element type, scaled to the range from black to white.
///
/// Complex values are represented by their magnitude. NaN and −∞ are black, ∞ is white. A picture with a single value is black.
///
/// # Errors
/// When the array is not 2-D, has no elements, or is too large for a PNG.
pub fn picture(a: &ArrayRef<'_>, contrast: Contrast) -> Result<Vec<u8>, Error> {
    a.check()?;
    let (height, width) = sides(a, Format::Png)?;
    write(height, width, ::png::BitDepth::Eight, &gray(a.values().map(Value::magnitude), contrast))
}

/// The gray values of a picture, scaled as in [`picture`].
pub fn gray(values: impl Iterator<Item = f64> + Clone, contrast: Contrast) -> Vec<u8> {
    let values = values.map(|v| match contrast {
        Contrast::Linear => v,
        // `max` returns 0 for NaN, and 0 may be brighter than black.
        Contrast::Log => {
            if v < 0.0 {
                0.0
            } else {
                v.ln_1p()
            }
        }
    });
    let finite = values.clone().filter(|v| v.is_finite());
    let (low, high) = finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
    // Halves, because the range of float64 values may exceed float64.
    let range = high / 2.0 - low / 2.0;
    let scale = |v: f64| match v {
        f64::INFINITY => 255,
        // The cast saturates, and converts NaN to 0.
        _ if range > 0.0 => ((v / 2.0 - low / 2.0) / range * 255.0).round() as u8,
        _ => 0,
    };
    values.map(scale).collect()
}

/// An 8-bit gray PNG of gray values (y, x) in C order.
///
/// # Errors
/// When the picture is empty or too large for PNG, or the number of pixels is not height times width.
pub fn gray_png(height: usize, width: usize, pixels: &[u8]) -> Result<Vec<u8>, Error> {
    let a = ArrayRef { element: Element::Uint8, shape: &[height, width], data: pixels };
    a.check()?;
    encode(&a)
}

/// Height and width of a picture in `format`.
pub(super) fn sides(a: &ArrayRef<'_>, format: Format) -> Result<(u32, u32), Error> {
    let &[height, width] = a.shape else {
        let advice = if a.shape.len() > 2 {
            format!("select one frame, for example {}", selection(a.shape, 2))
        } else {
            "use csv, json or npy".to_owned()
        };
        return Err(Error::Axes { format, holds: "one 2-D picture", shape: tuple(a.shape), advice });
    };
    if height == 0 || width == 0 {
        return Err(Error::Empty { format, shape: tuple(a.shape) });
    }
    // PNG limits both to 2^31 - 1.
    match (i32::try_from(height), i32::try_from(width)) {
        (Ok(height), Ok(width)) => Ok((height.unsigned_abs(), width.unsigned_abs())),
        _ => Err(Error::TooLarge { format, shape: tuple(a.shape) }),
    }
}

fn write(height: u32, width: u32, depth: ::png::BitDepth, pixels: &[u8]) -> Result<Vec<u8>, Error> {
    let mut out = Vec::with_capacity(pixels.len() / 2 + 1024);
    let mut attempt = || {
        let mut encoder = ::png::Encoder::new(&mut out, width, height);
        encoder.set_color(::png::ColorType::Grayscale);
        encoder.set_depth(depth);
        encoder.set_compression(::png::Compression::Fast);
        let mut writer = encoder.write_header()?;
        writer.write_image_data(pixels)?;
        writer.finish()
    };
    match attempt() {
        Ok(()) => Ok(out),
        Err(source) => Err(Error::Png { shape: format!("({height}, {width})"), source }),
    }
}
