//! Elements of a part of an array in, the bytes of its object out: a chunk, or a shard of several. Pure.

use crate::results::{put, take};
use api::geometry::position;
use api::selection::Axis;

/// What an object is made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape<'a> {
    /// Shape of one chunk.
    pub(super) chunk: &'a [usize],
    /// Shape of one shard, in whole chunks, when the object is one.
    pub(super) shard: Option<&'a [usize]>,
    /// Bytes of one element.
    pub(super) item: usize,
}

impl Shape<'_> {
    /// Bytes of a chunk.
    fn chunk_bytes(&self) -> usize {
        self.chunk.iter().product::<usize>() * self.item
    }

    /// Bytes of an object that holds `counts` elements along each axis.
    pub(super) fn object_bytes(&self, counts: &[usize]) -> usize {
        let Some(shard) = self.shard else { return self.chunk_bytes() };
        let along = |sizes: &[usize]| -> usize { sizes.iter().zip(self.chunk).map(|(size, chunk)| size.div_ceil(*chunk)).product() };
        along(counts) * self.chunk_bytes() + along(shard) * ENTRY + CHECKSUM
    }

    /// The object that holds `data`, of `counts` elements along each axis.
    ///
    /// A shard is its chunks one after another, then an index: offset and length of each, in C order, and a checksum of those
    /// (sharding codec 1.0 of the Zarr v3 specification, index at the end). A chunk beyond the array's edge is left out, as the
    /// specification has it: both numbers are the largest there are.
    pub(super) fn object(&self, data: Vec<u8>, counts: &[usize]) -> Vec<u8> {
        let Some(shard) = self.shard else { return pad(data, self.item, counts, self.chunk) };
        let mut object = Vec::with_capacity(self.object_bytes(counts));
        let mut index = Vec::new();
        let grid: Vec<usize> = shard.iter().zip(self.chunk).map(|(shard, chunk)| shard / chunk).collect();
        for number in 0..grid.iter().product() {
            let first: Vec<usize> = position(number, &grid).iter().zip(self.chunk).map(|(i, chunk)| i * chunk).collect();
            let entry = if first.iter().zip(counts).any(|(first, count)| first >= count) {
                [u64::MAX; 2]
            } else {
                let offset = object.len() as u64;
                object.extend(self.cut(&data, counts, &first));
                [offset, self.chunk_bytes() as u64]
            };
            entry.iter().for_each(|number| index.extend(number.to_le_bytes()));
        }
        let checksum = crc32c::crc32c(&index);
        object.extend(index);
        object.extend(checksum.to_le_bytes());
        object
    }

    /// The chunk of `data` that begins at `first`, padded.
    fn cut(&self, data: &[u8], counts: &[usize], first: &[usize]) -> Vec<u8> {
        let own: Vec<usize> = (0..first.len()).map(|axis| self.chunk[axis].min(counts[axis] - first[axis])).collect();
        let axes: Vec<Axis> = first.iter().zip(&own).map(|(&start, &count)| Axis { start, step: 1, count, kept: true }).collect();
        put(&take(data, self.item, counts, &axes), self.item, &own, self.chunk)
    }
}

/// Offset and length of a chunk in a shard's index.
const ENTRY: usize = 16;
/// CRC-32C of a shard's index.
const CHECKSUM: usize = 4;

/// Edge chunks are full size in Zarr, padded with the fill value 0.
fn pad(data: Vec<u8>, item: usize, counts: &[usize], chunk: &[usize]) -> Vec<u8> {
    if counts == chunk { data } else { put(&data, item, counts, chunk) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edge_chunks_are_padded() {
        assert_eq!(pad(vec![1, 2, 3, 4, 5, 6], 1, &[2, 3], &[2, 3]), [1, 2, 3, 4, 5, 6]);
        assert_eq!(pad(vec![1, 2, 3, 4], 1, &[2, 2], &[3, 3]), [1, 2, 0, 3, 4, 0, 0, 0, 0]);
    }

    #[test]
    fn a_shard_is_its_chunks_and_an_index_with_a_checksum() {
        // A 3 × 3 array in chunks of 2 × 2, all in one shard of 4 × 6: two chunks are beyond the edge.
        let shape = Shape { chunk: &[2, 2], shard: Some(&[4, 6]), item: 1 };
        let shard = shape.object((1..=9).collect(), &[3, 3]);
        assert_eq!(shard.len(), shape.object_bytes(&[3, 3]));
        assert_eq!(shard[..16], [1, 2, 4, 5, 3, 0, 6, 0, 7, 8, 0, 0, 9, 0, 0, 0]);
        let (index, checksum) = shard[16..].split_at(6 * ENTRY);
        let numbers: Vec<u64> = index.as_chunks().0.iter().map(|&bytes| u64::from_le_bytes(bytes)).collect();
        let none = u64::MAX;
        assert_eq!(numbers, [0, 4, 4, 4, none, none, 8, 4, 12, 4, none, none]);
        assert_eq!(checksum, crc32c::crc32c(index).to_le_bytes());
    }
}
