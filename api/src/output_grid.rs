//! The objects of a Zarr output: how they divide the selection, and which server writes each object.

use crate::arrays::{Array, Holder, find};
use crate::geometry::position;
use crate::job::Output;
use crate::partition::{Partition, ServerId};
use crate::selection::{self, Axis, Item, Selection, resolve};
use thiserror::Error;

/// Bytes of objects that one server writes at a time. A server writes at least two objects at a time, even if they are larger.
const AT_ONCE_BYTES: usize = 32 << 20;
/// Most objects that one server writes at a time: enough to hide the latency of the store, few enough for its rate limit.
const MOST_AT_ONCE: usize = 16;

/// Why an output is invalid.
#[derive(Debug, Error, PartialEq, Eq)]
#[expect(missing_docs, reason = "the message documents each variant")]
pub enum Error {
    #[error("there is no array '{name}'; the job has {known}; see keep and reduce")]
    NoSuchArray { name: String, known: String },
    #[error(transparent)]
    Selection(#[from] selection::Error),
    #[error("{what} must have one number for each axis of the selection, {axes}; found {given}")]
    Count { what: &'static str, axes: usize, given: usize },
    #[error("{what} must be at least 1, or -1 for the whole axis; found {given}")]
    NotPositive { what: &'static str, given: i64 },
    #[error("shards must be multiples of chunks; {shard} is not a multiple of {chunk}")]
    NotWhole { shard: usize, chunk: usize },
}

/// The grid of objects of one output. An object is one chunk, or one shard of several chunks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputGrid {
    /// The array of the selection.
    pub array: Array,
    /// Selected positions along each axis of the array.
    pub axes: Vec<Axis>,
    /// Shape of the selection.
    pub shape: Vec<usize>,
    /// Chunk shape: the unit that readers of the output read. One number for each axis of `shape`.
    pub chunks: Vec<usize>,
    /// Shape of a shard, in whole chunks; `None` if one object has one chunk.
    pub shards: Option<Vec<usize>>,
    /// Axes of the array that are axes of the selection.
    kept: Vec<usize>,
}

impl OutputGrid {
    /// The grid of `output` among the arrays of a job.
    ///
    /// # Errors
    /// If the selection has no such array or element, or chunks or shards do not fit the selection.
    pub fn new(output: &Output, arrays: &[Array], partition: &Partition) -> Result<Self, Error> {
        let selection = Selection::parse(&output.select)?;
        let array = find(arrays, &selection.array).ok_or_else(|| Error::NoSuchArray {
            name: selection.array.clone(),
            known: arrays.iter().map(|array| array.name.as_str()).collect::<Vec<_>>().join(", "),
        })?;
        let axes = resolve(&selection.items, &array.shape)?;
        let kept: Vec<usize> = (0..axes.len()).filter(|&axis| axes[axis].kept).collect();
        let shape = selection::shape(&axes);
        let grid = array.chunks(partition);
        let natural = kept.iter().map(|&axis| grid[axis].min(axes[axis].count).max(1)).collect();
        let chunks = output.chunks.as_deref().map_or(Ok(natural), |chunks| sizes("chunks", chunks, &shape))?;
        let shards = output.shards.as_deref().map(|shards| whole_chunks(sizes("shards", shards, &shape)?, &chunks, &shape)).transpose()?;
        Ok(Self { array: array.clone(), axes, shape, chunks, shards, kept })
    }

    /// Names of the axes of the selection.
    pub fn names(&self) -> Vec<&'static str> {
        self.kept.iter().map(|&axis| self.array.axes[axis]).collect()
    }

    /// Shape of one object: a shard or a chunk.
    pub fn object(&self) -> &[usize] {
        self.shards.as_deref().unwrap_or(&self.chunks)
    }

    /// Decoded bytes of one object.
    pub fn object_bytes(&self) -> usize {
        self.object().iter().product::<usize>() * self.array.element.size()
    }

    /// Decoded bytes of the selection.
    pub fn bytes(&self) -> usize {
        self.shape.iter().product::<usize>() * self.array.element.size()
    }

    /// Number of objects that one server writes at a time.
    pub fn at_once(&self) -> usize {
        (AT_ONCE_BYTES / self.object_bytes().max(1)).clamp(2, MOST_AT_ONCE)
    }

    /// The index along each axis of every object that `server` writes, in C order.
    pub fn objects_of(&self, server: ServerId, partition: &Partition) -> impl Iterator<Item = Vec<usize>> {
        let grid = self.grid();
        (0..grid.iter().product()).map(move |number| position(number, &grid)).filter(move |index| self.owner(index, partition) == server)
    }

    /// Number of objects along each axis.
    fn grid(&self) -> Vec<usize> {
        self.shape.iter().zip(self.object()).map(|(&size, &object)| size.div_ceil(object)).collect()
    }

    /// The server that writes an object: the owner of the first element. For frames and tiles, this server owns all or most of the object.
    fn owner(&self, index: &[usize], partition: &Partition) -> ServerId {
        let region = self.region(index);
        let first = |axis: usize| region[axis].start;
        match self.array.holder {
            Holder::Frames(_) => partition.owner_of_frame(first(0)),
            Holder::Tiles(_) => partition.owner_of_pixel(first(1) * partition.stack.width + first(2)),
            Holder::Centroids | Holder::Offsets | Holder::Frame(..) | Holder::Trace(..) => {
                ServerId(index.iter().sum::<usize>() % partition.servers)
            }
        }
    }

    /// The positions in the array that an object covers; fewer than the shape of an object at the edges.
    fn region(&self, index: &[usize]) -> Vec<Axis> {
        let mut region = self.axes.clone();
        for ((&axis, &i), &object) in self.kept.iter().zip(index).zip(self.object()) {
            let first = i * object;
            region[axis].count = object.min(self.axes[axis].count - first);
            region[axis].start = self.axes[axis].at(first);
        }
        region
    }

    /// The selection from the array that fills an object, and the number of elements along each axis of the selection.
    pub fn items(&self, index: &[usize]) -> (Vec<Item>, Vec<usize>) {
        let region = self.region(index);
        (region.iter().map(as_item).collect(), self.kept.iter().map(|&axis| region[axis].count).collect())
    }
}

/// The sizes of the manifest with -1 resolved. A size is at most the length of its axis.
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

/// Shard sizes in whole chunks. A shard that reaches the end of an axis reaches the end of the last chunk.
fn whole_chunks(shards: Vec<usize>, chunks: &[usize], shape: &[usize]) -> Result<Vec<usize>, Error> {
    let whole = |((shard, &chunk), &size): ((usize, &usize), &usize)| match shard {
        shard if shard >= size => Ok(shard.next_multiple_of(chunk)),
        shard if shard.is_multiple_of(chunk) => Ok(shard),
        shard => Err(Error::NotWhole { shard, chunk }),
    };
    shards.into_iter().zip(chunks).zip(shape).map(whole).collect()
}

/// The index or slice that selects the positions of an axis.
fn as_item(axis: &Axis) -> Item {
    if !axis.kept {
        return Item::Index(axis.start as i64);
    }
    let stop = axis.start as i64 + axis.count as i64 * axis.step;
    // A negative stop counts from the end of the axis; no stop means down to position 0.
    Item::Slice(Some(axis.start as i64), (stop >= 0).then_some(stop), Some(axis.step))
}

#[cfg(test)]
mod tests;
