//! How a selection is cut into the objects of a Zarr array, and which server writes each: pure.

use crate::arrays::{Array, Holder, find};
use crate::geometry::position;
use crate::job::Output;
use crate::plan::{Plan, ServerId};
use crate::selection::{self, Axis, Item, Selection, resolve};
use thiserror::Error;

/// Bytes of objects that one server makes at a time, unless two of them are more.
const AT_ONCE_BYTES: usize = 32 << 20;
/// Objects that one server makes at a time: enough to hide a store's delay, few enough for its patience.
const MOST_AT_ONCE: usize = 16;

/// Why an output cannot be laid out.
#[derive(Debug, Error, PartialEq, Eq)]
#[expect(missing_docs, reason = "each message says it")]
pub enum Error {
    #[error("there is no array '{name}' (keep and reduce say which there are): {known}")]
    NoSuchArray { name: String, known: String },
    #[error(transparent)]
    Selection(#[from] selection::Error),
    #[error("{what} must have one number for each axis of the selection, {axes}; found {given}")]
    Count { what: &'static str, axes: usize, given: usize },
    #[error("{what} must be at least 1, or -1 for the whole axis; found {given}")]
    NotPositive { what: &'static str, given: i64 },
    #[error("shards must be multiples of chunks; {shard} is none of {chunk}")]
    NotWhole { shard: usize, chunk: usize },
}

/// The objects of one output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// What is selected from.
    pub array: Array,
    /// Positions along each of its axes.
    pub axes: Vec<Axis>,
    /// Shape of the selection.
    pub shape: Vec<usize>,
    /// What readers take at once.
    pub chunks: Vec<usize>,
    /// What one object holds, when that is more than a chunk: whole chunks.
    pub shards: Option<Vec<usize>>,
    /// Which axes of the array the selection has.
    kept: Vec<usize>,
}

impl Layout {
    /// Lays an output out over the arrays of a plan.
    ///
    /// # Errors
    /// When there is no such array or element, or chunks or shards make no sense.
    pub fn new(output: &Output, arrays: &[Array], plan: &Plan) -> Result<Self, Error> {
        let selection = Selection::parse(&output.select)?;
        let array = find(arrays, &selection.array).ok_or_else(|| Error::NoSuchArray {
            name: selection.array.clone(),
            known: arrays.iter().map(|array| array.name.as_str()).collect::<Vec<_>>().join(", "),
        })?;
        let axes = resolve(&selection.items, &array.shape)?;
        let kept: Vec<usize> = (0..axes.len()).filter(|&axis| axes[axis].kept).collect();
        let shape = selection::shape(&axes);
        let grid = array.chunks(plan);
        let natural = kept.iter().map(|&axis| grid[axis].min(axes[axis].count).max(1)).collect();
        let chunks = output.chunks.as_deref().map_or(Ok(natural), |chunks| sizes("chunks", chunks, &shape))?;
        let shards = output.shards.as_deref().map(|shards| whole_chunks(sizes("shards", shards, &shape)?, &chunks, &shape)).transpose()?;
        Ok(Self { array: array.clone(), axes, shape, chunks, shards, kept })
    }

    /// Names of the selection's axes.
    pub fn names(&self) -> Vec<&'static str> {
        self.kept.iter().map(|&axis| self.array.axes[axis]).collect()
    }

    /// Shape of one object: a shard's, or a chunk's.
    pub fn object(&self) -> &[usize] {
        self.shards.as_deref().unwrap_or(&self.chunks)
    }

    /// Bytes of the elements of one object.
    pub fn object_bytes(&self) -> usize {
        self.object().iter().product::<usize>() * self.array.element.size()
    }

    /// Bytes of all elements.
    pub fn bytes(&self) -> usize {
        self.shape.iter().product::<usize>() * self.array.element.size()
    }

    /// Objects that one server makes at a time.
    pub fn at_once(&self) -> usize {
        (AT_ONCE_BYTES / self.object_bytes().max(1)).clamp(2, MOST_AT_ONCE)
    }

    /// The index of every object that `server` writes, in C order.
    pub fn objects_of(&self, server: ServerId, plan: &Plan) -> impl Iterator<Item = Vec<usize>> {
        let grid = self.grid();
        (0..grid.iter().product()).map(move |number| position(number, &grid)).filter(move |index| self.owner(index, plan) == server)
    }

    /// Number of objects along each axis.
    fn grid(&self) -> Vec<usize> {
        self.shape.iter().zip(self.object()).map(|(&size, &object)| size.div_ceil(object)).collect()
    }

    /// Who writes an object: the owner of its first element, who has all of it, or most.
    fn owner(&self, index: &[usize], plan: &Plan) -> ServerId {
        let part = self.part(index);
        let first = |axis: usize| part[axis].start;
        match self.array.holder {
            Holder::Frames(_) => plan.owner_of_frame(first(0)),
            Holder::Tiles(_) => plan.owner_of_pixel(first(1) * plan.stack.width + first(2)),
            Holder::Centroids | Holder::Offsets | Holder::Frame(..) | Holder::Trace(..) => {
                ServerId(index.iter().sum::<usize>() % plan.servers)
            }
        }
    }

    /// The positions in the array that an object covers; fewer than its shape at the edges.
    fn part(&self, index: &[usize]) -> Vec<Axis> {
        let mut part = self.axes.clone();
        for ((&axis, &i), &object) in self.kept.iter().zip(index).zip(self.object()) {
            let first = i * object;
            part[axis].count = object.min(self.axes[axis].count - first);
            part[axis].start = self.axes[axis].at(first);
        }
        part
    }

    /// The selection from the array that fills an object, and how many elements that is along each axis.
    pub fn items(&self, index: &[usize]) -> (Vec<Item>, Vec<usize>) {
        let part = self.part(index);
        (part.iter().map(as_item).collect(), self.kept.iter().map(|&axis| part[axis].count).collect())
    }
}

/// Sizes as the manifest has them, with -1 resolved; none is larger than its axis.
fn sizes(what: &'static str, given: &[i64], shape: &[usize]) -> Result<Vec<usize>, Error> {
    if given.len() != shape.len() {
        return Err(Error::Count { what, axes: shape.len(), given: given.len() });
    }
    let size = |(&given, &size): (&i64, &usize)| match given {
        -1 => Ok(size.max(1)),
        1.. => Ok(usize::try_from(given).unwrap_or(usize::MAX).min(size).max(1)),
        _ => Err(Error::NotPositive { what, given }),
    };
    given.iter().zip(shape).map(size).collect()
}

/// Shards of whole chunks; those that reach an axis' end reach the end of its last chunk.
fn whole_chunks(shards: Vec<usize>, chunks: &[usize], shape: &[usize]) -> Result<Vec<usize>, Error> {
    let whole = |((shard, &chunk), &size): ((usize, &usize), &usize)| match shard {
        shard if shard >= size => Ok(shard.next_multiple_of(chunk)),
        shard if shard.is_multiple_of(chunk) => Ok(shard),
        shard => Err(Error::NotWhole { shard, chunk }),
    };
    shards.into_iter().zip(chunks).zip(shape).map(whole).collect()
}

/// The slice that takes the positions of an axis.
fn as_item(axis: &Axis) -> Item {
    if !axis.kept {
        return Item::Index(axis.start as i64);
    }
    let stop = axis.start as i64 + axis.count as i64 * axis.step;
    // A stop below 0 would count from the end: "all the way down" is written as no stop.
    Item::Slice(Some(axis.start as i64), (stop >= 0).then_some(stop), Some(axis.step))
}

#[cfg(test)]
mod tests;
