//! Splits a range of frames into pieces of chunks, and assembles the frames from decoded pieces.

use super::{Error, Frame};
use api::job::ArrayLayout;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A unit of fetching and decoding: a chunk or a part of a chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// The chunk's index (t, y, x).
    pub(super) chunk: [u64; 3],
    /// The part of the chunk, in coordinates of the chunk.
    pub(super) within: [Range<usize>; 3],
    /// The chunk's first element, in coordinates of the array.
    origin: [usize; 3],
    /// The frames that need the piece, in coordinates of the array.
    frames: Range<usize>,
}

impl Piece {
    /// Whether the piece is a whole chunk.
    pub(super) fn is_whole(&self, layout: &ArrayLayout) -> bool {
        self.within.iter().zip(layout.chunks).all(|(range, chunk)| *range == (0..chunk))
    }

    /// Decoded size, in bytes.
    pub(super) fn bytes(&self, layout: &ArrayLayout) -> u64 {
        self.within.iter().map(|range| range.len() as u64).product::<u64>() * layout.dtype.size() as u64
    }

    /// The first frame that needs the piece.
    pub(super) const fn first_frame(&self) -> usize {
        self.frames.start
    }
}

/// The pieces of frames `frames`, in C order.
pub(super) fn pieces(layout: &ArrayLayout, frames: Range<usize>) -> impl Iterator<Item = Piece> + use<> {
    let ArrayLayout { shape, chunks, parts, .. } = *layout;
    let piece = layout.piece(frames.len());
    // Along one axis: index of the chunk, and the pieces in coordinates of the chunk.
    let along = move |axis: usize, wanted: Range<usize>| {
        let size = chunks[axis];
        (wanted.start / size..wanted.end.div_ceil(size)).flat_map(move |chunk| {
            let end = (wanted.end - chunk * size).min(size);
            let start = wanted.start.saturating_sub(chunk * size) / parts[axis] * parts[axis];
            let step = piece[axis];
            // At the edge of the array, the piece extends to the end of the chunk, so that its bytes are consecutive.
            let limit = if wanted.end == shape[axis] { size } else { end.next_multiple_of(parts[axis]).min(size) };
            (start..end).step_by(step).map(move |from| (chunk, from..(from + step).min(limit)))
        })
    };
    let wanted = frames;
    along(0, wanted.clone()).flat_map(move |(t, in_t)| {
        let wanted = wanted.clone();
        along(1, 0..shape[1]).flat_map(move |(y, in_y)| {
            let (in_t, wanted) = (in_t.clone(), wanted.clone());
            along(2, 0..shape[2]).map(move |(x, in_x)| {
                let origin = [t * chunks[0], y * chunks[1], x * chunks[2]];
                let frames = (origin[0] + in_t.start).max(wanted.start)..(origin[0] + in_t.end).min(wanted.end);
                let mut within = [in_t.clone(), in_y.clone(), in_x];
                if within.iter().zip(chunks).any(|(range, chunk)| *range != (0..chunk)) {
                    within[0] = frames.start - origin[0]..frames.end - origin[0];
                }
                Piece { chunk: [t as u64, y as u64, x as u64], within, origin, frames }
            })
        })
    })
}

/// Frames that are being assembled. Each frame has a lock, because several threads write pieces.
pub(super) struct FrameBuffers {
    layout: ArrayLayout,
    first: usize,
    frames: Vec<Mutex<Frame>>,
}

impl FrameBuffers {
    /// Frames `frames` of the array. Uses the memory of `buffers`, and allocates if there are fewer buffers than frames.
    pub(super) fn new(layout: &ArrayLayout, frames: Range<usize>, buffers: Vec<Vec<u8>>) -> Self {
        let bytes = layout.shape[1] * layout.shape[2] * layout.dtype.size();
        let buffers = buffers.into_iter().chain(std::iter::repeat_with(Vec::new));
        let frame = |mut buffer: Vec<u8>| {
            buffer.resize(bytes, 0);
            Mutex::new(Ok(buffer))
        };
        Self { layout: *layout, first: frames.start, frames: buffers.take(frames.len()).map(frame).collect() }
    }

    fn frame(&self, frame: usize) -> MutexGuard<'_, Frame> {
        self.frames[frame - self.first].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Copies a decoded piece into its frames; `None` if the size is wrong.
    pub(super) fn put(&self, piece: &Piece, bytes: &[u8]) -> Option<()> {
        let size = self.layout.dtype.size();
        let [_, height, width] = self.layout.shape;
        let [in_t, in_y, in_x] = &piece.within;
        let (rows, row_bytes) = (in_y.len(), in_x.len() * size);
        if bytes.len() != in_t.len() * rows * row_bytes {
            return None;
        }
        let (top, left) = (piece.origin[1] + in_y.start, piece.origin[2] + in_x.start);
        let (rows_inside, bytes_inside) = (rows.min(height - top), (in_x.len().min(width - left)) * size);
        for frame in piece.frames.clone() {
            let at = frame - piece.origin[0] - in_t.start;
            let plane = &bytes[at * rows * row_bytes..][..rows * row_bytes];
            // A failed frame keeps its error.
            let mut target = self.frame(frame);
            let Ok(pixels) = target.as_mut() else { continue };
            for (row, from) in plane.chunks_exact(row_bytes).take(rows_inside).enumerate() {
                let to = ((top + row) * width + left) * size;
                pixels[to..to + bytes_inside].copy_from_slice(&from[..bytes_inside]);
            }
        }
        Some(())
    }

    /// Sets the error of every frame that needs this piece.
    pub(super) fn fail(&self, piece: &Piece, error: &Arc<Error>) {
        piece.frames.clone().for_each(|frame| *self.frame(frame) = Err(Arc::clone(error)));
    }

    /// Takes the frames after all pieces.
    pub(super) fn frames(&self) -> Vec<Frame> {
        self.frames
            .iter()
            .map(|frame| std::mem::replace(&mut *frame.lock().unwrap_or_else(PoisonError::into_inner), Ok(Vec::new())))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::geometry::Dtype;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_pixel_is_copied_once_from_its_own_position(
            shape in [1usize..12, 1usize..9, 1usize..9], chunks in [1usize..14, 1usize..10, 1usize..10], parts in [1usize..4, 1usize..4, 1usize..4],
            from in 0usize..12, length in 1usize..12,
        ) {
            // Parts must divide chunks.
            let parts = [0, 1, 2].map(|axis| if chunks[axis].is_multiple_of(parts[axis]) { parts[axis] } else { chunks[axis] });
            let layout = ArrayLayout { shape, dtype: Dtype::Uint8, chunks, parts };
            let from = from % shape[0];
            let frames = from..(from + length).min(shape[0]);
            let value = |t: usize, y: usize, x: usize| (t * 81 + y * 9 + x) as u8;
            let buffers = FrameBuffers::new(&layout, frames.clone(), vec![vec![7; 3]]);
            let mut times = vec![0; shape.iter().product()];
            for piece in pieces(&layout, frames.clone()) {
                let [t, y, x] = piece.within.clone();
                let mut bytes = Vec::new();
                for t in t.clone() {
                    for y in y.clone() {
                        for x in x.clone() {
                            let [t, y, x] = [t + piece.origin[0], y + piece.origin[1], x + piece.origin[2]];
                            bytes.push(value(t, y, x));
                            if piece.frames.contains(&t) && y < shape[1] && x < shape[2] {
                                times[(t * shape[1] + y) * shape[2] + x] += 1;
                            }
                        }
                    }
                }
                prop_assert!(buffers.put(&piece, &bytes).is_some());
                prop_assert!(buffers.put(&piece, &bytes[1..]).is_none());
            }
            let pixels = shape[1] * shape[2];
            prop_assert!(times[frames.start * pixels..frames.end * pixels].iter().all(|&times| times == 1));
            for (frame, found) in frames.zip(buffers.frames()) {
                let expected: Vec<u8> = (0..pixels).map(|pixel| value(frame, pixel / shape[2], pixel % shape[2])).collect();
                prop_assert_eq!(found.unwrap(), expected);
            }
        }
    }
}
