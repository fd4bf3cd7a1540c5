//! Means and spectra in, pictures for people out: line plots as SVG, frames as gray PNG.

mod plot;

pub use plot::line_plot;

use formats::encode::{self, Contrast};
use thiserror::Error;

/// Why a picture could not be made.
#[derive(Debug, Error)]
pub enum Error {
    /// The plotting library failed.
    #[error("failed to draw the plot {title:?}")]
    Plot {
        /// The plot's title.
        title: String,
        /// What the plotting library said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The values are not as many as the shape says: a bug of the caller.
    #[error("a picture of {height}×{width} pixels cannot be made of {found} values")]
    WrongShape {
        /// Rows.
        height: usize,
        /// Columns.
        width: usize,
        /// Values there are.
        found: usize,
    },
    /// The pixels could not be written as a PNG.
    #[error(transparent)]
    Encode(#[from] encode::Error),
}

/// Pixels between two pictures that stand side by side.
const GAP: usize = 12;

/// A gray picture in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gray {
    height: usize,
    width: usize,
    /// 0 is black; row by row.
    pixels: Vec<u8>,
}

impl Gray {
    /// The values of a (height, width) array as grays, from the least finite value in black to the greatest in white.
    ///
    /// # Errors
    /// When there are not as many values as the shape says.
    pub fn new(values: &[f64], shape: (usize, usize), contrast: Contrast) -> Result<Self, Error> {
        let (height, width) = shape;
        if height.checked_mul(width) != Some(values.len()) {
            return Err(Error::WrongShape { height, width, found: values.len() });
        }
        Ok(Self { height, width, pixels: encode::gray(values.iter().copied(), contrast) })
    }

    /// The picture as a PNG.
    ///
    /// # Errors
    /// When there are no pixels.
    pub fn png(&self) -> Result<Vec<u8>, Error> {
        Ok(encode::gray_png(self.height, self.width, &self.pixels)?)
    }

    /// The picture enlarged to a height, its proportions kept, by bilinear interpolation.
    fn enlarged(&self, height: usize) -> Self {
        if height == self.height || self.pixels.is_empty() {
            return self.clone();
        }
        let width = (self.width * height).div_euclid(self.height).max(1);
        let columns: Vec<_> = (0..width).map(|x| between(x, width, self.width)).collect();
        let mut pixels = Vec::with_capacity(height * width);
        for (top, bottom, down) in (0..height).map(|y| between(y, height, self.height)) {
            let [upper, lower] = [top, bottom].map(|y| &self.pixels[y * self.width..][..self.width]);
            pixels.extend(columns.iter().map(|&(left, right, along)| {
                let blend = |row: &[u8]| f64::from(row[left]) * (1.0 - along) + f64::from(row[right]) * along;
                (blend(upper) * (1.0 - down) + blend(lower) * down).round() as u8
            }));
        }
        Self { height, width, pixels }
    }
}

/// A frame as an 8-bit gray PNG, from its least finite value in black to its greatest in white.
///
/// # Errors
/// When there are not as many values as the shape (height, width) says, or none.
pub fn frame_png(values: &[f64], shape: (usize, usize), contrast: Contrast) -> Result<Vec<u8>, Error> {
    Gray::new(values, shape, contrast)?.png()
}

/// Two pictures next to each other on white as one PNG, the lower one enlarged to the height of the other.
///
/// # Errors
/// When one of them has no pixels.
pub fn side_by_side(before: &Gray, after: &Gray) -> Result<Vec<u8>, Error> {
    let height = before.height.max(after.height);
    // A picture without pixels cannot grow; its own error says so.
    if let Some(empty) = [before, after].into_iter().find(|picture| picture.pixels.is_empty()) {
        return empty.png();
    }
    let (left, right) = (before.enlarged(height), after.enlarged(height));
    let mut pixels = Vec::with_capacity(height * (left.width + GAP + right.width));
    for (one, other) in left.pixels.chunks_exact(left.width).zip(right.pixels.chunks_exact(right.width)) {
        pixels.extend_from_slice(one);
        pixels.extend_from_slice(&[u8::MAX; GAP]);
        pixels.extend_from_slice(other);
    }
    Ok(encode::gray_png(height, left.width + GAP + right.width, &pixels)?)
}

/// The two pixels of an axis of length `from` that pixel `i` of the same axis at length `to` lies between, and how far
/// it is on the way from the first to the second.
fn between(i: usize, to: usize, from: usize) -> (usize, usize, f64) {
    let last = from.saturating_sub(1);
    let position = ((i as f64 + 0.5) * from as f64 / to as f64 - 0.5).clamp(0.0, last as f64);
    let first = position as usize;
    (first, (first + 1).min(last), position - first as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(png: &[u8]) -> (usize, usize, Vec<u8>) {
        let mut reader = png::Decoder::new(std::io::Cursor::new(png)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        (info.height as usize, info.width as usize, pixels)
    }

    #[test]
    fn a_frame_uses_all_grays() {
        let png = frame_png(&[10.0, 11.0, 12.0, f64::NAN, 20.0, 15.0], (2, 3), Contrast::Linear).unwrap();
        assert_eq!(decoded(&png), (2, 3, vec![0, 26, 51, 0, 255, 128]));
    }

    #[test]
    fn two_pictures_stand_at_the_same_height() {
        let large = Gray::new(&[0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0], (4, 2), Contrast::Linear).unwrap();
        let small = Gray::new(&[0.0, 1.0, 0.0, 1.0], (2, 2), Contrast::Linear).unwrap();
        let (height, width, pixels) = decoded(&side_by_side(&large, &small).unwrap());
        assert_eq!((height, width), (4, 2 + GAP + 4));
        for row in pixels.chunks_exact(width) {
            assert_eq!(row[..2], [0, 255]);
            assert_eq!(row[2..2 + GAP], [255; GAP]);
            assert_eq!(row[2 + GAP..], [0, 64, 191, 255]);
        }
    }

    #[test]
    fn pictures_without_pixels_are_refused() {
        let one = Gray::new(&[1.0], (1, 1), Contrast::Linear).unwrap();
        let none = Gray::new(&[], (0, 5), Contrast::Log).unwrap();
        assert!(side_by_side(&one, &none).is_err());
        assert!(side_by_side(&none, &one).is_err());
        let error = frame_png(&[1.0; 5], (2, 3), Contrast::Linear).unwrap_err();
        assert_eq!(error.to_string(), "a picture of 2×3 pixels cannot be made of 5 values");
    }
}
