//! Coefficients to pixels: upsampling and colours as in libjpeg-turbo's `jdsample.c` and `jdcolor.c`.

use super::exact::Plane;
use super::header::Header;
use super::{idct, unsupported};
use crate::decode::{Error, luminance};

/// The pixels of one component.
struct Samples {
    width: usize,
    height: usize,
    stride: usize,
    pixels: Vec<u8>,
    /// Pixels of the image for each sample, on each axis.
    across: usize,
    down: usize,
}

/// Writes gray pixels (y, x): the component of a gray image, or the luminance of colours.
pub(super) fn gray(planes: Vec<Plane>, header: &Header, out: &mut [u8]) -> Result<(), Error> {
    let (h_max, v_max) = header.largest();
    let fractional = |plane: &Plane| !h_max.is_multiple_of(plane.component.h) || !v_max.is_multiple_of(plane.component.v);
    if planes.iter().any(fractional) {
        return Err(unsupported("components of a resolution that does not divide that of the others"));
    }
    // Consumes the planes, so that each component's coefficients are freed before the next component's pixels are allocated.
    let samples = |plane: Plane| Samples::new(&plane, h_max / plane.component.h, v_max / plane.component.v);
    let components: Vec<Samples> = planes.into_iter().map(samples).collect();
    let mut rows = vec![Vec::new(); components.len()];
    for (y, line) in out.chunks_exact_mut(header.width).enumerate() {
        for (component, row) in components.iter().zip(&mut rows) {
            component.row(y, header.width, row);
        }
        match &rows[..] {
            [first, second, third] => {
                let pixels = first.iter().zip(second).zip(third);
                for (gray, ((&a, &b), &c)) in line.iter_mut().zip(pixels) {
                    let [red, green, blue] = if header.rgb { [a, b, c] } else { rgb(a, b, c) };
                    *gray = luminance::of_u8(red, green, blue);
                }
            }
            rows => line.copy_from_slice(&rows[0][..header.width]),
        }
    }
    Ok(())
}

impl Samples {
    fn new(plane: &Plane, across: usize, down: usize) -> Self {
        let stride = 8 * plane.across;
        let mut pixels = vec![0; stride * 8 * plane.down];
        for (i, block) in plane.coefficients.iter().enumerate() {
            let start = i / plane.across * 8 * stride + i % plane.across * 8;
            for (y, row) in idct::pixels(block, &plane.quantization).iter().enumerate() {
                pixels[start + y * stride..][..8].copy_from_slice(row);
            }
        }
        Self { width: plane.width, height: plane.height, stride, pixels, across, down }
    }

    fn line(&self, y: usize) -> &[u8] {
        &self.pixels[y.min(self.height - 1) * self.stride..][..self.width]
    }

    /// The component in row `y` of the image, at least `width` pixels. Half resolution is interpolated by triangles, whose weights are 3/4
    /// and 1/4, with libjpeg's rounding ("fancy upsampling"). Other resolutions are repeated.
    fn row(&self, y: usize, width: usize, row: &mut Vec<u8>) {
        row.clear();
        let near = self.line(y / self.down);
        // The next nearest row.
        let far = || if y.is_multiple_of(2) { self.line((y / 2).saturating_sub(1)) } else { self.line(y / 2 + 1) };
        match (self.across, self.down) {
            (1, 1) => row.extend_from_slice(near),
            (1, 2) => {
                let bias = if y.is_multiple_of(2) { 1 } else { 2 };
                row.extend(near.iter().zip(far()).map(|(&near, &far)| ((3 * u32::from(near) + u32::from(far) + bias) >> 2) as u8));
            }
            (2, 1) if self.width > 2 => widen(self.width, |x| u32::from(near[x]), [1, 2], 2, row),
            (2, 2) if self.width > 2 => {
                let far = far();
                widen(self.width, |x| 3 * u32::from(near[x]) + u32::from(far[x]), [8, 7], 4, row);
            }
            (across, _) => row.extend(near.iter().flat_map(|&sample| std::iter::repeat_n(sample, across))),
        }
        debug_assert!(row.len() >= width);
    }
}

/// Doubles a row of sums. `bias` is added to even and odd pixels before the shift.
fn widen(width: usize, sum: impl Fn(usize) -> u32, [even, odd]: [u32; 2], shift: u32, row: &mut Vec<u8>) {
    for x in 0..width {
        let this = sum(x);
        let left = if x == 0 { this } else { sum(x - 1) };
        let right = if x + 1 == width { this } else { sum(x + 1) };
        row.push(((3 * this + left + even) >> shift) as u8);
        row.push(((3 * this + right + odd) >> shift) as u8);
    }
}

/// `YCbCr` to red, green and blue with libjpeg's constants of 16 bits: JFIF 1.02, page 3, <https://www.w3.org/Graphics/JPEG/jfif3.pdf>.
fn rgb(luma: u8, blue: u8, red: u8) -> [u8; 3] {
    const HALF: i32 = 1 << 15;
    let (luma, blue, red) = (i32::from(luma), i32::from(blue) - 128, i32::from(red) - 128);
    let values = [(91881 * red + HALF) >> 16, (-22554 * blue - 46802 * red + HALF) >> 16, (116_130 * blue + HALF) >> 16];
    values.map(|value| (luma + value).clamp(0, 255) as u8)
}
