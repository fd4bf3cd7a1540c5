//! The memory of a server: mappings that are allocated once and cut into slots. A slot is written once and then read by many threads.
//!
//! [`Mapping`] reserves memory or disk space. [`Slots`] cuts a mapping and decides which thread may write or read a slot. [`SlotStream`] writes a
//! slot piece by piece. [`Frames`] are slots in memory, or [`Blocks`] on the scratch disk.

mod blocks;
mod direct;
mod frames;
mod mapping;
mod reserve;
mod shared;
mod slots;
mod states;

pub use blocks::{BlockLayout, Blocks, READ_BUFFERS, READ_BYTES, ReadBuffer};
pub use direct::ALIGNMENT;
pub use frames::Frames;
pub use mapping::Mapping;
pub use slots::{SlotStream, SlotWriter, Slots};

use std::path::PathBuf;
use thiserror::Error;

/// Why there is no memory for pixels.
#[derive(Debug, Error)]
pub enum Error {
    /// The system refuses the memory.
    #[error("cannot map {bytes} bytes of memory")]
    Map {
        /// Size of the mapping.
        bytes: usize,
        /// The error of the system.
        #[source]
        source: std::io::Error,
    },
    /// The file system of the scratch folder has too little free space.
    #[error(
        "the scratch disk is full: {bytes} bytes are needed in {}, {available} are free; free space there, use a larger disk, or keep fewer arrays",
        folder.display()
    )]
    DiskFull {
        /// Size of the file.
        bytes: u64,
        /// Free space of the file system, in bytes.
        available: u64,
        /// The scratch folder.
        folder: PathBuf,
    },
    /// The limit on the size of a file is too low for the scratch file.
    #[error(
        "a scratch file of {bytes} bytes is needed in {}, and the limit on the size of a file is {limit} bytes; raise the limit (ulimit -f), \
         use more servers, or keep fewer arrays",
        folder.display()
    )]
    FileSizeLimit {
        /// Size of the file.
        bytes: u64,
        /// The limit, in bytes.
        limit: u64,
        /// The scratch folder.
        folder: PathBuf,
    },
    /// The scratch disk refuses a write.
    #[error("cannot write to a scratch file; check that the disk works")]
    Write(#[source] std::io::Error),
    /// The scratch disk refuses a read.
    #[error("cannot read from a scratch file; check that the disk works")]
    Read(#[source] std::io::Error),
    /// A frame that is written a second time, or without a buffer for its block.
    #[error("a bug of ArrayJob: the scratch file refuses frame {frame} of this server; please report it with the server's log")]
    FrameRefused {
        /// The frame, counted from the first frame of the store.
        frame: usize,
    },
    /// The system refuses a thread for writes to a scratch file.
    #[error("cannot start a thread that writes a scratch file")]
    Thread(#[source] std::io::Error),
    /// The scratch folder refuses the file.
    #[error("cannot create a scratch file of {bytes} bytes in {}", folder.display())]
    Scratch {
        /// Size of the file.
        bytes: usize,
        /// The scratch folder.
        folder: PathBuf,
        /// The error of the system.
        #[source]
        source: std::io::Error,
    },
}

impl Error {
    /// The error of a write that several streams report.
    fn of_write(error: &std::io::Error) -> Self {
        let copy =
            error.raw_os_error().map_or_else(|| std::io::Error::new(error.kind(), error.to_string()), std::io::Error::from_raw_os_error);
        Self::Write(copy)
    }
}
