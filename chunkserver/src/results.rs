//! A selection comes in, its elements go out, whichever servers hold them: each owner gives its part, and the parts are
//! pasted in the order that NumPy would have them.

mod gather;
mod part;
mod sums;
mod take;

pub use gather::{Gathered, read};
pub use part::{Cube, own_part};
pub use sums::{Kind, own_sums};

/// The sums that an array is made of.
pub const fn source_of(array: &api::arrays::Array) -> (api::arrays::Base, Kind) {
    sums::source(array.holder)
}

/// Fewer bytes than this are copied within some tens of milliseconds. Another thread would keep their memory for itself, which
/// the plan of a server that writes its outputs has no room for.
const LITTLE: usize = 64 << 20;

/// Runs `work`, which copies `bytes` bytes, apart from the threads that answer HTTP when that is much.
async fn apart<T: Send + 'static>(bytes: usize, work: impl FnOnce() -> T + Send + 'static) -> T {
    if bytes < LITTLE {
        return work();
    }
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime ends, and this with it.
            Err(_) => std::future::pending().await,
        },
    }
}

use crate::exchange::PullError;
use api::selection;
use thiserror::Error;

/// Why a selection cannot be read.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "each message says it")]
pub enum Error {
    #[error("there is no array '{name}'; there are {known}")]
    NoSuchArray { name: String, known: String },
    #[error(transparent)]
    Selection(#[from] selection::Error),
    #[error("server {server} cannot be reached now; try again")]
    Peer {
        server: usize,
        #[source]
        source: PullError,
    },
    #[error("server {0} is not up now; try again")]
    PeerAbsent(usize),
    #[error("server {server} sent {found} bytes of a part of {expected}")]
    PartLength { server: usize, found: usize, expected: usize },
    #[error("server {0} sent sums that cannot be read")]
    Malformed(usize),
    #[error("the selection has {bytes} bytes, more than {limit} at a time; slice it, or write it to .zarr")]
    TooLarge { bytes: u64, limit: u64 },
}

impl Error {
    /// Whether the same request may succeed later.
    pub const fn is_passing(&self) -> bool {
        matches!(self, Self::Peer { .. } | Self::PeerAbsent(_) | Self::PartLength { .. })
    }
}
