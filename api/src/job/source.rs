//! Where frames come from: images or volumes behind URLs, or an array of a Zarr store.

use crate::geometry::Dtype;
use serde::{Deserialize, Serialize};

/// Frames decoded and reduced in one pass.
pub const GROUP: usize = 8;
/// Bytes of a piece that are aimed at: large enough for few requests, small enough for several at once.
const PIECE_BYTES: usize = 16 << 20;

/// Where frames come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Source {
    /// One image, or some raw frames, behind each URL.
    Images(Images),
    /// An array of a Zarr store.
    Zarr(Zarr),
}

impl Source {
    /// Frames of one response that carries several: 1 but for a volume.
    pub const fn depth(&self) -> usize {
        match self {
            Self::Images(images) => images.depth,
            Self::Zarr(_) => 1,
        }
    }

    /// Headers sent with each request.
    pub fn headers(&self) -> &[(String, String)] {
        match self {
            Self::Images(images) => &images.headers,
            Self::Zarr(_) => &[],
        }
    }
}

/// One image, or some raw frames, behind each URL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Images {
    /// The URL with its placeholders; see [`crate::template::Template`].
    pub url_template: String,
    /// Index of the first frame.
    pub start: i64,
    /// From one frame's index to the next.
    pub step: i64,
    /// Frames in one response: 1 for images, more for a volume.
    pub depth: usize,
    /// What colour images become.
    pub color: Color,
    /// Headers sent with each request.
    pub headers: Vec<(String, String)>,
}

impl Images {
    /// Frames that are fetched together: one pass's, or those of one response of a volume.
    pub const fn group(&self) -> usize {
        if self.depth > 1 { self.depth } else { GROUP }
    }

    /// The index that the URL of frame `frame` carries; for a volume, of the response that holds it.
    pub fn index(&self, frame: usize) -> i64 {
        self.start + (frame - frame % self.depth) as i64 * self.step
    }
}

/// What colour images become.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Color {
    /// They are an error.
    #[default]
    Refuse,
    /// ITU-R 601 luminance.
    Luminance,
}

/// An array of a Zarr store, axes (t, y, x).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Zarr {
    /// The store, or the array itself.
    pub url: String,
    /// The array's path in the store; empty for the store's own.
    pub array: String,
    /// Index along axis 0 of the job's first frame.
    pub start: usize,
    /// How the array lies in the store; `None` before anybody has looked.
    pub layout: Option<ArrayLayout>,
}

/// How an array lies in chunks, as its metadata say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArrayLayout {
    /// The array's shape.
    pub shape: [usize; 3],
    /// Its element type.
    pub dtype: Dtype,
    /// Shape of a chunk: what one key of the store holds.
    pub chunks: [usize; 3],
    /// Shape of the smallest part of a chunk that can be read without the rest: an inner chunk of a shard, a frame of a chunk
    /// that is not compressed; else the chunk.
    pub parts: [usize; 3],
}

impl ArrayLayout {
    /// Shape of what is read and decoded at a time where `frames` frames are wanted: whole parts, several where they are small.
    pub fn piece(&self, frames: usize) -> [usize; 3] {
        let frames = frames.min(self.chunks[0]).next_multiple_of(self.parts[0]).min(self.chunks[0]);
        let most = [frames, self.chunks[1], self.chunks[2]];
        let mut piece = self.parts;
        // x first, whose neighbours lie next to each other.
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

    /// Bytes of one [`Self::piece`].
    pub fn piece_bytes(&self, frames: usize) -> usize {
        self.piece(frames).iter().product::<usize>() * self.dtype.size()
    }

    /// Frames that have to be decoded for frames `from..to` of the array: whole parts, as far as the array goes.
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
        // What cannot be read apart is read whole.
        check([1000, 10, 10], [1000, 10, 10], 8, [1000, 10, 10]);
        check([1, 2000, 2000], [1, 2000, 2000], 8, [1, 2000, 2000]);
        // Shards, by inner chunks.
        check([64, 2000, 2000], [1, 100, 100], 64, [4, 2000, 2000]);
        check([64, 2000, 2000], [1, 100, 100], 2, [2, 2000, 2000]);
        check([64, 200, 200], [8, 100, 100], 64, [64, 200, 200]);
        check([1000, 100, 100], [1000, 10, 10], 8, [1000, 100, 100]);
        check([1, 20_000, 2000], [1, 100, 100], 1, [1, 8300, 2000]);
        // Uncompressed ones, by frames.
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
