//! A selection of an array, and its division into blocks that are read one after another.

use super::Error;
use crate::share::Share;
use api::arrays::{Array, Holder};
use api::selection::{self, Axis, Item};

/// Largest selection, in bytes.
const LIMIT: u64 = 8 << 30;

/// Selected elements of an array.
#[derive(Clone, Debug)]
pub struct Selected {
    /// The array.
    pub array: Array,
    /// The selected positions along each axis of the array.
    pub axes: Vec<Axis>,
}

impl Selected {
    /// `items` of array `name`.
    ///
    /// # Errors
    /// When the array is unknown, or the selection is out of bounds or too large.
    pub fn new(share: &Share, name: &str, items: &[Item]) -> Result<Self, Error> {
        let array = share.array(name).ok_or_else(|| Error::NoSuchArray { name: name.to_owned(), known: known(share) })?;
        let selected = Self { axes: selection::resolve(items, &array.shape)?, array: array.clone() };
        within_limit(selected.bytes())?;
        Ok(selected)
    }

    /// Shape of the selection.
    pub fn shape(&self) -> Vec<usize> {
        selection::shape(&self.axes)
    }

    /// Number of elements.
    pub fn elements(&self) -> u64 {
        self.axes.iter().fold(1, |elements: u64, axis| elements.saturating_mul(axis.count as u64))
    }

    /// Size of the elements in bytes.
    pub fn bytes(&self) -> u64 {
        self.elements().saturating_mul(self.array.element.size() as u64)
    }

    /// Whether a part of the array can be read without the rest: servers hold shares of the array's elements.
    pub const fn is_divisible(&self) -> bool {
        matches!(self.array.holder, Holder::Frames(_) | Holder::Tiles(_))
    }

    /// Copies of the elements while they are gathered: tiles are written to their positions in the selection. Parts of frames are copied
    /// first, and negative steps need a second pass.
    pub fn copies(&self) -> u64 {
        let reversed = self.axes.iter().any(|axis| axis.ascending().1);
        if reversed || !matches!(self.array.holder, Holder::Tiles(_)) { 2 } else { 1 }
    }

    /// The selection as consecutive selections of at most `most` bytes, or of one element.
    pub fn blocks(&self, most: u64) -> Vec<Self> {
        let counts: Vec<usize> = self.axes.iter().map(|axis| axis.count).collect();
        if !self.is_divisible() || self.bytes() <= most {
            return vec![self.clone()];
        }
        let block = block_shape(&counts, self.array.element.size() as u64, most);
        let grid: Vec<usize> = counts.iter().zip(&block).map(|(count, size)| count.div_ceil(*size)).collect();
        let number = grid.iter().product();
        (0..number)
            .map(|number| {
                let position = api::geometry::position(number, &grid);
                let axes = self.axes.iter().zip(position.iter().zip(&block)).map(|(axis, (position, size))| {
                    let from = position * size;
                    Axis { start: axis.at(from), count: (*size).min(axis.count - from), ..*axis }
                });
                Self { array: self.array.clone(), axes: axes.collect() }
            })
            .collect()
    }
}

pub(super) fn within_limit(bytes: u64) -> Result<(), Error> {
    if bytes > LIMIT { Err(Error::TooLarge { bytes, limit: LIMIT }) } else { Ok(()) }
}

fn known(share: &Share) -> String {
    share.arrays.iter().map(|array| array.name.as_str()).collect::<Vec<_>>().join(", ")
}

/// The largest shape of at most `most` bytes that divides an array of shape `counts` into consecutive elements: single positions along the
/// first axes, a range along one axis, and all of the other axes.
pub(super) fn block_shape(counts: &[usize], item: u64, most: u64) -> Vec<usize> {
    let mut block = counts.to_vec();
    for axis in 0..counts.len() {
        let inner = counts[axis + 1..].iter().fold(item, |bytes, &count| bytes.saturating_mul(count as u64)).max(1);
        let fits = usize::try_from(most / inner).unwrap_or(usize::MAX);
        block[axis] = fits.clamp(1, counts[axis].max(1));
        if fits > 0 {
            break;
        }
    }
    block
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::arrays::Base;
    use api::geometry::Element;
    use api::selection::parse_items;

    #[test]
    fn blocks_are_consecutive_and_small() {
        let shape = vec![7, 5, 11];
        let array = Array {
            name: "raw".into(),
            element: Element::Uint16,
            shape: shape.clone(),
            axes: vec!["t", "y", "x"],
            holder: Holder::Frames(Base::Raw),
        };
        let all = |selected: &Selected| -> Vec<[usize; 3]> {
            let [t, y, x] = &selected.axes[..] else { panic!() };
            let rows = |i| (0..y.count).flat_map(move |j| (0..x.count).map(move |k| [t.at(i), y.at(j), x.at(k)]));
            (0..t.count).flat_map(rows).collect()
        };
        for text in ["", "::-2,1:4", "3,:,::3", ":,:,5", "::-1,::-1,::-1"] {
            let axes = selection::resolve(&parse_items(text).unwrap(), &shape).unwrap();
            let whole = Selected { array: array.clone(), axes };
            for most in 0..800 {
                let blocks = whole.blocks(most);
                assert_eq!(blocks.iter().flat_map(all).collect::<Vec<_>>(), all(&whole), "{text} in blocks of {most}");
                assert!(blocks.iter().all(|block| block.bytes() <= most.max(2)), "{text} in blocks of {most}");
            }
        }
    }

    #[test]
    fn the_block_shape_keeps_the_last_axes_whole() {
        assert_eq!(block_shape(&[100, 20, 30], 4, 10_000), [4, 20, 30]);
        assert_eq!(block_shape(&[100, 20, 30], 4, 1000), [1, 8, 30]);
        assert_eq!(block_shape(&[100, 20, 30], 4, 100), [1, 1, 25]);
        assert_eq!(block_shape(&[100, 20, 30], 4, 0), [1, 1, 1]);
        assert_eq!(block_shape(&[100, 20, 30], 4, u64::MAX), [100, 20, 30]);
        assert_eq!(block_shape(&[0, 20, 30], 4, 100), [1, 1, 25]);
    }
}
