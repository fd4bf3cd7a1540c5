//! Reads frames from an array of a Zarr store, versions 2 and 3 (<https://zarr-specs.readthedocs.io>), axes (t, y, x).
//!
//! A missing key means the array's fill value, as in the Zarr specification. A store that refuses, fails or does not respond is an error after
//! the retries of the source, never a fill value. Requests run on the source's runtime; decoding runs on the compute pool.

#[cfg(feature = "zarr")]
mod codecs;
#[cfg(feature = "zarr")]
mod frame_array;
#[cfg(feature = "zarr")]
mod json;
#[cfg(feature = "zarr")]
mod keys;
#[cfg(feature = "zarr")]
mod metadata;
#[cfg(feature = "zarr")]
mod pieces;
#[cfg(feature = "zarr")]
mod storage;
#[cfg(feature = "zarr")]
#[cfg(test)]
pub(crate) mod tests;
#[cfg(not(feature = "zarr"))]
mod without;

#[cfg(not(feature = "zarr"))]
pub use without::{FrameArray, Keys};
#[cfg(feature = "zarr")]
pub use {frame_array::FrameArray, keys::Keys};

use crate::source;
use api::phase::reason;
use std::sync::Arc;
use thiserror::Error;

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
    /// The program has no decoder of Zarr arrays.
    #[error("{}", api::words::not_built("source.zarr"))]
    NotBuilt,
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
            Self::Store(_) | Self::Group { .. } | Self::Metadata { .. } | Self::NotBuilt => reason::INVALID_SPEC,
            Self::Decode { .. } | Self::Lost { .. } => reason::CHUNK_DECODE_FAILED,
        }
    }
}

/// Received bytes and retries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Transferred {
    /// Bytes of all bodies.
    pub bytes: u64,
    /// Attempts beyond the first.
    pub retries: u64,
}

/// The pixels of a frame, or the error. Several frames may share one error.
pub type Frame = Result<Vec<u8>, Arc<Error>>;
