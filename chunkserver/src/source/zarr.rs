//! The URL of a Zarr store comes in, frames of one of its arrays go out. Versions 2 and 3, axes (t, y, x).
//!
//! What a store has no key for is the array's fill value: that is how Zarr stores say it. A store that refuses, fails or is silent
//! is an error after as many attempts as any source gets, never a fill value. Requests run where the source's run, decoding runs on
//! the compute pool.

mod keys;
mod metadata;
mod pieces;
#[cfg(test)]
pub(crate) mod tests;

pub use keys::{Keys, Taken};

use crate::compute::Compute;
use crate::source;
use api::geometry::FrameSpec;
use api::job::{self, ArrayLayout};
use api::phase::reason;
use futures_util::StreamExt as _;
use journal::Kind;
use keys::View;
use pieces::{Canvas, Piece, pieces};
use std::ops::Range;
use std::sync::Arc;
use thiserror::Error;
use tokio::sync::Semaphore;
use zarrs::array::{Array, ArrayBytes, ArraySubset, CodecOptions};

/// Pieces of a group that wait for their turn; the others are not even asked yet.
const WAITING: usize = 1024;

/// Why there is no such array, or not these frames of it.
#[derive(Debug, Error)]
pub enum Error {
    /// The store cannot be opened.
    #[error("the store cannot be opened")]
    Store(#[from] crate::objects::Error),
    /// A key cannot be had.
    #[error("the store cannot be read")]
    Fetch(#[from] Arc<source::Error>),
    /// Neither version's metadata are there.
    #[error("{place} is no Zarr array: it has neither zarr.json nor .zarray; check source.zarr.url and array")]
    Absent {
        /// The array's URL.
        place: String,
    },
    /// A group where an array is needed.
    #[error("{place} is a group of a Zarr store; {advice}")]
    Group {
        /// Its URL.
        place: String,
        /// Which arrays there are, as far as its metadata say.
        advice: String,
    },
    /// Metadata that cannot be understood.
    #[error("the metadata of {place} cannot be used: {what}")]
    Metadata {
        /// The array's URL.
        place: String,
        /// Why.
        what: String,
    },
    /// A chunk that cannot be decoded.
    #[error("chunk {chunk} of {place} cannot be decoded: {what}")]
    Decode {
        /// The array's URL.
        place: String,
        /// The chunk's key.
        chunk: String,
        /// Why.
        what: String,
    },
    /// The array is not what was planned for.
    #[error("{place} has changed since it was looked at; start the job again")]
    Changed {
        /// The array's URL.
        place: String,
    },
    /// A panic, which is printed where it happens.
    #[error("chunk {chunk} of {place} made the decoder fail: it is damaged, or there is a bug of ours; the server's log has it")]
    Lost {
        /// The array's URL.
        place: String,
        /// The chunk's key.
        chunk: String,
    },
}

impl Error {
    /// The machine's word for it, as in [`api::phase::reason`].
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Fetch(_) | Self::Absent { .. } | Self::Changed { .. } => reason::SOURCE_UNAVAILABLE,
            Self::Store(_) | Self::Group { .. } | Self::Metadata { .. } => reason::INVALID_SPEC,
            Self::Decode { .. } | Self::Lost { .. } => reason::CHUNK_DECODE_FAILED,
        }
    }
}

/// An array that has been opened.
#[derive(Debug)]
pub struct Stack {
    keys: Arc<Keys>,
    array: Array<()>,
    layout: ArrayLayout,
    /// The job's first frame, as the array counts them.
    start: usize,
    /// The right to have a piece in hand.
    turns: Semaphore,
}

/// A frame's pixels, or why there are none. One error may be that of many frames.
pub type Frame = Result<Vec<u8>, Arc<Error>>;

impl Stack {
    /// Reads the array's metadata; `at_a_time` pieces of it will be fetched and decoded at a time.
    ///
    /// # Errors
    /// When there is no such array, or it cannot be read here.
    pub async fn open(keys: Keys, at_a_time: usize) -> Result<Self, Error> {
        let keys = Arc::new(keys);
        let (array, layout) = metadata::read(&keys).await?;
        Ok(Self { keys, array, layout, start: 0, turns: Semaphore::new(at_a_time.max(1)) })
    }

    /// Opens the array of `wanted`, and holds it to what is known of it.
    ///
    /// # Errors
    /// As [`Self::open`], or when it is another one now.
    pub async fn open_known(keys: Keys, wanted: &job::Zarr, at_a_time: usize) -> Result<Self, Error> {
        let mut stack = Self::open(keys, at_a_time).await?;
        stack.start = wanted.start;
        if let Some(known) = wanted.layout {
            let same = |found: &ArrayLayout| (found.shape, found.dtype, found.chunks) == (known.shape, known.dtype, known.chunks);
            if !same(&stack.layout) {
                return Err(Error::Changed { place: stack.keys.shown() });
            }
            // The plan's memory was reckoned by these.
            stack.layout.parts = known.parts;
        }
        Ok(stack)
    }

    /// How the array lies in its store.
    pub const fn layout(&self) -> ArrayLayout {
        self.layout
    }

    /// What a frame is.
    pub const fn frame(&self) -> FrameSpec {
        let [_, height, width] = self.layout.shape;
        FrameSpec { height, width, dtype: self.layout.dtype }
    }

    /// What has crossed the wire since the last call.
    pub fn taken(&self) -> Taken {
        self.keys.taken()
    }

    /// Reads frames `frames` of the array, each into one of `buffers`, whose former content is lost. `progress` is called after each
    /// piece. With `all`, every frame that can be had is.
    ///
    /// # Errors
    /// Without `all`, the first error, and a frame that it concerns.
    pub async fn read(
        self: &Arc<Self>,
        compute: &Compute,
        frames: Range<usize>,
        buffers: Vec<Vec<u8>>,
        all: bool,
        progress: impl Fn(),
    ) -> Result<Vec<Frame>, (usize, Arc<Error>)> {
        let canvas = Arc::new(Canvas::new(&self.layout, frames.clone(), buffers));
        let work = pieces(&self.layout, frames).map(|piece| {
            let (stack, canvas, drawn) = (Arc::clone(self), Arc::clone(&canvas), piece.clone());
            async move {
                // It fails only when closed, which nobody does.
                let _turn = self.turns.acquire().await;
                let (frame, bytes) = (piece.first_frame().saturating_sub(self.start), piece.bytes(&self.layout));
                let drawing = async move { stack.draw(&drawn, &canvas, frame).await };
                let done = match self.keys.journal() {
                    Some(journal) => compute.drive(journal.stretches(Kind::Decode, frame, bytes, drawing)).await,
                    None => compute.drive(drawing).await,
                };
                let lost = || Error::Lost { place: self.keys.shown(), chunk: self.chunk_name(&piece) };
                done.unwrap_or_else(|| Err(lost())).map_err(|error| (piece, error))
            }
        });
        // More would only wait for their turn.
        let mut work = std::pin::pin!(futures_util::stream::iter(work).buffer_unordered(WAITING));
        while let Some(drawn) = work.next().await {
            progress();
            if let Err((piece, error)) = drawn {
                let error = Arc::new(error);
                if !all {
                    return Err((piece.first_frame(), error));
                }
                canvas.spoil(&piece, &error);
            }
        }
        Ok(canvas.frames())
    }

    /// Fetches and decodes a piece, which the job needs from frame `frame` on, and puts it into its frames.
    async fn draw(&self, piece: &Piece, canvas: &Canvas, frame: usize) -> Result<(), Error> {
        let view = Arc::new(View::new(Arc::clone(&self.keys), frame));
        let array = self.array.with_storage(Arc::clone(&view));
        // One stretch of work is one thread's: the pool has others for other pieces.
        let options = CodecOptions::default().with_concurrent_target(1);
        let bytes: Result<ArrayBytes<'static>, _> = if piece.is_whole(&self.layout) {
            array.async_retrieve_chunk_opt(&piece.chunk, &options).await
        } else {
            let within = ArraySubset::new_with_ranges(&piece.within.clone().map(|range| range.start as u64..range.end as u64));
            array.async_retrieve_chunk_subset_opt(&piece.chunk, &within, &options).await
        };
        let wrong = |what: String| Error::Decode { place: self.keys.shown(), chunk: self.chunk_name(piece), what };
        let bytes = match bytes {
            Ok(bytes) => bytes.into_fixed().map_err(|error| wrong(error.to_string()))?,
            // The decoder passes on in its own words what the source said in better ones.
            Err(error) => return Err(view.failure().map_or_else(|| wrong(error.to_string()), Error::Fetch)),
        };
        canvas.put(piece, &bytes).ok_or_else(|| wrong(format!("it has {} bytes", bytes.len())))
    }

    fn chunk_name(&self, piece: &Piece) -> String {
        self.array.chunk_key(&piece.chunk).to_string()
    }
}
