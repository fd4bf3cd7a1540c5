//! Frames on the scratch disk, in blocks of consecutive frames. Within a block, frames are cut into bands, and the rows of one band lie one after
//! another: a band of all frames is read in few long runs, and a block is written in one. Both bypass the page cache where the file system
//! permits ([`direct`](super::direct)).

mod layout;
mod pieces;
mod read;
#[cfg(all(test, not(feature = "loom")))]
mod tests;

pub use layout::BlockLayout;
pub use pieces::READ_BYTES;
pub use read::{READ_BUFFERS, ReadBuffer};

use super::Error;
use super::direct::{Buffer, Write, Writer};
use super::mapping::scratch_file;
use super::shared::Shared;
use read::ReadBuffers;
use std::collections::HashMap;
use std::fs::File;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The frames of a server. A frame is written once, through a buffer that holds its whole block, and is ready after the write of the block.
#[derive(Debug)]
pub struct Blocks {
    layout: BlockLayout,
    file: File,
    writer: Writer,
    shared: Arc<Shared>,
    /// Blocks that wait for frames.
    open: Mutex<HashMap<usize, Arc<Mutex<Open>>>>,
    /// Buffers for blocks. A tokio mutex gives the buffers in the order of requests.
    free: tokio::sync::Mutex<Arc<Semaphore>>,
    read_buffers: ReadBuffers,
}

/// A block that waits for frames.
#[derive(Debug)]
struct Open {
    buffer: Option<Buffer>,
    /// Frames that are missing.
    missing: usize,
    permit: Option<OwnedSemaphorePermit>,
}

impl Blocks {
    /// Reserves the disk space of all frames of `layout` in `folder`, and `buffers` buffers: at least as many as the blocks that one call of
    /// [`admit`](Self::admit) needs.
    ///
    /// # Errors
    /// When the system refuses the memory, the disk space or a thread.
    pub fn new(layout: BlockLayout, buffers: usize, folder: &Path) -> Result<Self, Error> {
        let bytes = layout.file_bytes();
        let file = scratch_file(bytes, folder)?;
        let of_thread = file.try_clone().map_err(|source| Error::Scratch { bytes, folder: folder.to_owned(), source })?;
        let writer = Writer::new(of_thread, buffers, layout.block_bytes())?;
        let free = tokio::sync::Mutex::new(Arc::new(Semaphore::new(buffers)));
        Ok(Self {
            layout,
            file,
            writer,
            shared: Shared::new(layout.frames),
            open: Mutex::default(),
            free,
            read_buffers: ReadBuffers::default(),
        })
    }

    /// The states of the frames.
    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Waits for buffers of the blocks of `frames`. Each frame must be admitted before [`put`](Self::put). Callers never
    /// wait for each other if all frames that they admit at a time have buffers, or if they admit frames in order.
    pub async fn admit(&self, frames: Range<usize>) {
        let free = self.free.lock().await;
        for block in self.layout.blocks_of(&frames) {
            if self.is_open(block) {
                continue;
            }
            // Fails only if the semaphore is closed, which never happens.
            let permit = Arc::clone(&free).acquire_owned().await.ok();
            let open = Open { buffer: None, missing: self.layout.frames_of(block).len(), permit };
            self.lock_open().insert(block, Arc::new(Mutex::new(open)));
        }
    }

    fn lock_open(&self) -> std::sync::MutexGuard<'_, HashMap<usize, Arc<Mutex<Open>>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the block has a buffer, or had one.
    fn is_open(&self, block: usize) -> bool {
        self.lock_open().contains_key(&block) || self.shared.states.is_begun(self.layout.frames_of(block).start)
    }

    /// Copies a frame to its block. The last frame of a block starts the write of the block.
    ///
    /// # Errors
    /// When an earlier write failed, or the frame is already written or not admitted: a bug of the caller.
    pub fn put(&self, frame: usize, bytes: &[u8]) -> Result<(), Error> {
        self.shared.check()?;
        let block = self.layout.block_of(frame);
        let refused = Error::FrameRefused { frame };
        let Some(open) = self.lock_open().get(&block).cloned() else { return Err(refused) };
        if bytes.len() != self.layout.frame_bytes || !self.shared.states.begin(frame) {
            return Err(refused);
        }
        let mut open = open.lock().unwrap_or_else(PoisonError::into_inner);
        let buffer = open.buffer.get_or_insert_with(|| self.writer.buffer());
        self.layout.scatter(frame, bytes, buffer.as_mut_slice());
        open.missing -= 1;
        if open.missing == 0 {
            self.lock_open().remove(&block);
            if let Some(buffer) = open.buffer.take() {
                self.write(block, buffer, open.permit.take());
            }
        }
        Ok(())
    }

    fn write(&self, block: usize, buffer: Buffer, permit: Option<OwnedSemaphorePermit>) {
        let (shared, frames) = (Arc::clone(&self.shared), self.layout.frames_of(block));
        let done = Box::new(move |result: std::io::Result<()>| {
            match result {
                Ok(()) => shared.finish(frames),
                Err(error) => shared.fail(error),
            }
            drop(permit);
        });
        self.writer.write(Write { buffer, bytes: self.layout.written_bytes(block), offset: self.layout.offset_of(block), done });
    }

    /// Waits until more than `ready` frames are ready, or all. Returns their number.
    ///
    /// # Errors
    /// When a write failed.
    pub async fn until_more(&self, ready: usize) -> Result<usize, Error> {
        let found = || {
            let now = self.shared.states.ready_count();
            if now > ready || now == self.layout.frames { Some(Ok(now)) } else { self.shared.check().err().map(Err) }
        };
        self.shared.until(found).await
    }
}
