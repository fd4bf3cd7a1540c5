//! Copies elements from the store, or from a peer's response, to their positions in a region. All slots that are read must be ready.

use super::region::Region;
use crate::share::Share;
use api::arrays::Base;
use api::geometry::{FrameSpec, intersect};
use api::job::FftOutput;
use api::selection::Axis;
use formats::aspect::Aspect;
use std::ops::Range;

/// Pixels whose series are read in parallel: as many streams as a processor prefetches, and whole cache lines written.
const SERIES: usize = 32;

/// Target offsets of the selected pixels, in elements. Pixels are numbered in C order of the selection.
#[derive(Clone, Debug)]
pub(super) struct PixelOffsets {
    /// Distance from one time to the next.
    stride: usize,
    /// Selected pixels of a row, and the distance from one row to the next.
    row: usize,
    row_stride: usize,
    /// The first pixel.
    first: usize,
}

impl PixelOffsets {
    /// Offsets in the shape of the region.
    pub(super) const fn within(region: &Region) -> Self {
        let [_, rows, columns] = region.shape;
        Self { stride: rows * columns, row: region.cube.x.count, row_stride: columns, first: 0 }
    }

    /// Offsets in a (t, pixel) part that contains only `pixels`.
    pub(super) const fn packed(pixels: &Range<usize>) -> Self {
        // One row without end.
        Self { stride: pixels.end - pixels.start, row: usize::MAX, row_stride: 0, first: pixels.start }
    }

    const fn at(&self, q: usize) -> usize {
        let q = q - self.first;
        q / self.row * self.row_stride + q % self.row
    }

    /// The pixels from `q`, before `end`, whose targets are consecutive.
    fn run(&self, q: usize, end: usize) -> Range<usize> {
        let left = self.row - (q - self.first) % self.row;
        q..end.min(q.saturating_add(left))
    }
}

/// Copies the selected times `times` of this server's frames in memory, with all rows and columns of the region.
pub(super) fn frames(share: &Share, base: Base, region: &Region, times: Range<usize>, to: &mut [u8]) {
    let (store, spec) = share.frame_store(base);
    let Some(store) = store.memory() else { return };
    let (cube, [_, rows, columns], item) = (&region.cube, region.shape, spec.dtype.size());
    for (time, to) in times.zip(to.chunks_exact_mut((rows * columns * item).max(1))) {
        let slot = cube.t.at(time) - share.frames().start;
        copy_rows(store.read(slot..slot + 1).unwrap_or_default(), 0, 0..cube.y.count, spec, region, to);
    }
}

/// Copies the selected rows number `ys`, and their selected columns, of a frame. `frame` begins at row `first_row`.
pub(super) fn copy_rows(frame: &[u8], first_row: usize, ys: Range<usize>, spec: FrameSpec, region: &Region, to: &mut [u8]) {
    let (cube, [_, _, columns], item) = (&region.cube, region.shape, spec.dtype.size());
    let to = to.chunks_exact_mut(columns * item).skip(ys.start);
    for (row, to) in ys.zip(to) {
        let row = &frame[(cube.y.at(row) - first_row) * spec.width * item..][..spec.width * item];
        copy_axis(row, item, &cube.x, to);
    }
}

/// Writes the selected items of a row to the start of `to`.
fn copy_axis(row: &[u8], item: usize, axis: &Axis, to: &mut [u8]) {
    if axis.step == 1 {
        to[..axis.count * item].copy_from_slice(&row[axis.start * item..][..axis.count * item]);
    } else {
        (0..axis.count).zip(to.chunks_exact_mut(item)).for_each(|(i, to)| to.copy_from_slice(&row[axis.at(i) * item..][..item]));
    }
}

/// Copies this server's selected pixels `own`, at all selected times.
pub(super) fn tiles(share: &Share, base: Base, region: &Region, own: Range<usize>, offsets: &PixelOffsets, to: &mut [u8]) {
    let plan = &share.plan;
    let Some(store) = share.tile_store(base) else { return };
    let mut q = own.start;
    while q < own.end {
        let band = region.cube.pixel(q, plan.partition.stack.width) / plan.partition.band_pixels;
        let pixels = plan.band(band);
        let slot = band - share.bands().start;
        let tile = Tile { bytes: store.read(slot..slot + 1).unwrap_or_default(), pixels: pixels.clone() };
        let in_band = intersect(&own, &region.cube.pixels_in(&pixels, plan.partition.stack.width));
        while q < in_band.end {
            let run = offsets.run(q, in_band.end);
            if base == Base::Spectrum {
                tile.spectra(share, region, run.clone(), offsets, to);
            } else {
                tile.frames(share, region, run.clone(), offsets, to);
            }
            q = run.end;
        }
    }
}

/// The bytes of one band.
struct Tile<'a> {
    bytes: &'a [u8],
    /// The band's pixels, as indices into the flattened frame.
    pixels: Range<usize>,
}

impl Tile<'_> {
    /// Copies pixels `run`, whose targets are consecutive, from a tile of (t, pixel).
    fn frames(&self, share: &Share, region: &Region, run: Range<usize>, offsets: &PixelOffsets, to: &mut [u8]) {
        let (cube, item, width) = (&region.cube, share.plan.partition.stack.dtype.size(), share.plan.partition.stack.width);
        let row = self.pixels.len() * item;
        for time in 0..cube.t.count {
            let from = &self.bytes[cube.t.at(time) * row..][..row];
            let to = &mut to[(time * offsets.stride + offsets.at(run.start)) * item..][..run.len() * item];
            let mut q = run.start;
            while q < run.end {
                // At most to the end of an image row, where the pixels in the tile stop being consecutive.
                let count = if cube.x.step == 1 { (cube.x.count - q % cube.x.count).min(run.end - q) } else { 1 };
                let first = (cube.pixel(q, width) - self.pixels.start) * item;
                to[(q - run.start) * item..][..count * item].copy_from_slice(&from[first..][..count * item]);
                q += count;
            }
        }
    }

    /// Copies pixels `run`, whose targets are consecutive, from a tile of (pixel, bin).
    fn spectra(&self, share: &Share, region: &Region, run: Range<usize>, offsets: &PixelOffsets, to: &mut [u8]) {
        let complex = share.plan.fft.is_some_and(|fft| fft.output == FftOutput::Complex);
        let mut q = run.start;
        while q < run.end {
            let some = q..run.end.min(q + SERIES);
            let to = &mut to[offsets.at(q) * region.aspect.element(element(complex)).size()..];
            match (complex, region.aspect) {
                (true, Aspect::Value) => self.series(share, region, some, offsets.stride, to, |bin: [u8; 8], mirrored| {
                    let [re, im] = parts(bin, mirrored);
                    let mut value = [0; 8];
                    value[..4].copy_from_slice(&re.to_le_bytes());
                    value[4..].copy_from_slice(&im.to_le_bytes());
                    value
                }),
                (true, Aspect::Magnitude) => {
                    self.series(share, region, some, offsets.stride, to, |bin: [u8; 8], mirrored| {
                        magnitude(parts(bin, mirrored)).to_le_bytes()
                    });
                }
                (true, Aspect::Phase) => self.series(share, region, some, offsets.stride, to, |bin: [u8; 8], mirrored| {
                    let [re, im] = parts(bin, mirrored);
                    im.atan2(re).to_le_bytes()
                }),
                (false, _) => self.series(share, region, some, offsets.stride, to, |bin: [u8; 4], _| bin),
            }
            q = (q + SERIES).min(run.end);
        }
    }

    /// Copies the spectra of pixels `run`; `stride` is the distance from one bin to the next in the target, in elements.
    fn series<const FROM: usize, const TO: usize>(
        &self,
        share: &Share,
        region: &Region,
        run: Range<usize>,
        stride: usize,
        to: &mut [u8],
        convert: impl Fn([u8; FROM], bool) -> [u8; TO],
    ) {
        let (plan, cube) = (&share.plan, &region.cube);
        let (bins, _) = self.bytes.as_chunks::<FROM>();
        let (to, _) = to.as_chunks_mut::<TO>();
        let mut series: [&[[u8; FROM]]; SERIES] = [&[]; SERIES];
        for (series, q) in series.iter_mut().zip(run.clone()) {
            *series = &bins[(cube.pixel(q, plan.partition.stack.width) - self.pixels.start) * plan.bins..][..plan.bins];
        }
        for time in 0..cube.t.count {
            let bin = cube.t.at(time);
            // The spectrum of real input is symmetric: bin T - k is the conjugate of bin k.
            let stored = bin.min(plan.partition.frames - bin);
            for (to, series) in to[time * stride..][..run.len()].iter_mut().zip(&series) {
                *to = convert(series[stored], stored != bin);
            }
        }
    }
}

const fn element(complex: bool) -> api::geometry::Element {
    if complex { api::geometry::Element::Complex64 } else { api::geometry::Element::Float32 }
}

/// Real and imaginary part of a bin, or of its mirror bin.
fn parts(bin: [u8; 8], mirrored: bool) -> [f32; 2] {
    let [a, b, c, d, e, f, g, h] = bin;
    let im = f32::from_le_bytes([e, f, g, h]);
    [f32::from_le_bytes([a, b, c, d]), if mirrored { -im } else { im }]
}

/// The absolute value, rounded once: squares of float32 neither overflow nor underflow in float64.
fn magnitude([re, im]: [f32; 2]) -> f32 {
    let (re, im) = (f64::from(re), f64::from(im));
    (re * re + im * im).sqrt() as f32
}

/// Copies a message of a peer into the region. `own` are the peer's pixels; `at` is the position of `bytes` in the peer's (t, pixel) part.
pub(super) fn scatter(offsets: &PixelOffsets, own: &Range<usize>, item: usize, mut at: usize, mut bytes: &[u8], to: &mut [u8]) {
    let row = own.len() * item;
    while !bytes.is_empty() {
        let (time, within) = (at / row, at % row);
        let q = own.start + within / item;
        let run = offsets.run(q, own.end);
        // A message may end within an element.
        let inside = within % item;
        let count = (run.len() * item - inside).min(bytes.len());
        let (now, later) = bytes.split_at(count);
        to[(time * offsets.stride + offsets.at(q)) * item + inside..][..count].copy_from_slice(now);
        (at, bytes) = (at + count, later);
    }
}

#[cfg(test)]
mod tests {
    use super::super::region::Cube;
    use super::*;

    #[test]
    fn a_peers_part_is_placed_independently_of_message_sizes() {
        let cube = Cube { t: Axis::whole(2), y: Axis::whole(3), x: Axis::whole(2) };
        let region = Region { shape: [2, 3, 3], ..Region::of(cube) };
        let (offsets, item) = (PixelOffsets::within(&region), 2);
        // Pixels 1 to 4 of six: the end of row 0, row 1, the start of row 2.
        let own = 1..5;
        let part: Vec<u8> = (1..=16).collect();
        let expected =
            [[0, 0, 1, 2, 0, 0, 3, 4, 5, 6, 0, 0, 7, 8, 0, 0, 0, 0], [0, 0, 9, 10, 0, 0, 11, 12, 13, 14, 0, 0, 15, 16, 0, 0, 0, 0]];
        for length in 1..=16 {
            let mut to = vec![0; 36];
            let mut at = 0;
            for message in part.chunks(length) {
                scatter(&offsets, &own, item, at, message, &mut to);
                at += message.len();
            }
            assert_eq!(to, expected.concat(), "in messages of {length} bytes");
        }
    }

    #[test]
    fn magnitudes_equal_numpy() {
        assert_eq!(magnitude([3.0, -4.0]), 5.0);
        assert_eq!(magnitude([3e38, 0.0]), 3e38);
        assert_eq!(magnitude([1e-45, 0.0]), 1e-45);
        assert!(magnitude([f32::MAX, f32::MAX]).is_infinite());
        let bin = [1.5_f32.to_le_bytes(), 2.0_f32.to_le_bytes()].concat().try_into().unwrap();
        assert_eq!(parts(bin, false), [1.5, 2.0]);
        assert_eq!(parts(bin, true), [1.5, -2.0]);
    }
}
