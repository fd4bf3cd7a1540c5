//! Regular chunk grids: <https://zarr-specs.readthedocs.io/en/latest/v3/chunk-grids/regular-grid/index.html>. Chunks at the edge have the
//! full chunk shape and are padded.

use std::ops::Range;

/// The chunk grid of an array.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grid {
    shape: Vec<usize>,
    chunks: Vec<usize>,
}

impl Grid {
    /// Chunks of `chunks` elements along each axis of `shape`, limited to 1 and the length of the axis.
    pub fn new(shape: &[usize], chunks: &[usize]) -> Self {
        let chunks = shape.iter().zip(chunks).map(|(&size, &chunk)| chunk.clamp(1, size.max(1))).collect();
        Self { shape: shape.to_vec(), chunks }
    }

    /// Parses `ct,cy,cx`: one number per axis of `shape`, -1 for the whole axis.
    pub fn parse(text: &str, shape: &[usize]) -> Option<Self> {
        let size = |text: &str| {
            if text == "-1" {
                return Some(usize::MAX);
            }
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            // A number that exceeds usize is larger than any axis.
            digits.then(|| text.parse().unwrap_or(usize::MAX)).filter(|&size| size > 0)
        };
        let chunks: Vec<usize> = text.split(',').map(size).collect::<Option<_>>()?;
        (chunks.len() == shape.len()).then(|| Self::new(shape, &chunks))
    }

    /// Number of elements of a chunk along each axis.
    pub fn chunks(&self) -> &[usize] {
        &self.chunks
    }

    /// Number of chunks along each axis.
    pub fn counts(&self) -> Vec<usize> {
        self.shape.iter().zip(&self.chunks).map(|(size, chunk)| size.div_ceil(*chunk)).collect()
    }

    /// Size of a chunk in bytes, with elements of `item` bytes.
    pub fn chunk_bytes(&self, item: usize) -> u64 {
        self.chunks.iter().fold(item as u64, |bytes, &chunk| bytes.saturating_mul(chunk as u64))
    }

    /// The elements of the array in chunk `index`; `None` when the chunk does not exist.
    pub fn region(&self, index: &[usize]) -> Option<Vec<Range<usize>>> {
        let along = |((&i, &chunk), &size): ((&usize, &usize), &usize)| {
            let first = i.checked_mul(chunk).filter(|&first| first < size)?;
            Some(first..size.min(first + chunk))
        };
        (index.len() == self.shape.len()).then(|| index.iter().zip(&self.chunks).zip(&self.shape).map(along).collect())?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grid_is_parsed_and_clamped() {
        let chunks = |text: &str| Grid::parse(text, &[40, 64, 60]).map(|grid| grid.chunks().to_vec());
        assert_eq!(chunks("1,64,60"), Some(vec![1, 64, 60]));
        assert_eq!(chunks("-1,10,10"), Some(vec![40, 10, 10]));
        assert_eq!(chunks("-1,-1,-1"), Some(vec![40, 64, 60]));
        assert_eq!(chunks("100,7,99999999999999999999999999"), Some(vec![40, 7, 60]));
        for wrong in ["", "1", "1,2", "1,2,3,4", "0,1,1", "1,-2,3", "1,,3", "1,+2,3", "1, 2,3", "a,b,c", "1,2,3,"] {
            assert_eq!(chunks(wrong), None, "{wrong}");
        }
        assert_eq!(Grid::parse("3", &[7]).unwrap().counts(), [3]);
    }

    #[test]
    fn the_chunks_of_a_grid_cover_the_array_once() {
        for text in ["1,1,1", "2,3,4", "5,2,3", "-1,4,-1"] {
            let grid = Grid::parse(text, &[5, 4, 3]).unwrap();
            let counts = grid.counts();
            let mut seen = vec![0; 60];
            for chunk in 0..counts.iter().product() {
                let index = [chunk / counts[2] / counts[1], chunk / counts[2] % counts[1], chunk % counts[2]];
                let region = grid.region(&index).unwrap();
                for t in region[0].clone() {
                    for y in region[1].clone() {
                        region[2].clone().for_each(|x| seen[(t * 4 + y) * 3 + x] += 1);
                    }
                }
            }
            assert_eq!(seen, [1; 60], "{text}");
            assert_eq!(grid.region(&counts), None);
        }
    }

    #[test]
    fn a_missing_chunk_has_no_region() {
        let grid = Grid::parse("2,2,2", &[5, 4, 3]).unwrap();
        assert_eq!(grid.region(&[2, 1, 1]), Some(vec![4..5, 2..4, 2..3]));
        for index in [vec![3, 0, 0], vec![0, 0], vec![0, 0, 0, 0], vec![usize::MAX, 0, 0]] {
            assert_eq!(grid.region(&index), None, "{index:?}");
        }
        assert_eq!(grid.chunk_bytes(4), 32);
    }
}
