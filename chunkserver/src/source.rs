//! A URL comes in, its bytes go out: HTTP, HTTPS, local files and objects of a store, with retries that wait longer each time.
//! [`zarr`] reads arrays that way.
//!
//! Connections are kept and shared. HTTPS trusts what the platform trusts; on Linux `SSL_CERT_FILE` and `SSL_CERT_DIR` name
//! other certificates, such as those of a private authority. Proxy settings of the environment are not used.

mod backoff;
mod error;
mod file;
mod http;
mod last_error;
mod object;
mod secret;
#[cfg(test)]
mod tests;
pub mod zarr;

pub use error::{Cause, Error, Reason, Tried};
pub use secret::{Secret, secret};

use crate::objects::{Location, redacted};
use error::Failure;
use journal::{Event, Journal, Kind};
use last_error::LastError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use transport::traffic::Traffic;
use url::Url;

/// How a [`Source`] fetches.
#[derive(Clone)]
pub struct Options {
    /// Headers of every request; their values are secret, and appear in no log or error.
    pub headers: Vec<(String, String)>,
    /// How often a URL is tried before its error is final; at least once.
    pub attempts: u32,
    /// The wait after the first failure, doubled after each one more.
    pub backoff: Duration,
    /// How long may pass without a byte.
    pub progress_timeout: Duration,
    /// How long a connection may take to open.
    pub connect_timeout: Duration,
    /// How many fetches run at once; the others wait.
    pub connections: usize,
    /// The largest body that is accepted, in bytes.
    pub max_bytes: u64,
    /// Whether `file://` is read. Not on a cluster: files there are those of the server, not of the manifest's author.
    pub allow_local_files: bool,
    /// Where bytes are counted.
    pub traffic: Arc<Traffic>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            headers: Vec::new(),
            attempts: 6,
            backoff: Duration::from_millis(200),
            progress_timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(10),
            connections: 16,
            max_bytes: 1 << 30,
            allow_local_files: false,
            traffic: Arc::default(),
        }
    }
}

impl fmt::Debug for Options {
    /// Headers by name only.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Options")
            .field("headers", &names)
            .field("attempts", &self.attempts)
            .field("backoff", &self.backoff)
            .field("progress_timeout", &self.progress_timeout)
            .field("connect_timeout", &self.connect_timeout)
            .field("connections", &self.connections)
            .field("max_bytes", &self.max_bytes)
            .field("allow_local_files", &self.allow_local_files)
            .finish_non_exhaustive()
    }
}

/// Fetches URLs; clones share their connections.
#[derive(Clone, Debug)]
pub struct Source {
    inner: Arc<Inner>,
    /// Where fetches are noted, if anywhere.
    journal: Option<Arc<Journal>>,
    /// Number of the first frame that they are for.
    frame: usize,
}

#[derive(Debug)]
struct Inner {
    options: Options,
    client: reqwest::Client,
    permits: Semaphore,
    last_error: LastError,
}

/// Bytes of a body, where not all are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// From that byte on, so many or to the end.
    From(u64, Option<u64>),
    /// The last ones.
    Last(u64),
}

impl Part {
    /// Cuts this part out of a whole body, as far as that goes.
    fn cut(self, whole: &mut Vec<u8>) {
        let length = whole.len();
        let within = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX).min(length);
        match self {
            Self::From(start, wanted) => {
                whole.truncate(within(start.saturating_add(wanted.unwrap_or(u64::MAX))));
                whole.drain(..within(start).min(whole.len()));
            }
            Self::Last(wanted) => drop(whole.drain(..length - within(wanted))),
        }
    }
}

/// What a fetch took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// Attempts beyond the first.
    pub retries: u32,
    /// Whether no more crossed the wire than was asked for: a server that knows no ranges sends the whole body.
    pub exact: bool,
}

impl Source {
    /// A source that has connected to nothing yet.
    ///
    /// # Errors
    /// When a header cannot be sent, or TLS cannot be set up.
    pub fn new(options: Options) -> Result<Self, Error> {
        let client = http::client(&options)?;
        // A semaphore has a largest size; nobody has so many connections.
        let permits = Semaphore::new(options.connections.clamp(1, 1 << 16));
        Ok(Self { inner: Arc::new(Inner { options, client, permits, last_error: LastError::default() }), journal: None, frame: 0 })
    }

    /// The same, which notes in `journal` what it fetches.
    #[must_use]
    pub fn recording_in(&self, journal: &Arc<Journal>) -> Self {
        Self { journal: Some(Arc::clone(journal)), ..self.clone() }
    }

    /// Where fetches are noted, if anywhere.
    #[cfg(feature = "zarr")]
    pub(crate) const fn journal(&self) -> Option<&Arc<Journal>> {
        self.journal.as_ref()
    }

    /// The same, which fetches for frame `frame`.
    #[must_use]
    pub fn of_frame(&self, frame: usize) -> Self {
        Self { frame, ..self.clone() }
    }

    /// Fetches `url` into `into`, whose former content is lost and whose memory is used again.
    ///
    /// # Errors
    /// When the last attempt failed, or one failed for good; `into` then holds anything.
    pub async fn fetch(&self, url: &str, into: &mut Vec<u8>) -> Result<Fetched, Error> {
        self.fetch_part(url, None, into).await
    }

    /// As [`Self::fetch`]; with `part`, no more than that part, which is shorter where the body ends before it.
    ///
    /// # Errors
    /// As [`Self::fetch`].
    pub async fn fetch_part(&self, url: &str, part: Option<Part>, into: &mut Vec<u8>) -> Result<Fetched, Error> {
        self.persist(Wanted::Url(url), part, into).await
    }

    /// As [`Self::fetch_part`], from object `key` below a place in a store.
    ///
    /// # Errors
    /// As [`Self::fetch`].
    pub async fn fetch_object(&self, place: &Location, key: &str, part: Option<Part>, into: &mut Vec<u8>) -> Result<Fetched, Error> {
        self.persist(Wanted::Object(place, key), part, into).await
    }

    /// Attempts until one succeeds, one fails for good, or enough have failed.
    async fn persist(&self, wanted: Wanted<'_>, part: Option<Part>, into: &mut Vec<u8>) -> Result<Fetched, Error> {
        let started = Instant::now();
        let options = &self.inner.options;
        let mut attempts = 1;
        loop {
            let failure = match self.attempt(wanted, part, into).await {
                Ok(exact) => {
                    self.inner.last_error.clear();
                    return Ok(Fetched { retries: attempts - 1, exact });
                }
                Err(failure) => failure,
            };
            let last = failure.reason.is_final() || attempts >= options.attempts;
            let wait = backoff::wait(options.backoff, attempts, failure.retry_after, wanted.name());
            if let Some(journal) = self.journal.as_ref().filter(|_| !last) {
                journal.mark(Event::Retry, &format!("fetched again: {}", failure.reason));
            }
            let error = failure.after(wanted.shown(), Tried { attempts, elapsed: started.elapsed() });
            if last {
                return Err(error);
            }
            tracing::debug!(%error, ?wait, "fetching again");
            if attempts > 1 {
                // The first failure of a fetch is nothing: servers have them every day.
                self.inner.last_error.note(error.to_string());
            }
            tokio::time::sleep(wait).await;
            attempts += 1;
        }
    }

    /// What keeps fetches waiting now: the latest failure of one that has failed twice or more and goes on. None again once
    /// any fetch succeeds.
    pub fn last_error(&self) -> Option<String> {
        self.inner.last_error.latest()
    }

    /// One attempt; whether it was exact. Waits for its turn first, and gives it back before any pause.
    async fn attempt(&self, wanted: Wanted<'_>, part: Option<Part>, into: &mut Vec<u8>) -> Result<bool, Failure> {
        let permits = &self.inner.permits;
        let url = match wanted {
            Wanted::Url(url) => Some(Url::parse(url).map_err(|e| Failure::caused(Reason::BadUrl, e))?),
            Wanted::Object(..) => None,
        };
        // It fails when the semaphore is closed, which nobody does.
        let _permit = permits.acquire().await;
        into.clear();
        let task = self.journal.as_ref().map(|journal| journal.begin(Kind::Load, self.frame));
        let done = self.get(url, wanted, part, into).await;
        self.inner.options.traffic.received(into.len());
        let bytes = into.len() as u64;
        match (task, &done) {
            (Some(task), Ok(_)) => task.done(bytes),
            (Some(task), Err(_)) => task.failed(bytes),
            (None, _) => {}
        }
        done
    }

    /// The GET itself.
    async fn get(&self, url: Option<Url>, wanted: Wanted<'_>, part: Option<Part>, into: &mut Vec<u8>) -> Result<bool, Failure> {
        let Inner { options, client, .. } = &*self.inner;
        match (url, wanted) {
            (None, Wanted::Object(place, key)) => object::get(place, key, part, options, into).await,
            (Some(url), _) if ["http", "https"].contains(&url.scheme()) => http::get(client, url, part, options, into).await,
            (Some(url), _) if url.scheme() == "file" && options.allow_local_files => {
                file::read(&url, part, options.max_bytes, into).await.map(|()| true)
            }
            (Some(url), _) if url.scheme() == "file" => Err(Reason::LocalFile.into()),
            (Some(url), _) => Err(Reason::Scheme { scheme: url.scheme().to_owned() }.into()),
            (None, Wanted::Url(_)) => Err(Reason::BadUrl.into()),
        }
    }
}

/// What is fetched.
#[derive(Clone, Copy)]
enum Wanted<'a> {
    /// A URL.
    Url(&'a str),
    /// An object below a place in a store.
    Object(&'a Location, &'a str),
}

impl Wanted<'_> {
    /// What tells it from others.
    const fn name(&self) -> &str {
        match self {
            Self::Url(name) | Self::Object(_, name) => name,
        }
    }

    /// What errors call it.
    fn shown(&self) -> String {
        match self {
            Self::Url(url) => redacted(url),
            Self::Object(place, key) => format!("{}/{key}", place.shown.trim_end_matches('/')),
        }
    }
}
