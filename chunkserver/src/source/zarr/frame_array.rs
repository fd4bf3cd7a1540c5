//! The array itself: opened once, read in pieces.

use super::keys::Keys;
use super::metadata::Opened;
use super::pieces::{FrameBuffers, Piece, pieces};
use super::storage::{ChunkStorage, Expected};
use super::{Error, Frame, Transferred, metadata};
use crate::compute::Compute;
use api::geometry::FrameSpec;
use api::job::{self, ArrayLayout};
use futures_util::StreamExt as _;
use journal::Kind;
use std::ops::Range;
use std::sync::Arc;
use tokio::sync::Semaphore;
use zarrs::array::{Array, ArrayBytes, ArraySubset, CodecOptions};

/// Pieces of a group that wait for a permit at the same time.
const WAITING: usize = 1024;

/// An opened array of frames, (t, y, x).
#[derive(Debug)]
pub struct FrameArray {
    keys: Arc<Keys>,
    array: Array<()>,
    layout: ArrayLayout,
    /// Bytes of each stored chunk, if chunks are not compressed.
    stored: Option<u64>,
    /// Index of the job's first frame in the array.
    start: usize,
    /// Permits for fetching and decoding pieces.
    permits: Semaphore,
}

impl FrameArray {
    /// Reads the array's metadata. Later reads fetch and decode at most `concurrency` pieces at a time.
    ///
    /// # Errors
    /// When the array does not exist, or its metadata are not supported.
    pub async fn open(keys: Keys, concurrency: usize) -> Result<Self, Error> {
        let keys = Arc::new(keys);
        let Opened { array, layout, stored } = metadata::read(&keys).await?;
        Ok(Self { keys, array, layout, stored, start: 0, permits: Semaphore::new(concurrency.max(1)) })
    }

    /// Opens the array of `wanted` and compares it with the planned layout.
    ///
    /// # Errors
    /// As [`Self::open`], or when the array has changed.
    pub async fn open_known(keys: Keys, wanted: &job::Zarr, concurrency: usize) -> Result<Self, Error> {
        let mut array = Self::open(keys, concurrency).await?;
        array.start = wanted.start;
        if let Some(known) = wanted.layout {
            let same = |found: &ArrayLayout| (found.shape, found.dtype, found.chunks) == (known.shape, known.dtype, known.chunks);
            if !same(&array.layout) {
                return Err(Error::Changed { url: array.keys.shown() });
            }
            // The plan's memory is computed from these parts.
            array.layout.parts = known.parts;
        }
        Ok(array)
    }

    /// Shape, element type and chunks of the array.
    pub const fn layout(&self) -> ArrayLayout {
        self.layout
    }

    /// Shape and element type of a frame.
    pub const fn frame(&self) -> FrameSpec {
        let [_, height, width] = self.layout.shape;
        FrameSpec { height, width, dtype: self.layout.dtype }
    }

    /// Bytes received and retries since the last call.
    pub fn take_transferred(&self) -> Transferred {
        self.keys.take_transferred()
    }

    /// Reads frames `frames` of the array into `buffers`, whose previous content is overwritten. Calls `progress` after each piece. With `all`,
    /// continues after an error and returns all readable frames.
    ///
    /// # Errors
    /// Without `all`, the first error and the first frame that it affects.
    pub async fn read(
        self: &Arc<Self>,
        compute: &Compute,
        frames: Range<usize>,
        buffers: Vec<Vec<u8>>,
        all: bool,
        progress: impl Fn(),
    ) -> Result<Vec<Frame>, (usize, Arc<Error>)> {
        let buffers = Arc::new(FrameBuffers::new(&self.layout, frames.clone(), buffers));
        let work = pieces(&self.layout, frames).map(|piece| {
            let (this, buffers, read) = (Arc::clone(self), Arc::clone(&buffers), piece.clone());
            async move {
                // Fails only if the semaphore is closed, which never happens.
                let _permit = self.permits.acquire().await;
                let (frame, bytes) = (piece.first_frame().saturating_sub(self.start), piece.bytes(&self.layout));
                let reading = async move { this.read_piece(&read, &buffers, frame).await };
                let done = match self.keys.journal() {
                    Some(journal) => compute.drive(journal.stretches(Kind::Decode, frame, bytes, reading)).await,
                    None => compute.drive(reading).await,
                };
                let lost = || Error::Lost { url: self.keys.shown(), chunk: self.chunk_name(&piece) };
                done.unwrap_or_else(|| Err(lost())).map_err(|error| (piece, error))
            }
        });
        // Further pieces would only wait for permits.
        let mut work = std::pin::pin!(futures_util::stream::iter(work).buffer_unordered(WAITING));
        while let Some(read) = work.next().await {
            progress();
            if let Err((piece, error)) = read {
                let error = Arc::new(error);
                if !all {
                    return Err((piece.first_frame(), error));
                }
                buffers.fail(&piece, &error);
            }
        }
        Ok(buffers.frames())
    }

    /// Fetches and decodes a piece and copies it into its frames. `frame` is the first frame of the job that needs the piece.
    async fn read_piece(&self, piece: &Piece, buffers: &FrameBuffers, frame: usize) -> Result<(), Error> {
        // Codecs that do not compress may add to a chunk; the index of a shard does.
        let largest = self.layout.chunk_bytes().saturating_mul(2).saturating_add(metadata::DOCUMENT);
        let expected = Expected { frame, stored: self.stored, largest };
        let storage = Arc::new(ChunkStorage::new(Arc::clone(&self.keys), expected));
        let array = self.array.with_storage(Arc::clone(&storage));
        // One thread for each piece: the pool decodes other pieces in parallel.
        let options = CodecOptions::default().with_concurrent_target(1);
        let bytes: Result<ArrayBytes<'static>, _> = if piece.is_whole(&self.layout) {
            array.async_retrieve_chunk_opt(&piece.chunk, &options).await
        } else {
            let within = ArraySubset::new_with_ranges(&piece.within.clone().map(|range| range.start as u64..range.end as u64));
            array.async_retrieve_chunk_subset_opt(&piece.chunk, &within, &options).await
        };
        let wrong = |message: String| Error::Decode { url: self.keys.shown(), chunk: self.chunk_name(piece), message };
        let bytes = match bytes {
            Ok(bytes) => bytes.into_fixed().map_err(|error| wrong(error.to_string()))?,
            // The source's error is more precise than the decoder's.
            Err(error) => return Err(storage.failure().map_or_else(|| wrong(error.to_string()), Error::Fetch)),
        };
        buffers.put(piece, &bytes).ok_or_else(|| wrong(format!("it has {} bytes", bytes.len())))
    }

    fn chunk_name(&self, piece: &Piece) -> String {
        self.array.chunk_key(&piece.chunk).to_string()
    }
}
