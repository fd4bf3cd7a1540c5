//! A frame in; its centre of mass, the corner of the crop and the cropped frame out.

mod moments;
#[cfg(test)]
mod tests;

use api::geometry::{Dtype, FrameSpec};

/// A frame's centre of mass (y, x), in pixels from the first pixel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Centroid {
    /// Along axis 0.
    pub y: f64,
    /// Along axis 1.
    pub x: f64,
    /// The sum of the pixels that have weight. Without a threshold this is the sum of the frame, and
    /// [`FrameStat::of_sum`](crate::reduce::FrameStat::of_sum) takes it.
    pub total: Total,
}

impl Centroid {
    /// Whether the frame has a centre of mass: the sum is above zero. Otherwise the centroid is (0, 0).
    pub fn exists(&self) -> bool {
        self.total.value() > 0.0
    }

    fn of([y, x]: [f64; 2], total: Total) -> Self {
        let empty = Self { y: 0.0, x: 0.0, total };
        if empty.exists() { Self { y: y / total.value(), x: x / total.value(), total } } else { empty }
    }
}

/// The sum of the pixels that have weight.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Total {
    /// The sum of integers, exact.
    Whole(u64),
    /// The sum of float32, in float64.
    Real(f64),
}

impl Total {
    /// The sum, rounded to float64.
    const fn value(self) -> f64 {
        match self {
            Self::Whole(sum) => sum as f64,
            Self::Real(sum) => sum,
        }
    }
}

/// Column sums of one frame. Each thread has one scratch and uses it for all frames.
#[derive(Debug, Default)]
pub struct Scratch {
    narrow16: Vec<u16>,
    narrow32: Vec<u32>,
    wide: Vec<u64>,
    real: Vec<f64>,
}

/// The centre of mass of a frame (y, x) in C order: Σi·v / Σv on each axis, as
/// [`scipy.ndimage.center_of_mass`](https://docs.scipy.org/doc/scipy/reference/generated/scipy.ndimage.center_of_mass.html), but (0, 0)
/// when the sum is not above zero (a black frame, or NaN).
///
/// Pixels below `threshold` have no weight. Numerator and denominator of integers are exact and are rounded to float64 before the division.
/// float32 is summed in float64, in an order that depends on the shape of the frame alone.
///
/// # Panics
/// When the length of `frame` does not match `spec`: a bug of the caller.
///
/// ```
/// use api::geometry::{Dtype, FrameSpec};
/// use kernels::recenter::{Scratch, Total, centroid};
///
/// let spec = FrameSpec { height: 2, width: 3, dtype: Dtype::Uint8 };
/// let found = centroid(&[0, 0, 0, 0, 10, 30], spec, None, &mut Scratch::default());
/// assert_eq!((found.y, found.x, found.total), (1.0, 1.75, Total::Whole(40)));
/// let found = centroid(&[0, 0, 0, 0, 10, 30], spec, Some(20.0), &mut Scratch::default());
/// assert_eq!((found.y, found.x, found.total), (1.0, 2.0, Total::Whole(30)));
/// ```
pub fn centroid(frame: &[u8], spec: FrameSpec, threshold: Option<f64>, scratch: &mut Scratch) -> Centroid {
    assert_eq!(frame.len(), spec.bytes(), "the frame does not have the size of {spec}");
    let (y, x, total) = match spec.dtype {
        Dtype::Uint8 => moments::whole::<u8>(frame, spec, threshold, &mut scratch.narrow16, &mut scratch.wide),
        Dtype::Uint16 => moments::whole::<u16>(frame, spec, threshold, &mut scratch.narrow32, &mut scratch.wide),
        Dtype::Float32 => {
            let (y, x, total) = moments::real(frame, spec, threshold, &mut scratch.real);
            return Centroid::of([y, x], Total::Real(total));
        }
    };
    Centroid::of([y as f64, x as f64], Total::Whole(total))
}

/// The top-left corner (y, x) of a crop around a centroid, in pixels: `clamp(int(c) - crop // 2, 0, size - crop)` on each axis.
///
/// ```
/// use kernels::recenter::corner;
///
/// assert_eq!(corner([999.7, 20.0], [2000, 2000], [1000, 1000]), [499, 0]);
/// ```
pub fn corner(centroid: [f64; 2], frame: [usize; 2], crop: [usize; 2]) -> [usize; 2] {
    // `as` truncates toward zero, saturates, and converts NaN to 0.
    std::array::from_fn(|axis| (centroid[axis] as usize).saturating_sub(crop[axis] / 2).min(frame[axis].saturating_sub(crop[axis])))
}

/// Copies a crop of a frame to `out`: `frame[y:y+height, x:x+width]` for `corner` (y, x) and `crop` (height, width), all in pixels.
///
/// # Panics
/// When the crop exceeds the frame, or `frame` or `out` do not have the sizes of `spec` and `crop`: bugs of the caller.
///
/// ```
/// use api::geometry::{Dtype, FrameSpec};
/// use kernels::recenter::crop_into;
///
/// let spec = FrameSpec { height: 2, width: 3, dtype: Dtype::Uint8 };
/// let mut out = [0; 2];
/// crop_into(&[1, 2, 3, 4, 5, 6], spec, [0, 1], [2, 1], &mut out);
/// assert_eq!(out, [2, 5]);
/// ```
pub fn crop_into(frame: &[u8], spec: FrameSpec, corner: [usize; 2], crop: [usize; 2], out: &mut [u8]) {
    let pixel = spec.dtype.size();
    assert!(corner[0] + crop[0] <= spec.height && corner[1] + crop[1] <= spec.width, "the crop at {corner:?} exceeds the frame");
    assert_eq!((frame.len(), out.len()), (spec.bytes(), crop[0] * crop[1] * pixel), "the frame or the crop has a wrong size");
    if crop[1] == 0 {
        return;
    }
    let rows = frame.chunks_exact(spec.width * pixel).skip(corner[0]);
    for (row, out) in rows.zip(out.chunks_exact_mut(crop[1] * pixel)) {
        out.copy_from_slice(&row[corner[1] * pixel..][..crop[1] * pixel]);
    }
}

/// The smallest value of an integer pixel that has weight; `None` when no value has.
fn first_heavy(largest: u32, threshold: Option<f64>) -> Option<u32> {
    // `as` converts NaN and negative thresholds to 0: every pixel has weight.
    let least = threshold.unwrap_or(0.0).ceil();
    if least > f64::from(largest) { None } else { Some(least as u32) }
}
