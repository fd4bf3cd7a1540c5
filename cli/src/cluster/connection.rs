//! The connection to a job's servers, on this machine or in a cluster: a URL, and the port-forward behind it.

#[cfg(feature = "kubernetes")]
use super::forward::Forward;
use crate::error::Error;
use crate::reader::Reader;
#[cfg(not(feature = "kubernetes"))]
use std::convert::Infallible as Forward;
use std::time::Duration;

/// Time during which readers retry while a server is being replaced or computes.
const RETRY_FOR: Duration = Duration::from_secs(120);

/// A URL of a job's servers, valid until drop.
pub(crate) struct Connection {
    pub(crate) url: String,
    pub(super) _forward: Option<Forward>,
}

impl Connection {
    /// A reader that retries while the servers are not ready.
    ///
    /// # Errors
    /// The URL is invalid.
    pub(crate) fn reader(&self) -> Result<Reader, Error> {
        Ok(Reader::new(&self.url)?.with_retries(RETRY_FOR))
    }
}
