//! The cell of the movie at rest: texture, membrane, and organelles that beat.

use super::noise::{smooth_noise, smooth_step};
use ndarray::Array2;
use std::f64::consts::TAU;

/// One pixel of the cell at rest.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Spot {
    pub(super) brightness: f32,
    /// Index of the organelle in [`ORGANELLES`], and the share of its beat at this pixel, from 0 to 1.
    pub(super) organelle: usize,
    pub(super) share: f32,
}

/// A part of the cell with a beat of its own. Lengths are in radii of the cell.
pub(super) struct Organelle {
    pub(super) name: &'static str,
    /// Centers (y, x). Organelles away from the middle are opposite pairs, so that their beat does not move the centroid.
    pub(super) centers: &'static [(f64, f64)],
    pub(super) radius: f64,
    pub(super) pulse: Pulse,
}

/// A periodic change of brightness.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pulse {
    /// Frames per cycle, before rounding to whole cycles in the movie.
    pub(super) period: f64,
    /// Relative change of brightness.
    pub(super) amplitude: f64,
    /// Phase at the first frame, in radians.
    pub(super) phase: f64,
}

pub(super) const ORGANELLES: [Organelle; 3] = [
    Organelle { name: "nucleus", centers: &[(0.0, 0.0)], radius: 0.27, pulse: Pulse { period: 8.0, amplitude: 0.30, phase: 0.4 } },
    Organelle {
        name: "vacuoles",
        centers: &[(-0.36, 0.46), (0.36, -0.46)],
        radius: 0.16,
        pulse: Pulse { period: 5.0, amplitude: 0.35, phase: 2.0 },
    },
    Organelle {
        name: "granules",
        centers: &[(0.50, 0.34), (-0.50, -0.34)],
        radius: 0.13,
        pulse: Pulse { period: 3.0, amplitude: 0.35, phase: 4.1 },
    },
];

/// Radius of the cell as a fraction of the crop.
pub(super) const RADIUS: f64 = 0.40;

/// The cell at rest: `crop` × `crop` pixels (y, x), with its middle at `center` (y, x).
pub(super) fn draw(crop: usize, center: (f64, f64), seed: u64) -> Array2<Spot> {
    let radius = RADIUS * crop as f64;
    Array2::from_shape_fn((crop, crop), |(row, column)| {
        let (y, x) = (row as f64 - center.0, column as f64 - center.1);
        let (v, u) = (y / radius, x / radius);
        let angle = v.atan2(u);
        // Two- and four-fold dents keep the outline balanced around the middle.
        let edge = 1.0 + 0.05 * (2.0 * angle + 0.7).cos() + 0.03 * (4.0 * angle + 2.0).cos();
        let depth = (edge - u.hypot(v)) * radius;
        let inside = smooth_step(-1.0, 4.0, depth);
        if inside == 0.0 {
            return Spot::default();
        }
        let membrane = (-((depth - 4.0) / 2.0).powi(2)).exp();
        let cloud = smooth_noise(seed, y / 9.0, x / 9.0);
        let grain = smooth_noise(!seed, y / 2.5, x / 2.5);
        // A thread lies along the level 0.5 of a noise of two octaves. The rotation hides the grid of the noise.
        let turned = |scale: f64| smooth_noise(seed ^ 0x33, (0.8 * y + 0.6 * x) / scale, (0.8 * x - 0.6 * y) / scale);
        let thread = (-((0.7 * turned(17.0) + 0.3 * turned(7.0) - 0.5) * 26.0).powi(2)).exp();
        let mut brightness = 46.0 + 24.0 * cloud + 26.0 * grain + 42.0 * thread + 50.0 * membrane;
        let (mut organelle, mut share) = (0, 0.0);
        for (index, o) in ORGANELLES.iter().enumerate() {
            for center in o.centers {
                let (dv, du) = (v - center.0, u - center.1);
                let distance = du.hypot(dv);
                let within = smooth_step(-1.0, 2.0, (o.radius - distance) * radius);
                if within > 0.0 {
                    let ring = (-((o.radius - distance) * radius / 1.5 - 1.0).powi(2)).exp();
                    let stripes = 0.5 + 0.5 * ((0.8 * du + 0.6 * dv) * radius * TAU / 5.0).sin();
                    let texture = if index == 0 { 30.0 * cloud + 20.0 * grain } else { 40.0 * stripes };
                    brightness += within * (86.0 + texture - brightness) + 22.0 * ring;
                    (organelle, share) = (index, within);
                }
            }
        }
        Spot { brightness: (inside * brightness) as f32, organelle, share: share as f32 }
    })
}

/// Center of mass (y, x) of the brightness, in pixels.
pub(super) fn centroid(cell: &Array2<Spot>) -> (f64, f64) {
    let mut sums = (0.0, 0.0, f64::MIN_POSITIVE);
    for ((y, x), spot) in cell.indexed_iter() {
        let brightness = f64::from(spot.brightness);
        sums.0 += brightness * y as f64;
        sums.1 += brightness * x as f64;
        sums.2 += brightness;
    }
    (sums.0 / sums.2, sums.1 / sums.2)
}
