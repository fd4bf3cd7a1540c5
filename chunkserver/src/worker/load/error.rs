//! Errors of loading frames.

use crate::source::{self, zarr};
use crate::worker::store_reason;
use api::digest::SourceChanged;
use api::geometry::human_bytes;
use api::phase::reason;
use api::template::TemplateError;
use std::sync::Arc;
use thiserror::Error;

/// Why frames cannot be loaded.
#[derive(Debug, Error)]
pub(super) enum FrameError {
    #[error("cannot fetch frame {frame}")]
    Fetch {
        frame: usize,
        #[source]
        source: Arc<source::Error>,
    },
    #[error(
        "cannot fetch frame {frame}: the response ({url}) is larger than {}, the memory for responses in this server's plan; use a server with \
         more frames or smaller responses",
        human_bytes(*limit)
    )]
    Memory { frame: usize, url: String, limit: u64 },
    #[error("cannot decode frame {frame} ({url})")]
    Decode {
        frame: usize,
        url: String,
        #[source]
        source: formats::decode::Error,
    },
    #[error("the volume response ({url}) does not contain frame {frame}: {found} bytes instead of {expected}")]
    Volume { frame: usize, url: String, found: usize, expected: usize },
    #[error("cannot open the array")]
    Open(#[from] zarr::Error),
    #[error(transparent)]
    Template(#[from] TemplateError),
    #[error("cannot read the source's secret")]
    Secret(#[from] source::Error),
    #[error("cannot fetch frame {frame}")]
    Array {
        frame: usize,
        #[source]
        source: Arc<zarr::Error>,
    },
    #[error("{changed} ({url})")]
    Changed { changed: SourceChanged, url: String },
    #[error("frame {frame} was readable before the loss of a server, and is not now: the source changed while the job runs")]
    Vanished {
        frame: usize,
        #[source]
        source: Box<Self>,
    },
    #[error("a bug of ArrayJob: the slot of frame {frame} is written a second time; please report it with the server's log")]
    SlotRefused { frame: usize },
    #[error("cannot store a frame")]
    Store(#[from] store::Error),
    /// The computation panicked. The panic is already printed.
    #[error("a bug of ArrayJob: frame {frame} or a frame of its group panicked; please report it with the server's log")]
    Panicked { frame: usize },
}

impl FrameError {
    /// Whether a second fetch may return an undamaged frame.
    pub(super) const fn is_damage(&self) -> bool {
        match self {
            Self::Decode { source, .. } => source.is_damage(),
            Self::Volume { .. } => true,
            // The source and the array's reader have retried where a retry may help.
            Self::Fetch { .. } | Self::Array { .. } | Self::Memory { .. } => false,
            Self::Open(_) | Self::Template(_) | Self::Secret(_) => false,
            Self::Changed { .. } | Self::Vanished { .. } => false,
            Self::Store(_) | Self::SlotRefused { .. } | Self::Panicked { .. } => false,
        }
    }

    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::Open(source) => source.reason(),
            Self::Array { source, .. } => source.reason(),
            Self::Template(_) => reason::INVALID_SPEC,
            Self::Fetch { .. } | Self::Memory { .. } | Self::Secret(_) => reason::SOURCE_UNAVAILABLE,
            Self::Decode { .. } | Self::Volume { .. } => reason::CHUNK_DECODE_FAILED,
            Self::Changed { .. } | Self::Vanished { .. } => reason::SOURCE_CHANGED,
            Self::Store(error) => store_reason(error),
            Self::SlotRefused { .. } | Self::Panicked { .. } => reason::INTERNAL_ERROR,
        }
    }
}
