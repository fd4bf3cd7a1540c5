//! Encodes elements of an array as an object of a Zarr store: a chunk, or a shard of several chunks. Pure functions.

use crate::results::{put, take};
use api::geometry::position;
use api::selection::Axis;

/// The shape of an object.
#[derive(Clone, Copy, Debug)]
pub(super) struct ObjectShape<'a> {
    /// Shape of a chunk, in elements.
    pub(super) chunk: &'a [usize],
    /// Shape of a shard, in elements, a multiple of the chunk; `None` if the object is a chunk.
    pub(super) shard: Option<&'a [usize]>,
    /// Size of an element, in bytes.
    pub(super) item: usize,
}

impl ObjectShape<'_> {
    /// Size of a chunk, in bytes.
    fn chunk_bytes(&self) -> usize {
        self.chunk.iter().product::<usize>() * self.item
    }

    /// Size in bytes of an object with `counts` elements along each axis.
    pub(super) fn object_bytes(&self, counts: &[usize]) -> usize {
        let Some(shard) = self.shard else { return self.chunk_bytes() };
        let along = |sizes: &[usize]| -> usize { sizes.iter().zip(self.chunk).map(|(size, chunk)| size.div_ceil(*chunk)).product() };
        along(counts) * self.chunk_bytes() + along(shard) * ENTRY + CHECKSUM
    }

    /// The object that contains `data`, with `counts` elements along each axis.
    ///
    /// A shard consists of its chunks in C order, then an index of offsets and lengths, then a checksum of the index (sharding codec 1.0 of Zarr v3,
    /// index at the end: <https://zarr-specs.readthedocs.io/en/latest/v3/codecs/sharding-indexed/index.html>). A chunk beyond the edge of the array
    /// is omitted; its offset and length are 2^64 - 1.
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

    /// The chunk of `data` that starts at `first`, padded to full size.
    fn cut(&self, data: &[u8], counts: &[usize], first: &[usize]) -> Vec<u8> {
        let own: Vec<usize> = (0..first.len()).map(|axis| self.chunk[axis].min(counts[axis] - first[axis])).collect();
        let axes: Vec<Axis> = first.iter().zip(&own).map(|(&start, &count)| Axis { start, step: 1, count, kept: true }).collect();
        put(&take(data, self.item, counts, &axes), self.item, &own, self.chunk)
    }
}

/// Size of an entry of a shard's index, in bytes: offset and length.
const ENTRY: usize = 16;
/// Size of the CRC-32C of a shard's index, in bytes.
const CHECKSUM: usize = 4;

/// Pads an edge chunk to full size with the fill value 0, as Zarr requires.
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
    fn a_shard_consists_of_chunks_an_index_and_a_checksum() {
        // An array of 3 × 3 in chunks of 2 × 2, in one shard of 4 × 6: two chunks are beyond the edge.
        let shape = ObjectShape { chunk: &[2, 2], shard: Some(&[4, 6]), item: 1 };
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
