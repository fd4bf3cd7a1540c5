//! The URL of a Zarr store comes in, frames of one of its arrays go out. Versions 2 and 3, axes (t, y, x).
//!
//! What a store has no key for is the array's fill value: that is how Zarr stores say it. A store that refuses, fails or is silent
//! is an error after as many attempts as any source gets, never a fill value. Requests run where the source's run, decoding runs on
//! the compute pool.

#[cfg(feature = "zarr")]
mod keys;
#[cfg(feature = "zarr")]
mod metadata;
#[cfg(feature = "zarr")]
mod pieces;
#[cfg(feature = "zarr")]
mod stack;
#[cfg(feature = "zarr")]
#[cfg(test)]
pub(crate) mod tests;
#[cfg(not(feature = "zarr"))]
mod without;

#[cfg(not(feature = "zarr"))]
pub use without::{Keys, Stack};
#[cfg(feature = "zarr")]
pub use {keys::Keys, stack::Stack};

use crate::source;
use api::phase::reason;
use std::sync::Arc;
use thiserror::Error;

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
    /// The program has no decoder of Zarr arrays.
    #[error("this program is built without source.zarr; cargo install --path cli installs all of it")]
    NotBuilt,
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
            Self::Store(_) | Self::Group { .. } | Self::Metadata { .. } | Self::NotBuilt => reason::INVALID_SPEC,
            Self::Decode { .. } | Self::Lost { .. } => reason::CHUNK_DECODE_FAILED,
        }
    }
}

/// What has crossed the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Bytes of all bodies.
    pub bytes: u64,
    /// Attempts beyond the first.
    pub retries: u64,
}

/// A frame's pixels, or why there are none. One error may be that of many frames.
pub type Frame = Result<Vec<u8>, Arc<Error>>;
