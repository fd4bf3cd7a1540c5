//! Reads frames from an array of a Zarr store, versions 2 and 3 (<https://zarr-specs.readthedocs.io>), axes (t, y, x).
//!
//! A missing key means the array's fill value, as in the Zarr specification. A store that refuses, fails or does not respond is an error after
//! the retries of the source, never a fill value. Requests run on the source's runtime; decoding runs on the compute pool.

mod keys;
mod metadata;
mod pieces;
#[cfg(test)]
pub(crate) mod tests;

pub use keys::{Keys, Transferred};

use crate::compute::Compute;
use crate::source;
use api::geometry::FrameSpec;
use api::job::{self, ArrayLayout};
use api::phase::reason;
use futures_util::StreamExt as _;
use journal::Kind;
use keys::ChunkStorage;
use pieces::{FrameBuffers, Piece, pieces};
use std::ops::Range;
use std::sync::Arc;
use thiserror::Error;
use tokio::sync::Semaphore;
use zarrs::array::{Array, ArrayBytes, ArraySubset, CodecOptions};

/// Pieces of a group that wait for a permit at the same time.
const WAITING: usize = 1024;

/// Why an array cannot be opened, or frames cannot be read.
#[derive(Debug, Error)]
pub enum Error {
    /// The store cannot be opened.
    #[error("cannot open the store")]
    Store(#[from] crate::objects::Error),
    /// A key cannot be fetched.
    #[error("cannot read the store")]
    Fetch(#[from] Arc<source::Error>),
    /// No metadata of either version.
    #[error("{url} is not a Zarr array: it has neither zarr.json nor .zarray; check source.zarr.url and array")]
    Absent {
        /// The array's URL.
        url: String,
    },
    /// A group where an array is needed.
    #[error("{url} is a group of a Zarr store; {advice}")]
    Group {
        /// The group's URL.
        url: String,
        /// The arrays of the group, as far as its metadata list them.
        advice: String,
    },
    /// Metadata that are not valid or not supported.
    #[error("cannot use the metadata of {url}: {message}")]
    Metadata {
        /// The array's URL.
        url: String,
        /// The reason.
        message: String,
    },
    /// A chunk that cannot be decoded.
    #[error("cannot decode chunk {chunk} of {url}: {message}")]
    Decode {
        /// The array's URL.
        url: String,
        /// The chunk's key.
        chunk: String,
        /// The reason.
        message: String,
    },
    /// The array differs from the planned array.
    #[error("{url} has changed since the job was planned; start the job again")]
    Changed {
        /// The array's URL.
        url: String,
    },
    /// The decoder panicked. The panic is already printed.
    #[error("the decoder panicked at chunk {chunk} of {url}: the chunk is damaged, or ArrayJob has a bug; see the server's log")]
    Lost {
        /// The array's URL.
        url: String,
        /// The chunk's key.
        chunk: String,
    },
}

impl Error {
    /// The reason for programs, one of [`api::phase::reason`].
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Fetch(_) | Self::Absent { .. } | Self::Changed { .. } => reason::SOURCE_UNAVAILABLE,
            Self::Store(_) | Self::Group { .. } | Self::Metadata { .. } => reason::INVALID_SPEC,
            Self::Decode { .. } | Self::Lost { .. } => reason::CHUNK_DECODE_FAILED,
        }
    }
}

/// An opened array of frames, (t, y, x).
#[derive(Debug)]
pub struct FrameArray {
    keys: Arc<Keys>,
    array: Array<()>,
    layout: ArrayLayout,
    /// Index of the job's first frame in the array.
    start: usize,
    /// Permits for fetching and decoding pieces.
    permits: Semaphore,
}

/// The pixels of a frame, or the error. Several frames may share one error.
pub type Frame = Result<Vec<u8>, Arc<Error>>;

impl FrameArray {
    /// Reads the array's metadata. Later reads fetch and decode at most `concurrency` pieces at a time.
    ///
    /// # Errors
    /// When the array does not exist, or its metadata are not supported.
    pub async fn open(keys: Keys, concurrency: usize) -> Result<Self, Error> {
        let keys = Arc::new(keys);
        let (array, layout) = metadata::read(&keys).await?;
        Ok(Self { keys, array, layout, start: 0, permits: Semaphore::new(concurrency.max(1)) })
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
        let storage = Arc::new(ChunkStorage::new(Arc::clone(&self.keys), frame));
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
