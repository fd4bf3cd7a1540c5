//! A synthetic movie of a drifting, beating cell: the demo's data, whose results are known.
//!
//! The cell is drawn once, so its texture is the same in every frame: sharp in the mean of recentered frames, blurred in the
//! mean of raw frames. The cell moves by whole pixels, and the background is black except for a few counts. The centroid
//! therefore stays within the same pixel of the cell, and recentering holds the cell exactly still.

mod cell;
mod noise;

use cell::{ORGANELLES, Pulse, RADIUS, Spot, centroid, draw};
use formats::encode;
use ndarray::{Array2, s};
use noise::{hash, smooth_noise};
use std::f64::consts::TAU;
use std::ops::Range;

/// A movie. Any frame is available in any order.
#[derive(Clone, Debug)]
pub(crate) struct Movie {
    frames: usize,
    size: usize,
    crop: usize,
    seed: u64,
    /// The cell at rest, shape (`crop`, `crop`). Its centroid lies in the middle pixel.
    cell: Array2<Spot>,
    /// Middle (y, x) of the cell in that square, in pixels.
    center: (f64, f64),
}

/// A part of the cell that beats, and a region that shows its frequency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Beat {
    /// Name of the part.
    pub(crate) name: &'static str,
    /// Whole cycles in the movie: the bin of the strongest line of the spectrum, bin 0 excluded.
    pub(crate) cycles: usize,
    /// Rows of a region within the part, in the recentered frame.
    pub(crate) rows: Range<usize>,
    /// Columns of that region, in the recentered frame.
    pub(crate) columns: Range<usize>,
}

impl Beat {
    /// Row and column of the middle pixel of the region, in the recentered frame.
    pub(crate) fn pixel(&self) -> (usize, usize) {
        (self.rows.start.midpoint(self.rows.end), self.columns.start.midpoint(self.columns.end))
    }
}

/// The beat of the whole cell.
const BODY: Pulse = Pulse { period: 20.0, amplitude: 0.12, phase: 0.0 };
/// A position (y, x) without organelles, in radii of the cell, and the radius of the region around it.
const BODY_CENTER: (f64, f64) = (0.60, -0.08);
const BODY_RADIUS: f64 = 0.10;

impl Movie {
    /// A movie of `frames` frames of `size` × `size` pixels, whose cell fits into `crop` × `crop` pixels.
    ///
    /// The crop is at most the frame; the parts of the cell are distinct from a crop of 32 pixels on. The seed determines
    /// the texture of the cell, its path and the noise.
    pub(crate) fn new(frames: usize, size: usize, crop: usize, seed: u64) -> Self {
        let crop = crop.min(size);
        // The centroid should lie in the middle of a pixel, so that truncation is stable. The texture moves the centroid, so
        // the cell is drawn, measured, and drawn again.
        let middle = (crop / 2) as f64 + 0.5;
        let mut center = (middle, middle);
        let mut cell = draw(crop, center, seed);
        for _ in 0..2 {
            let (y, x) = centroid(&cell);
            center = (center.0 + middle - y, center.1 + middle - x);
            cell = draw(crop, center, seed);
        }
        Self { frames, size, crop, seed, cell, center }
    }

    /// Number of frames.
    pub(crate) fn frames(&self) -> usize {
        self.frames
    }

    /// The pixels of one frame, shape (y, x).
    pub(crate) fn frame(&self, index: usize) -> Array2<u8> {
        let frame_seed = hash(self.seed ^ 0x5bd1_e995, index as u64);
        // Counts of 1 to 3 in about one of 200 pixels: too few to move the centroid by a third of a pixel.
        let stray = |i: usize| {
            let h = hash(frame_seed, i as u64);
            if h.is_multiple_of(200) { 1 + (h >> 32) as u8 % 3 } else { 0 }
        };
        let mut pixels = Array2::from_shape_fn((self.size, self.size), |(y, x)| stray(y * self.size + x));

        let body = self.pulse(index, BODY);
        let organelles = ORGANELLES.map(|organelle| self.pulse(index, organelle.pulse) as f32);
        let (top, left) = self.corner(index);
        let mut square = pixels.slice_mut(s![top..top + self.crop, left..left + self.crop]);
        for (((row, column), pixel), spot) in square.indexed_iter_mut().zip(&self.cell) {
            if spot.brightness > 0.0 {
                let beat = (1.0 + body as f32) * (1.0 + spot.share * organelles[spot.organelle]);
                let position = (top + row) * self.size + left + column;
                let noise = (hash(!frame_seed, position as u64) % 7) as f32 - 3.0;
                // Noise fades with the light, as in a detector. The cast saturates.
                let noise = noise * (spot.brightness / 60.0).min(1.0);
                *pixel = (spot.brightness * beat + noise).round() as u8;
            }
        }
        pixels
    }

    /// One frame as an 8-bit gray PNG.
    ///
    /// # Errors
    /// The frames have no pixels.
    pub(crate) fn png(&self, index: usize) -> Result<Vec<u8>, encode::Error> {
        encode::gray_png(self.size, self.size, &self.frame(index).into_raw_vec_and_offset().0)
    }

    /// All parts that beat, slowest first.
    pub(crate) fn beats(&self) -> Vec<Beat> {
        let organelles = ORGANELLES.iter().map(|o| (o.name, o.pulse, o.centers[0], o.radius));
        std::iter::once(("body", BODY, BODY_CENTER, BODY_RADIUS))
            .chain(organelles)
            .map(|(name, pulse, (y, x), radius)| {
                let radius_of_cell = RADIUS * self.crop as f64;
                // A square well inside the circle, whose soft edge is two pixels wide.
                let half = ((radius * radius_of_cell - 2.0) / 1.5) as usize;
                let around = |center: f64, offset: f64| {
                    let middle = (center + offset * radius_of_cell).round() as usize;
                    middle.saturating_sub(half)..middle + half + 1
                };
                let (rows, columns) = (around(self.center.0, y), around(self.center.1, x));
                Beat { name, cycles: self.cycles(pulse), rows, columns }
            })
            .collect()
    }

    /// The top left corner (y, x) of the cell's square in a frame, which is the corner of the crop around the centroid.
    pub(crate) fn corner(&self, index: usize) -> (usize, usize) {
        let margin = (self.size - self.crop) as f64 / 2.0;
        let progress = index as f64 / self.frames.max(1) as f64;
        let axis = |turns: f64, phase: f64, seed: u64| {
            let path = (TAU * (turns * progress + phase)).sin();
            let wander = 2.0 * smooth_noise(self.seed ^ seed, index as f64 / 12.0, 0.0) - 1.0;
            let shake = (hash(self.seed ^ seed, !(index as u64)) % 5) as f64 - 2.0;
            let reach = (0.65 * path + 0.30 * wander) * margin + shake * (margin / 100.0).min(1.0);
            (margin + reach).round().clamp(0.0, 2.0 * margin) as usize
        };
        (axis(2.0, 0.05, 0x7f), axis(3.0, 0.30, 0xf7))
    }

    /// Whole cycles of a pulse in the movie, at least 1.
    fn cycles(&self, pulse: Pulse) -> usize {
        ((self.frames as f64 / pulse.period).round() as usize).max(1)
    }

    /// Relative change of brightness in a frame, from -amplitude to amplitude.
    fn pulse(&self, index: usize, pulse: Pulse) -> f64 {
        // The remainder keeps the argument of the sine small, so that the last cycle is as exact as the first.
        let cycle = (self.cycles(pulse) * index % self.frames.max(1)) as f64 / self.frames.max(1) as f64;
        pulse.amplitude * (TAU * cycle + pulse.phase).sin()
    }
}

#[cfg(test)]
mod tests;
