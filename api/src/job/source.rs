//! The source of the frames: images or volumes behind URLs, or an array of a Zarr store.

use crate::geometry::Dtype;
use serde::{Deserialize, Serialize};

/// Default of `source.minBytesPerSecond`: far below a usable source, and above a source that keeps connections busy without progress.
pub const MIN_BYTES_PER_SECOND: u64 = 1024;
/// Frames that a server decodes and reduces in one pass.
pub const GROUP: usize = 8;
/// Target size of a piece, in bytes: large enough for few requests, small enough for several pieces at a time.
const PIECE_BYTES: usize = 16 << 20;

/// The source of the frames.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Source {
    /// One image, or `depth` raw frames, behind each URL.
    Images(Images),
    /// An array of a Zarr store.
    Zarr(Zarr),
}

impl Source {
    /// Frames in one response: more than 1 for a volume only.
    pub const fn depth(&self) -> usize {
        match self {
            Self::Images(images) => images.depth,
            Self::Zarr(_) => 1,
        }
    }

    /// Headers of each request: name and value.
    pub fn headers(&self) -> &[(String, String)] {
        match self {
            Self::Images(images) => &images.headers,
            Self::Zarr(_) => &[],
        }
    }

    /// Least rate of a body, in bytes per second; 0 for no limit.
    pub const fn min_bytes_per_second(&self) -> u64 {
        match self {
            Self::Images(images) => images.min_bytes_per_second,
            Self::Zarr(zarr) => zarr.min_bytes_per_second,
        }
    }
}

/// Images or volumes behind URLs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Images {
    /// The URL with placeholders; see [`crate::template::Template`].
    pub url_template: String,
    /// Index of the first frame.
    pub start: i64,
    /// Difference between the indices of consecutive frames.
    pub step: i64,
    /// Frames in one response: 1 for images, more for a volume.
    pub depth: usize,
    /// The treatment of color images.
    pub color: Color,
    /// Headers of each request: name and value.
    pub headers: Vec<(String, String)>,
    /// Least rate of a body, in bytes per second; 0 for no limit. Operators of earlier versions do not send this field.
    #[serde(default = "min_bytes_per_second")]
    pub min_bytes_per_second: u64,
}

const fn min_bytes_per_second() -> u64 {
    MIN_BYTES_PER_SECOND
}

impl Images {
    /// Images 0, 1, … in gray, without headers and without a least rate.
    pub const fn new(url_template: String) -> Self {
        Self { url_template, start: 0, step: 1, depth: 1, color: Color::Refuse, headers: Vec::new(), min_bytes_per_second: 0 }
    }

    /// Frames that a server fetches together: [`GROUP`], or the frames of one response of a volume.
    pub const fn group(&self) -> usize {
        if self.depth > 1 { self.depth } else { GROUP }
    }

    /// The index in the URL of frame `frame`. For a volume: the index of the first frame in the same response.
    pub fn index(&self, frame: usize) -> i64 {
        self.start + (frame - frame % self.depth) as i64 * self.step
    }
}

/// The treatment of color images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Color {
    /// A color image is an error.
    #[default]
    Refuse,
    /// The luminance of a color image: <https://www.itu.int/rec/R-REC-BT.601>.
    Luminance,
}

/// An array of a Zarr store, axes (t, y, x).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Zarr {
    /// URL of the store, or of the array itself.
    pub url: String,
    /// Path of the array in the store; empty if `url` is the URL of the array.
    pub array: String,
    /// Index of the job's first frame along axis 0 of the array.
    pub start: usize,
    /// Shape and chunks of the array; `None` before a server has read the metadata.
    pub layout: Option<ArrayLayout>,
    /// Least rate of a body, in bytes per second; 0 for no limit. Operators of earlier versions do not send this field.
    #[serde(default = "min_bytes_per_second")]
    pub min_bytes_per_second: u64,
}

/// Shape, element type and chunks of a source's array, from the metadata of the array. Axis order is (t, y, x).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArrayLayout {
    /// Shape of the array.
    pub shape: [usize; 3],
    /// Element type.
    pub dtype: Dtype,
    /// Shape of a chunk: the content of one key of the store.
    pub chunks: [usize; 3],
    /// Shape of a part: the smallest region that a server can read without the rest of the chunk. A part is an inner chunk of a shard,
    /// one frame of an uncompressed chunk, or else the whole chunk.
    pub parts: [usize; 3],
}

impl ArrayLayout {
    /// Shape of a piece, the unit of reads and decodes, for a group of `frames` frames: one part, or several parts if they are small.
    pub fn piece(&self, frames: usize) -> [usize; 3] {
        let frames = frames.min(self.chunks[0]).next_multiple_of(self.parts[0]).min(self.chunks[0]);
        let most = [frames, self.chunks[1], self.chunks[2]];
        let mut piece = self.parts;
        // x first: neighbours in x are neighbours in the file.
        for axis in [2, 1, 0] {
            let others = piece.iter().product::<usize>() / piece[axis] * self.dtype.size();
            let wanted = (PIECE_BYTES / others.max(1)).clamp(piece[axis], most[axis].max(piece[axis]));
            piece[axis] = wanted / self.parts[axis] * self.parts[axis];
            if piece[axis] < self.chunks[axis] {
                break;
            }
        }
        piece
    }

    /// Decoded bytes of one chunk.
    pub fn chunk_bytes(&self) -> u64 {
        (self.chunks.iter().product::<usize>() * self.dtype.size()) as u64
    }

    /// Bytes of one [`Self::piece`].
    pub fn piece_bytes(&self, frames: usize) -> usize {
        self.piece(frames).iter().product::<usize>() * self.dtype.size()
    }

    /// Frames that a server decodes for frames `from..to` of the array: whole parts, up to the end of the array.
    pub fn decoded_frames(&self, from: usize, to: usize) -> usize {
        let part = self.parts[0];
        to.div_ceil(part).saturating_mul(part).min(self.shape[0].max(to)) - from / part * part
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(chunks: [usize; 3], parts: [usize; 3]) -> ArrayLayout {
        ArrayLayout { shape: [1000, 2000, 2000], dtype: Dtype::Uint8, chunks, parts }
    }

    #[test]
    fn pieces_are_whole_parts_within_a_chunk() {
        let check = |chunks, parts, frames, expected| assert_eq!(layout(chunks, parts).piece(frames), expected, "{chunks:?} {parts:?}");
        // A compressed chunk is one piece.
        check([1000, 10, 10], [1000, 10, 10], 8, [1000, 10, 10]);
        check([1, 2000, 2000], [1, 2000, 2000], 8, [1, 2000, 2000]);
        // A piece of a shard has whole inner chunks.
        check([64, 2000, 2000], [1, 100, 100], 64, [4, 2000, 2000]);
        check([64, 2000, 2000], [1, 100, 100], 2, [2, 2000, 2000]);
        check([64, 200, 200], [8, 100, 100], 64, [64, 200, 200]);
        check([1000, 100, 100], [1000, 10, 10], 8, [1000, 100, 100]);
        check([1, 20_000, 2000], [1, 100, 100], 1, [1, 8300, 2000]);
        // A piece of an uncompressed chunk has whole frames.
        check([1000, 10, 10], [1, 10, 10], 8, [8, 10, 10]);
        check([1000, 2000, 2000], [1, 2000, 2000], 500, [4, 2000, 2000]);
    }

    #[test]
    fn decoded_frames_are_whole_parts() {
        let layout = layout([20, 2000, 2000], [20, 2000, 2000]);
        assert_eq!(layout.decoded_frames(0, 20), 20);
        assert_eq!(layout.decoded_frames(19, 21), 40);
        assert_eq!(layout.decoded_frames(985, 1000), 20);
    }
}
