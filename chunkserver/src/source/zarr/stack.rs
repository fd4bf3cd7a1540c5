//! The array itself: opened once, read in pieces.

use super::keys::{Keys, View};
use super::pieces::{Canvas, Piece, pieces};
use super::{Error, Frame, Taken, metadata};
use crate::compute::Compute;
use api::geometry::FrameSpec;
use api::job::{self, ArrayLayout};
use futures_util::StreamExt as _;
use journal::Kind;
use std::ops::Range;
use std::sync::Arc;
use tokio::sync::Semaphore;
use zarrs::array::{Array, ArrayBytes, ArraySubset, CodecOptions};

/// Pieces of a group that wait for their turn; the others are not even asked yet.
const WAITING: usize = 1024;

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
