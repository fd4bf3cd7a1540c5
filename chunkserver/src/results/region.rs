//! Regions of three-dimensional arrays, and the part of a region that each server owns. Pure functions.

use api::arrays::Holder;
use api::plan::{Plan, ServerId};
use api::selection::Axis;
use formats::aspect::Aspect;
use std::ops::Range;

/// Ascending positions along t, y and x.
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

    /// Selected positions along each axis.
    pub const fn counts(&self) -> [usize; 3] {
        [self.t.count, self.y.count, self.x.count]
    }

    /// Whether nothing is selected.
    pub const fn is_empty(&self) -> bool {
        self.t.count * self.pixels() == 0
    }

    /// Index of the selected pixel number `q` in a flattened frame of `width` columns.
    pub(super) fn pixel(&self, q: usize, width: usize) -> usize {
        self.y.at(q / self.x.count) * width + self.x.at(q % self.x.count)
    }

    /// The selected times that are in `frames`, as numbers of selected times.
    pub fn times_in(&self, frames: &Range<usize>) -> Range<usize> {
        let first = partition(self.t.count, |i| self.t.at(i) < frames.start);
        let last = partition(self.t.count, |i| self.t.at(i) < frames.end);
        first..last
    }

    /// The selected pixels, numbered in C order, that are in the range `pixels` of a flattened frame of `width` columns.
    pub fn pixels_in(&self, pixels: &Range<usize>, width: usize) -> Range<usize> {
        let first = partition(self.pixels(), |q| self.pixel(q, width) < pixels.start);
        let last = partition(self.pixels(), |q| self.pixel(q, width) < pixels.end);
        first..last
    }

    /// The selected pixels, numbered in C order, that are in the tiles of server `id`.
    pub(super) fn pixels_of(&self, plan: &Plan, id: ServerId) -> Range<usize> {
        self.pixels_in(&plan.pixels_of(id), plan.partition.stack.width)
    }
}

/// The first of `0..count` for which `before` is false. Positions ascend, so `before` is false for all later ones.
fn partition(count: usize, before: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low.midpoint(high);
        if before(middle) { low = middle + 1 } else { high = middle }
    }
    low
}

/// Selected elements of an array, padded with zeros at the end of each axis to a shape, in C order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// The selected elements.
    pub cube: Cube,
    /// The padded shape (t, y, x).
    pub shape: [usize; 3],
    /// Values, magnitudes or phases of the elements.
    pub aspect: Aspect,
}

/// The part of a region that one server owns and sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// A range of the selected times, with all rows and columns of the region's shape.
    Times(Range<usize>),
    /// The whole region.
    Whole,
    /// (t, pixel): a range of the selected pixels, numbered in C order, at all selected times, without padding.
    Pixels(Range<usize>),
}

impl Region {
    /// The elements of `cube`, without padding.
    pub const fn of(cube: Cube) -> Self {
        Self { cube, shape: cube.counts(), aspect: Aspect::Value }
    }

    /// Size in bytes, with elements of `item` bytes.
    pub fn bytes(&self, item: usize) -> u64 {
        self.shape.iter().fold(item as u64, |bytes, &size| bytes.saturating_mul(size as u64))
    }

    /// Whether the elements fit into the shape.
    pub fn fits(&self) -> bool {
        self.cube.counts().iter().zip(self.shape).all(|(&count, size)| count <= size)
    }

    /// Server `id`'s part of the region; `None` if the server owns no element of the region.
    pub(super) fn extent(&self, plan: &Plan, holder: Holder, id: ServerId) -> Option<Extent> {
        if let Holder::Tiles(_) = holder {
            let pixels = self.cube.pixels_of(plan, id);
            return match pixels.len() {
                0 => None,
                all if all == self.cube.pixels() => Some(Extent::Whole),
                _ => Some(Extent::Pixels(pixels)),
            };
        }
        let times = self.cube.times_in(&plan.frames_of(id));
        (!times.is_empty()).then_some(Extent::Times(times))
    }

    /// Size of a part in bytes, with elements of `item` bytes.
    pub(super) fn part_bytes(&self, extent: &Extent, item: usize) -> usize {
        let [t, y, x] = self.shape;
        item * match extent {
            Extent::Times(times) => times.len() * y * x,
            Extent::Whole => t * y * x,
            Extent::Pixels(pixels) => self.cube.t.count * pixels.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selected_positions_in_a_range_are_found() {
        let axis = |start, step, count| Axis { start, step, count, kept: true };
        let cube = Cube { t: axis(1, 3, 5), y: axis(0, 2, 3), x: axis(1, 1, 2) };
        assert_eq!(cube.times_in(&(4..11)), 1..4);
        assert_eq!(cube.times_in(&(14..20)), 5..5);
        // Pixels 1, 2, 9, 10, 17, 18 of a frame 4 wide (rows 0, 2 and 4): flattened 1, 2, 9, 10, 17, 18.
        assert_eq!(cube.pixels_in(&(2..10), 4), 1..3);
        assert_eq!(cube.pixels_in(&(0..100), 4), 0..6);
        assert_eq!(cube.pixels_in(&(11..17), 4), 4..4);
    }

    #[test]
    fn the_size_of_a_huge_region_saturates() {
        let cube = Cube { t: Axis::whole(2), y: Axis::whole(2), x: Axis::whole(2) };
        assert_eq!(Region { shape: [usize::MAX, 2, 2], ..Region::of(cube) }.bytes(4), u64::MAX);
        assert!(Region::of(cube).fits() && !Region { shape: [2, 1, 2], ..Region::of(cube) }.fits());
    }
}
