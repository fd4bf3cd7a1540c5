//! The frames of a server, in memory or on the scratch disk.

use super::shared::Shared;
use super::{BlockLayout, Blocks, Error, Slots};
use std::ops::Range;
use std::path::Path;

/// One store of frames.
#[derive(Debug)]
pub enum Frames {
    /// Frames one after another in memory.
    Memory(Slots),
    /// Frames in blocks of a scratch file.
    Disk(Blocks),
}

impl Frames {
    /// Reserves the space of all frames of `layout`: in memory, or with `buffers` buffers in the folder `scratch`.
    ///
    /// # Errors
    /// When the system refuses the memory, the disk space or a thread.
    pub fn new(layout: BlockLayout, buffers: usize, scratch: Option<&Path>) -> Result<Self, Error> {
        match scratch.filter(|_| layout.frames > 0) {
            Some(folder) => Blocks::new(layout, buffers, folder).map(Self::Disk),
            None => Slots::new(layout.frames * layout.frame_bytes, layout.frame_bytes, None).map(Self::Memory),
        }
    }

    /// The frames, if they are in memory.
    pub const fn memory(&self) -> Option<&Slots> {
        match self {
            Self::Memory(slots) => Some(slots),
            Self::Disk(_) => None,
        }
    }

    /// The frames, if they are on disk.
    pub const fn disk(&self) -> Option<&Blocks> {
        match self {
            Self::Memory(_) => None,
            Self::Disk(blocks) => Some(blocks),
        }
    }

    fn shared(&self) -> &Shared {
        match self {
            Self::Memory(slots) => slots.shared(),
            Self::Disk(blocks) => blocks.shared(),
        }
    }

    /// Number of frames.
    pub fn count(&self) -> usize {
        self.shared().states.count()
    }

    /// Number of frames that can be read.
    pub fn ready_count(&self) -> usize {
        self.shared().states.ready_count()
    }

    /// Whether all of `frames` can be read.
    pub fn all_ready(&self, frames: &Range<usize>) -> bool {
        self.shared().states.all_ready(frames)
    }

    /// Waits until all of `frames` can be read.
    pub async fn until_ready(&self, frames: Range<usize>) {
        self.shared().until_ready(frames).await;
    }
}
