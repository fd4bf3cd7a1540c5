//! A synthetic movie of a drifting, beating cell in, its frames out: the demo's data, with known answers.
//!
//! The cell is drawn once, so its texture is the same in every frame: sharp in the mean of recentered frames, a smear
//! in the mean of raw ones. It moves by whole pixels and the background is black but for stray counts; the centroid
//! then stays within the same pixel of the cell, and recentering by it holds the cell exactly still.

use formats::encode;
use std::f64::consts::TAU;
use std::ops::Range;

/// A movie, ready to give any of its frames in any order.
#[derive(Clone, Debug)]
pub struct Movie {
    frames: usize,
    size: usize,
    crop: usize,
    seed: u64,
    /// The cell at rest, `crop` × `crop`; its centroid falls on the pixel in the middle.
    cell: Vec<Spot>,
    /// Where the cell's middle lies in that square (y, x).
    center: (f64, f64),
}

/// Something that beats, and where its frequency can be read off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beat {
    /// What beats.
    pub name: &'static str,
    /// Whole cycles in the movie, which is the bin of the strongest line beside bin 0.
    pub cycles: usize,
    /// Rows of a region that lies within it, in the recentered frame.
    pub rows: Range<usize>,
    /// Columns of that region, in the recentered frame.
    pub columns: Range<usize>,
}

impl Beat {
    /// Row and column of the pixel in the middle of the region, in the recentered frame.
    pub fn pixel(&self) -> (usize, usize) {
        (self.rows.start.midpoint(self.rows.end), self.columns.start.midpoint(self.columns.end))
    }
}

/// One pixel of the cell at rest.
#[derive(Clone, Copy, Debug, Default)]
struct Spot {
    brightness: f32,
    /// The index of the organelle in [`ORGANELLES`], and how much of the beat is felt here.
    organelle: usize,
    share: f32,
}

/// Something in the cell that beats by itself. Lengths are in radii of the cell.
struct Organelle {
    name: &'static str,
    /// Centers (y, x). Organelles away from the middle come as opposite pairs, so that their beat leaves the centroid
    /// where it is.
    places: &'static [(f64, f64)],
    radius: f64,
    /// Frames per cycle, before rounding to whole cycles in the movie.
    period: f64,
    amplitude: f64,
    phase: f64,
}

const ORGANELLES: [Organelle; 3] = [
    Organelle { name: "nucleus", places: &[(0.0, 0.0)], radius: 0.27, period: 8.0, amplitude: 0.30, phase: 0.4 },
    Organelle { name: "vacuoles", places: &[(-0.36, 0.46), (0.36, -0.46)], radius: 0.16, period: 5.0, amplitude: 0.35, phase: 2.0 },
    Organelle { name: "granules", places: &[(0.50, 0.34), (-0.50, -0.34)], radius: 0.13, period: 3.0, amplitude: 0.35, phase: 4.1 },
];

/// The beat of the whole cell: frames per cycle, amplitude, and a place (y, x) in radii where nothing else beats.
const BODY_PERIOD: f64 = 20.0;
const BODY_AMPLITUDE: f64 = 0.12;
const BODY_PLACE: (f64, f64) = (0.60, -0.08);

/// Radius of the cell as a part of the crop.
const RADIUS: f64 = 0.40;

impl Default for Movie {
    fn default() -> Self {
        Self::new(400, 512, 256, 2017)
    }
}

impl Movie {
    /// A movie of `frames` frames of `size` × `size` pixels, whose cell fits into `crop` × `crop`.
    ///
    /// The crop is cut down to the frame, and wants 32 pixels or more for the cell's parts to be told apart. The seed
    /// decides over the cell's texture, its path and the noise.
    pub fn new(frames: usize, size: usize, crop: usize, seed: u64) -> Self {
        let crop = crop.min(size);
        // The centroid should fall into the middle of a pixel, far from where truncation would tip over. Texture moves
        // it, so the cell is drawn, measured, and drawn again.
        let middle = (crop / 2) as f64 + 0.5;
        let mut movie = Self { frames, size, crop, seed, cell: Vec::new(), center: (middle, middle) };
        movie.cell = draw(crop, movie.center, seed);
        for _ in 0..2 {
            let (y, x) = movie.centroid_of_cell();
            movie.center = (movie.center.0 + middle - y, movie.center.1 + middle - x);
            movie.cell = draw(crop, movie.center, seed);
        }
        movie
    }

    /// Frames of the movie.
    pub fn frames(&self) -> usize {
        self.frames
    }

    /// Height and width of a frame, in pixels.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Height and width of the crop that recentering should take, in pixels: the cell fits, with a margin.
    pub fn crop(&self) -> usize {
        self.crop
    }

    /// The pixels of one frame, row by row.
    pub fn frame(&self, index: usize) -> Vec<u8> {
        let frame_seed = hash(self.seed ^ 0x5bd1_e995, index as u64);
        // Stray counts of 1 to 3, about one in 200 pixels: too few to pull the centroid by a third of a pixel.
        let stray = |i: usize| {
            let h = hash(frame_seed, i as u64);
            if h.is_multiple_of(200) { 1 + (h >> 32) as u8 % 3 } else { 0 }
        };
        let mut pixels: Vec<u8> = (0..self.size * self.size).map(stray).collect();

        let body = self.pulse(index, BODY_PERIOD, BODY_AMPLITUDE, 0.0);
        let organelles = ORGANELLES.map(|o| self.pulse(index, o.period, o.amplitude, o.phase) as f32);
        let (top, left) = self.corner(index);
        for (row, spots) in self.cell.chunks_exact(self.crop.max(1)).enumerate() {
            let start = (top + row) * self.size + left;
            for (column, spot) in spots.iter().enumerate() {
                if spot.brightness > 0.0 {
                    let beat = (1.0 + body as f32) * (1.0 + spot.share * organelles[spot.organelle]);
                    let noise = (hash(!frame_seed, (start + column) as u64) % 7) as f32 - 3.0;
                    // Noise fades with the cell, as a detector's does with the light. The cast saturates.
                    let noise = noise * (spot.brightness / 60.0).min(1.0);
                    pixels[start + column] = (spot.brightness * beat + noise).round() as u8;
                }
            }
        }
        pixels
    }

    /// One frame as an 8-bit gray PNG.
    ///
    /// # Errors
    /// When the movie has frames of no pixels.
    pub fn png(&self, index: usize) -> Result<Vec<u8>, encode::Error> {
        encode::gray_png(self.size, self.size, &self.frame(index))
    }

    /// Everything that beats, slowest first.
    pub fn beats(&self) -> Vec<Beat> {
        let organelles = ORGANELLES.iter().map(|o| (o.name, o.period, o.places[0], o.radius));
        std::iter::once(("body", BODY_PERIOD, BODY_PLACE, 0.10))
            .chain(organelles)
            .map(|(name, period, (y, x), radius)| {
                let radius_of_cell = RADIUS * self.crop as f64;
                // A square well inside the circle, whose soft edge is two pixels wide.
                let half = ((radius * radius_of_cell - 2.0) / 1.5) as usize;
                let around = |center: f64, place: f64| {
                    let middle = (center + place * radius_of_cell).round() as usize;
                    middle.saturating_sub(half)..middle + half + 1
                };
                let (rows, columns) = (around(self.center.0, y), around(self.center.1, x));
                Beat { name, cycles: self.cycles(period), rows, columns }
            })
            .collect()
    }

    /// The top left corner of the cell's square in a frame, and so of the crop that centers it.
    pub fn corner(&self, index: usize) -> (usize, usize) {
        let room = (self.size - self.crop) as f64 / 2.0;
        let turn = index as f64 / self.frames.max(1) as f64;
        let axis = |turns: f64, phase: f64, seed: u64| {
            let path = (TAU * (turns * turn + phase)).sin();
            let wander = 2.0 * smooth_noise(self.seed ^ seed, index as f64 / 12.0, 0.0) - 1.0;
            let shake = (hash(self.seed ^ seed, !(index as u64)) % 5) as f64 - 2.0;
            let reach = (0.65 * path + 0.30 * wander) * room + shake * (room / 100.0).min(1.0);
            (room + reach).round().clamp(0.0, 2.0 * room) as usize
        };
        (axis(2.0, 0.05, 0x7f), axis(3.0, 0.30, 0xf7))
    }

    fn cycles(&self, period: f64) -> usize {
        ((self.frames as f64 / period).round() as usize).max(1)
    }

    /// How much brighter something is in a frame than at rest: -amplitude to amplitude.
    fn pulse(&self, index: usize, period: f64, amplitude: f64, phase: f64) -> f64 {
        // The remainder keeps the sine's argument small, and so the last cycle as exact as the first.
        let turn = (self.cycles(period) * index % self.frames.max(1)) as f64 / self.frames.max(1) as f64;
        amplitude * (TAU * turn + phase).sin()
    }

    fn centroid_of_cell(&self) -> (f64, f64) {
        let mut sums = (0.0, 0.0, f64::MIN_POSITIVE);
        for (i, spot) in self.cell.iter().enumerate() {
            let brightness = f64::from(spot.brightness);
            sums.0 += brightness * (i / self.crop) as f64;
            sums.1 += brightness * (i % self.crop) as f64;
            sums.2 += brightness;
        }
        (sums.0 / sums.2, sums.1 / sums.2)
    }
}

/// The cell at rest, with its middle at `center`.
fn draw(crop: usize, center: (f64, f64), seed: u64) -> Vec<Spot> {
    let radius = RADIUS * crop as f64;
    let pixel = |i: usize| {
        let (y, x) = ((i / crop) as f64 - center.0, (i % crop) as f64 - center.1);
        let (v, u) = (y / radius, x / radius);
        let angle = v.atan2(u);
        // Two- and four-fold dents leave the outline balanced.
        let edge = 1.0 + 0.05 * (2.0 * angle + 0.7).cos() + 0.03 * (4.0 * angle + 2.0).cos();
        let depth = (edge - u.hypot(v)) * radius;
        let inside = smooth_step(-1.0, 4.0, depth);
        if inside == 0.0 {
            return Spot::default();
        }
        let membrane = (-((depth - 4.0) / 2.0).powi(2)).exp();
        let cloud = smooth_noise(seed, y / 9.0, x / 9.0);
        let grain = smooth_noise(!seed, y / 2.5, x / 2.5);
        // A thread where a smooth noise crosses one half: two octaves, turned so that the noise's grid does not show.
        let turned = |scale: f64| smooth_noise(seed ^ 0x33, (0.8 * y + 0.6 * x) / scale, (0.8 * x - 0.6 * y) / scale);
        let thread = (-((0.7 * turned(17.0) + 0.3 * turned(7.0) - 0.5) * 26.0).powi(2)).exp();
        let mut brightness = 46.0 + 24.0 * cloud + 26.0 * grain + 42.0 * thread + 50.0 * membrane;
        let (mut organelle, mut share) = (0, 0.0);
        for (index, o) in ORGANELLES.iter().enumerate() {
            for place in o.places {
                let (dv, du) = (v - place.0, u - place.1);
                let distance = du.hypot(dv);
                let within = smooth_step(-1.0, 2.0, (o.radius - distance) * radius);
                if within > 0.0 {
                    let ring = (-((o.radius - distance) * radius / 1.5 - 1.0).powi(2)).exp();
                    let stripes = 0.5 + 0.5 * ((0.8 * du + 0.6 * dv) * radius * TAU / 5.0).sin();
                    let flesh = if index == 0 { 30.0 * cloud + 20.0 * grain } else { 40.0 * stripes };
                    brightness += within * (86.0 + flesh - brightness) + 22.0 * ring;
                    (organelle, share) = (index, within);
                }
            }
        }
        Spot { brightness: (inside * brightness) as f32, organelle, share: share as f32 }
    };
    (0..crop * crop).map(pixel).collect()
}

/// 0 at `from`, 1 at `to`, without corners.
fn smooth_step(from: f64, to: f64, x: f64) -> f64 {
    let t = ((x - from) / (to - from)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// Noise in 0 to 1 that varies over a distance of 1: hashes of the four grid points around, blended.
fn smooth_noise(seed: u64, y: f64, x: f64) -> f64 {
    let grid = |y: f64, x: f64| (hash(hash(seed, y as i64 as u64), x as i64 as u64) >> 11) as f64 / (1u64 << 53) as f64;
    let (top, left) = (y.floor(), x.floor());
    let (down, right) = (smooth_step(0.0, 1.0, y - top), smooth_step(0.0, 1.0, x - left));
    let row = |y: f64| grid(y, left) * (1.0 - right) + grid(y, left + 1.0) * right;
    row(top) * (1.0 - down) + row(top + 1.0) * down
}

/// A well-mixed number for each pair (splitmix64).
fn hash(seed: u64, index: u64) -> u64 {
    let mut z = seed.wrapping_add(index.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests;
