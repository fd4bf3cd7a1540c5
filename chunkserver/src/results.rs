//! Reads selections of arrays from all servers: each owner sends its part, and the parts are joined in NumPy's order.

mod content;
mod copy;
mod deadline;
mod frame_bytes;
mod part;
mod peer;
mod read;
mod region;
mod select;
mod selected;
mod stored_frames;
mod sums;
mod undamaged;

pub use content::{Content, Fragment};
pub use deadline::{Deadline, READER_TIMEOUT};
pub use part::part_for_peer;
pub use read::{Gathered, read, read_region, read_selected};
pub use region::{Cube, Region};
pub(crate) use select::{put, take};
pub use selected::Selected;
pub use sums::{SumsKind, sums_for_peer};

use api::geometry::human_bytes;
use api::selection;
use thiserror::Error;
use transport::client::PullError;

/// Writing fewer bytes than this takes about a millisecond and does not block an HTTP thread noticeably.
const INLINE_WRITE_BYTES: usize = 1 << 20;
/// Allocating and computing fewer bytes than this takes some tens of milliseconds. An allocation on another thread stays in the memory pool of
/// that thread, and the plan of a server that writes outputs does not count such memory.
const INLINE_COMPUTE_BYTES: usize = 64 << 20;

/// `bytes` zero bytes, then filled by `fill`; on a blocking thread if they are many.
async fn filled(bytes: usize, fill: impl FnOnce(&mut [u8]) + Send + 'static) -> Vec<u8> {
    modified(bytes, vec![0; bytes], |memory| fill(memory)).await
}

/// `thing`, modified by `work`, which writes `bytes` bytes into memory that `thing` already owns.
async fn modified<T: Send + 'static>(bytes: usize, mut thing: T, work: impl FnOnce(&mut T) + Send + 'static) -> T {
    let work = move || {
        work(&mut thing);
        thing
    };
    if bytes < INLINE_WRITE_BYTES { work() } else { on_blocking_thread(work).await }
}

/// The result of `work`, which allocates and computes `bytes` bytes.
async fn computed<T: Send + 'static>(bytes: usize, work: impl FnOnce() -> T + Send + 'static) -> T {
    if bytes < INLINE_COMPUTE_BYTES { work() } else { on_blocking_thread(work).await }
}

/// Runs `work` on a blocking thread, so that the HTTP threads are not blocked.
async fn on_blocking_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime shuts down, which also cancels this future.
            Err(_) => std::future::pending().await,
        },
    }
}

/// Why a read failed.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "the messages describe the variants")]
pub enum Error {
    #[error("the array '{name}' is unknown; known arrays: {known}")]
    NoSuchArray { name: String, known: String },
    #[error(transparent)]
    Selection(#[from] selection::Error),
    #[error("cannot reach server {server} now; try again")]
    Peer {
        server: usize,
        #[source]
        source: PullError,
    },
    #[error("server {0} is not running now; try again")]
    PeerAbsent(usize),
    #[error("server {server} sent {found} bytes instead of {expected}; try again")]
    PartLength { server: usize, found: usize, expected: usize },
    #[error("the sums of server {0} are not readable; all servers must run the same version of ArrayJob")]
    Malformed(usize),
    #[error("the selection has {bytes} bytes, more than the limit of {limit}; read smaller selections, or write the array to .zarr")]
    TooLarge { bytes: u64, limit: u64 },
    #[error(
        "the read needs {} of this server's memory for readers, which is {}; a selection of shape {fits:?} fits",
        human_bytes(*needed),
        human_bytes(*budget)
    )]
    OverBudget { needed: u64, budget: u64, fits: Vec<usize> },
    #[error("{0}, which loads its frames again; try again")]
    Damaged(String),
    #[error("{0} after the job had ended; other elements are readable, and a new run of the job computes these again")]
    Unreadable(String),
    #[error("the elements are still being computed; try again")]
    Timeout,
    #[error("other readers use this server's memory for responses; try again")]
    MemoryTimeout,
    #[error("the job has failed: {0}")]
    Failed(String),
}

impl Error {
    /// Whether the same request may succeed later.
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Peer { .. } | Self::PeerAbsent(_) | Self::PartLength { .. } | Self::Damaged(_))
    }
}
