//! Pictures of arrays: series as line plots in SVG, frames as gray PNG.

mod axis;
mod plot;

pub(crate) use plot::LinePlot;

use formats::encode::{self, Contrast};
use ndarray::{Array2, ArrayView2, s};

/// Width of the white space between two pictures, in pixels.
const GAP: usize = 12;

/// A gray picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Gray {
    /// Shape (y, x); 0 is black.
    pixels: Array2<u8>,
}

impl Gray {
    /// The values of a (y, x) array as grays, from the least finite value in black to the greatest in white.
    pub(crate) fn new(values: ArrayView2<'_, f64>, contrast: Contrast) -> Self {
        let mut pixels = Array2::zeros(values.dim());
        let grays = encode::gray(values.iter().copied(), contrast);
        pixels.iter_mut().zip(grays).for_each(|(pixel, gray)| *pixel = gray);
        Self { pixels }
    }

    /// The picture as a PNG.
    ///
    /// # Errors
    /// The picture has no pixels.
    pub(crate) fn png(&self) -> Result<Vec<u8>, encode::Error> {
        let (height, width) = self.pixels.dim();
        encode::gray_png(height, width, self.pixels.as_standard_layout().as_slice().unwrap_or_default())
    }

    /// The picture enlarged to a height by bilinear interpolation. The proportions stay.
    fn enlarged(&self, height: usize) -> Self {
        let (old_height, old_width) = self.pixels.dim();
        if height == old_height || self.pixels.is_empty() {
            return self.clone();
        }
        let width = (old_width * height).div_euclid(old_height).max(1);
        let columns: Vec<_> = (0..width).map(|x| neighbors(x, width, old_width)).collect();
        let rows: Vec<_> = (0..height).map(|y| neighbors(y, height, old_height)).collect();
        let pixels = Array2::from_shape_fn((height, width), |(y, x)| {
            let ((top, bottom, down), (left, right, along)) = (rows[y], columns[x]);
            let blend = |row: usize| f64::from(self.pixels[[row, left]]) * (1.0 - along) + f64::from(self.pixels[[row, right]]) * along;
            (blend(top) * (1.0 - down) + blend(bottom) * down).round() as u8
        });
        Self { pixels }
    }
}

/// Two pictures next to each other on white as one PNG; the lower picture is enlarged to the height of the other.
///
/// # Errors
/// One of the pictures has no pixels.
pub(crate) fn side_by_side(before: &Gray, after: &Gray) -> Result<Vec<u8>, encode::Error> {
    // A picture without pixels cannot be enlarged; its own error describes the fault.
    if let Some(empty) = [before, after].into_iter().find(|picture| picture.pixels.is_empty()) {
        return empty.png();
    }
    let height = before.pixels.nrows().max(after.pixels.nrows());
    let (left, right) = (before.enlarged(height).pixels, after.enlarged(height).pixels);
    let mut pixels = Array2::from_elem((height, left.ncols() + GAP + right.ncols()), u8::MAX);
    pixels.slice_mut(s![.., ..left.ncols()]).assign(&left);
    pixels.slice_mut(s![.., left.ncols() + GAP..]).assign(&right);
    Gray { pixels }.png()
}

/// Of pixel `i` of an axis of length `to`: the two neighbors on the same axis at length `from`, and the position between them,
/// from 0 (first) to 1 (second).
fn neighbors(i: usize, to: usize, from: usize) -> (usize, usize, f64) {
    let last = from.saturating_sub(1);
    let position = ((i as f64 + 0.5) * from as f64 / to as f64 - 0.5).clamp(0.0, last as f64);
    let first = position as usize;
    (first, (first + 1).min(last), position - first as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    /// The pixels of a PNG, shape (y, x).
    fn decoded(png: &[u8]) -> Array2<u8> {
        let mut reader = png::Decoder::new(std::io::Cursor::new(png)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        Array2::from_shape_vec((info.height as usize, info.width as usize), pixels).unwrap()
    }

    #[test]
    fn a_frame_uses_all_grays() {
        let values = array![[10.0, 11.0, 12.0], [f64::NAN, 20.0, 15.0]];
        let expected = array![[0, 26, 51], [0, 255, 128]];
        assert_eq!(decoded(&Gray::new(values.view(), Contrast::Linear).png().unwrap()), expected);
        // A view with other strides gives the same picture, transposed.
        assert_eq!(decoded(&Gray::new(values.t(), Contrast::Linear).png().unwrap()), expected.t());
    }

    #[test]
    fn two_pictures_have_the_same_height_side_by_side() {
        let large = Gray::new(array![[0.0, 1.0], [0.0, 1.0], [0.0, 1.0], [0.0, 1.0]].view(), Contrast::Linear);
        let small = Gray::new(array![[0.0, 1.0], [0.0, 1.0]].view(), Contrast::Linear);
        let pixels = decoded(&side_by_side(&large, &small).unwrap());
        assert_eq!(pixels.dim(), (4, 2 + GAP + 4));
        for row in pixels.rows() {
            assert_eq!(row.slice(s![..2]), array![0, 255]);
            assert!(row.slice(s![2..2 + GAP]).iter().all(|&pixel| pixel == 255));
            assert_eq!(row.slice(s![2 + GAP..]), array![0, 64, 191, 255]);
        }
    }

    #[test]
    fn pictures_without_pixels_are_refused() {
        let one = Gray::new(array![[1.0]].view(), Contrast::Linear);
        let none = Gray::new(Array2::zeros((0, 5)).view(), Contrast::Log);
        assert!(side_by_side(&one, &none).is_err());
        assert!(side_by_side(&none, &one).is_err());
    }
}
