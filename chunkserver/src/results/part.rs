//! One server's part of a selection of a three-dimensional array.

use super::apart;
use crate::store::Slots;
use crate::worker::Share;
use api::arrays::{Base, Holder};
use api::geometry::FrameSpec;
use api::job::FftOutput;
use api::selection::Axis;
use std::ops::Range;
use std::sync::Arc;

/// Positions along t, y and x, each ascending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cube {
    /// Time, or frequency.
    pub t: Axis,
    /// Rows.
    pub y: Axis,
    /// Columns.
    pub x: Axis,
}

impl Cube {
    /// Selected pixels of one frame.
    pub const fn pixels(&self) -> usize {
        self.y.count * self.x.count
    }

    /// Selected elements.
    pub const fn len(&self) -> usize {
        self.t.count * self.pixels()
    }

    /// Whether nothing is selected.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Place in a flattened frame of `width` columns of the selected pixel number `q`.
    fn pixel(&self, q: usize, width: usize) -> usize {
        self.y.at(q / self.x.count) * width + self.x.at(q % self.x.count)
    }

    /// Which of the selected times lie in `frames`.
    pub fn times_in(&self, frames: &Range<usize>) -> Range<usize> {
        let first = partition(self.t.count, |i| self.t.at(i) < frames.start);
        let last = partition(self.t.count, |i| self.t.at(i) < frames.end);
        first..last
    }

    /// Which of the selected pixels (numbered in C order) lie in the flattened range `pixels` of a frame `width` wide.
    pub fn pixels_in(&self, pixels: &Range<usize>, width: usize) -> Range<usize> {
        let first = partition(self.pixels(), |q| self.pixel(q, width) < pixels.start);
        let last = partition(self.pixels(), |q| self.pixel(q, width) < pixels.end);
        first..last
    }
}

/// The first of `0..count` for which `before` is false; positions ascend, so it is false from there on.
fn partition(count: usize, before: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low.midpoint(high);
        if before(middle) { low = middle + 1 } else { high = middle }
    }
    low
}

/// The elements of `cube` that this server holds: for frames, whole selected rows of its own times; for tiles, its own
/// selected pixels, (t, pixel). Waits until they are computed.
pub async fn own_part(share: &Arc<Share>, holder: Holder, cube: &Cube) -> Vec<u8> {
    let (share, cube) = (Arc::clone(share), *cube);
    match holder {
        Holder::Frames(base) => {
            let (store, spec) = frame_store(&share, base);
            let (times, first) = (cube.times_in(&share.frames()), share.frames().start);
            for time in times.clone() {
                let slot = cube.t.at(time) - first;
                store.until_ready(slot..slot + 1).await;
            }
            let bytes = times.len() * cube.pixels() * spec.dtype.size();
            apart(bytes, move || frames_part(&share, base, &cube)).await
        }
        Holder::Tiles(base) => {
            let Some((store, item)) = tile_store(&share, base) else { return Vec::new() };
            let own = cube.pixels_in(&share.plan.pixels_of(share.id), share.plan.stack.width);
            let mut waited = None;
            for q in own.clone() {
                let slot = band_slot(&share, &cube, q);
                if waited.replace(slot) != Some(slot) {
                    store.until_ready(slot..slot + 1).await;
                }
            }
            let bytes = cube.t.count * own.len() * item;
            apart(bytes, move || tile_part(&share, base, &cube)).await
        }
        Holder::Centroids | Holder::Offsets | Holder::Frame(..) | Holder::Trace(..) => Vec::new(),
    }
}

/// Where frames of `base` are, and what they are.
fn frame_store(share: &Share, base: Base) -> (&Slots, FrameSpec) {
    match (base, &share.raw) {
        (Base::Raw, Some(raw)) if share.job.recenter.is_some() => (raw, share.plan.frame),
        _ => (&share.stack, share.plan.stack),
    }
}

/// Where tiles of `base` are, and the bytes of an element; none when they are not kept.
fn tile_store(share: &Share, base: Base) -> Option<(&Slots, usize)> {
    if base == Base::Spectrum {
        Some((share.spectrum.as_ref()?, 4 * share.plan.values_per_bin()))
    } else {
        Some((share.rechunked.as_ref()?, share.plan.stack.dtype.size()))
    }
}

/// The slot of the band that holds the selected pixel number `q`.
fn band_slot(share: &Share, cube: &Cube, q: usize) -> usize {
    cube.pixel(q, share.plan.stack.width) / share.plan.band_pixels - share.bands().start
}

/// Own frames, all of them ready.
fn frames_part(share: &Share, base: Base, cube: &Cube) -> Vec<u8> {
    let (store, spec) = frame_store(share, base);
    let own = share.frames();
    let times = cube.times_in(&own);
    let item = spec.dtype.size();
    let mut part = Vec::with_capacity(times.len() * cube.pixels() * item);
    for time in times {
        let slot = cube.t.at(time) - own.start;
        let frame = store.read(slot..slot + 1).unwrap_or_default();
        for row in 0..cube.y.count {
            let row = &frame[cube.y.at(row) * spec.width * item..][..spec.width * item];
            copy_axis(row, item, &cube.x, &mut part);
        }
    }
    part
}

/// Appends the selected items of a row.
fn copy_axis(row: &[u8], item: usize, axis: &Axis, to: &mut Vec<u8>) {
    if axis.step == 1 {
        to.extend_from_slice(&row[axis.start * item..][..axis.count * item]);
    } else {
        (0..axis.count).for_each(|i| to.extend_from_slice(&row[axis.at(i) * item..][..item]));
    }
}

/// Own pixels of all times, all of them ready.
fn tile_part(share: &Share, base: Base, cube: &Cube) -> Vec<u8> {
    let plan = &share.plan;
    let Some((store, item)) = tile_store(share, base) else { return Vec::new() };
    let own = cube.pixels_in(&plan.pixels_of(share.id), plan.stack.width);
    let mut part = vec![0; cube.t.count * own.len() * item];
    let row_bytes = own.len() * item;
    for (column, q) in own.enumerate() {
        let pixel = cube.pixel(q, plan.stack.width);
        let band = pixel / plan.band_pixels;
        let slot = band_slot(share, cube, q);
        let bytes = store.read(slot..slot + 1).unwrap_or_default();
        let pixel_in_band = pixel - plan.band(band).start;
        let place = |time: usize| time * row_bytes + column * item;
        if base == Base::Spectrum {
            let series = &bytes[pixel_in_band * plan.bins * item..][..plan.bins * item];
            let complex = plan.fft.is_some_and(|fft| fft.output == FftOutput::Complex);
            for time in 0..cube.t.count {
                let bin = cube.t.at(time);
                // A real input's spectrum mirrors: bin T - k is the conjugate of bin k.
                let stored = bin.min(plan.frames - bin);
                let out = &mut part[place(time)..][..item];
                out.copy_from_slice(&series[stored * item..][..item]);
                if complex && stored != bin {
                    out[7] ^= 0x80;
                }
            }
        } else {
            let row = plan.band(band).len() * item;
            for time in 0..cube.t.count {
                part[place(time)..][..item].copy_from_slice(&bytes[cube.t.at(time) * row + pixel_in_band * item..][..item]);
            }
        }
    }
    part
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_in_a_range_are_found() {
        let axis = |start, step, count| Axis { start, step, count, kept: true };
        let cube = Cube { t: axis(1, 3, 5), y: axis(0, 2, 3), x: axis(1, 1, 2) };
        assert_eq!(cube.times_in(&(4..11)), 1..4);
        assert_eq!(cube.times_in(&(14..20)), 5..5);
        // Pixels 1, 2, 9, 10, 17, 18 of a frame 4 wide (rows 0, 2 and 4): flattened 1, 2, 9, 10, 17, 18.
        assert_eq!(cube.pixels_in(&(2..10), 4), 1..3);
        assert_eq!(cube.pixels_in(&(0..100), 4), 0..6);
        assert_eq!(cube.pixels_in(&(11..17), 4), 4..4);
    }
}
