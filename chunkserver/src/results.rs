//! A selection comes in, its elements go out, whichever servers hold them: each owner gives its part, and the parts are
//! joined in the order that NumPy would have them.

mod content;
mod deadline;
mod gather;
mod held;
mod paint;
mod part;
mod peer;
mod sums;
mod take;
mod window;

pub use content::{Content, Piece};
pub use deadline::{Deadline, READER_TIMEOUT};
pub use gather::{Gathered, read, region};
pub use part::own_part;
pub use sums::{Kind, own_sums};
pub(crate) use take::{put, take};
pub use window::{Cube, Window};

use api::selection;
use thiserror::Error;
use transport::client::PullError;

/// The sums that an array is made of.
pub const fn source_of(array: &api::arrays::Array) -> (api::arrays::Base, Kind) {
    sums::source(array.holder)
}

/// Fewer bytes than this are written within a millisecond or so, which is less than a thread's turn.
const LITTLE: usize = 1 << 20;
/// Fewer bytes than this are made within some tens of milliseconds. Another thread would keep their memory for itself, which the
/// plan of a server that writes its outputs has no room for.
const MUCH: usize = 64 << 20;

/// Memory for `bytes` bytes, zero but for what `fill` writes to it, apart from the threads that answer HTTP when that is much.
async fn filled(bytes: usize, fill: impl FnOnce(&mut [u8]) + Send + 'static) -> Vec<u8> {
    changed(bytes, vec![0; bytes], |memory| fill(memory)).await
}

/// `thing`, whose memory is had already, as `work` has left it, which writes `bytes` bytes.
async fn changed<T: Send + 'static>(bytes: usize, mut thing: T, work: impl FnOnce(&mut T) + Send + 'static) -> T {
    let work = move || {
        work(&mut thing);
        thing
    };
    if bytes < LITTLE { work() } else { elsewhere(work).await }
}

/// What `work` makes, which has `bytes` bytes.
async fn made<T: Send + 'static>(bytes: usize, work: impl FnOnce() -> T + Send + 'static) -> T {
    if bytes < MUCH { work() } else { elsewhere(work).await }
}

/// Runs `work` apart from the threads that answer HTTP.
async fn elsewhere<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime ends, and this with it.
            Err(_) => std::future::pending().await,
        },
    }
}

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
    #[error("still being computed; try again")]
    Late,
    #[error("other readers take the memory that this server has for them; try again")]
    Crowded,
    #[error("this will not be computed: {0}")]
    Failed(String),
}

impl Error {
    /// Whether the same request may succeed later.
    pub const fn is_passing(&self) -> bool {
        matches!(self, Self::Peer { .. } | Self::PeerAbsent(_) | Self::PartLength { .. })
    }
}
