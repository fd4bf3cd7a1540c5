//! A frame comes in; its centre of mass, the crop's corner and the cropped frame go out.

mod moments;
#[cfg(test)]
mod tests;

use api::geometry::{Dtype, FrameSpec};

/// A frame's centre of mass, in pixels from its first one, axis 0 first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Centroid {
    /// Along axis 0.
    pub y: f64,
    /// Along axis 1.
    pub x: f64,
    /// The sum of the pixels that weighed. Without a threshold that is the frame's own sum, and reduce need not look at the frame.
    pub total: Total,
}

/// The sum of pixels that weighed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Total {
    /// Of integers, exact.
    Whole(u64),
    /// Of float32, in float64.
    Real(f64),
}

/// Column sums of one frame; one per thread, used again for every frame.
#[derive(Debug, Default)]
pub struct Scratch {
    narrow16: Vec<u16>,
    narrow32: Vec<u32>,
    wide: Vec<u64>,
    real: Vec<f64>,
}

/// The centre of mass: Σi·v/Σv on each axis, (0, 0) when the total is not above zero (a black frame, or NaN).
///
/// Pixels below the threshold weigh nothing. Integers give the exact ratio, rounded to float64 once numerator and denominator are;
/// float32 is summed in float64, in an order that depends on the frame's shape alone.
///
/// # Panics
/// When `frame` is not as long as `spec` says: a bug of the caller.
pub fn centroid(frame: &[u8], spec: FrameSpec, threshold: Option<f64>, scratch: &mut Scratch) -> Centroid {
    assert_eq!(frame.len(), spec.bytes(), "a frame of another size than {spec}");
    let (y, x, total) = match spec.dtype {
        Dtype::Uint8 => moments::whole::<u8>(frame, spec, threshold, &mut scratch.narrow16, &mut scratch.wide),
        Dtype::Uint16 => moments::whole::<u16>(frame, spec, threshold, &mut scratch.narrow32, &mut scratch.wide),
        Dtype::Float32 => {
            let (y, x, total) = moments::real(frame, spec, threshold, &mut scratch.real);
            let centre = if total > 0.0 { [y / total, x / total] } else { [0.0; 2] };
            return Centroid { y: centre[0], x: centre[1], total: Total::Real(total) };
        }
    };
    let centre = if total > 0 { [y as f64 / total as f64, x as f64 / total as f64] } else { [0.0; 2] };
    Centroid { y: centre[0], x: centre[1], total: Total::Whole(total) }
}

/// The top-left corner of the crop about a centroid: `clamp(int(c) - crop // 2, 0, size - crop)` on each axis.
pub fn corner(centroid: [f64; 2], frame: [usize; 2], crop: [usize; 2]) -> [usize; 2] {
    // `as` truncates toward zero and holds at the ends, and NaN becomes 0.
    std::array::from_fn(|axis| (centroid[axis] as usize).saturating_sub(crop[axis] / 2).min(frame[axis].saturating_sub(crop[axis])))
}

/// Copies the crop of a frame, row by row, to `out`.
///
/// # Panics
/// When the crop reaches out of the frame, or `frame` or `out` are of other sizes than `spec` and `crop` say: bugs of the caller.
pub fn crop_into(frame: &[u8], spec: FrameSpec, corner: [usize; 2], crop: [usize; 2], out: &mut [u8]) {
    let pixel = spec.dtype.size();
    assert!(corner[0] + crop[0] <= spec.height && corner[1] + crop[1] <= spec.width, "the crop at {corner:?} leaves the frame");
    assert_eq!((frame.len(), out.len()), (spec.bytes(), crop[0] * crop[1] * pixel), "a frame or a crop of another size");
    if crop[1] == 0 {
        return;
    }
    let rows = frame.chunks_exact(spec.width * pixel).skip(corner[0]);
    for (row, out) in rows.zip(out.chunks_exact_mut(crop[1] * pixel)) {
        out.copy_from_slice(&row[corner[1] * pixel..][..crop[1] * pixel]);
    }
}

/// The smallest pixel of an integer type that weighs; none when no pixel can.
fn first_heavy(largest: u32, threshold: Option<f64>) -> Option<u32> {
    // NaN is above nothing: every pixel weighs. So it does under a negative threshold: `as` gives 0 for both.
    let least = threshold.unwrap_or(0.0).ceil();
    if least > f64::from(largest) { None } else { Some(least as u32) }
}
