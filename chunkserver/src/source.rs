//! Fetches URLs: HTTP, HTTPS, local files and objects of a store, with retries and exponential backoff. [`zarr`] reads arrays through a source.
//!
//! Connections are reused and shared. HTTPS trusts the certificates of the platform; on Linux, `SSL_CERT_FILE` and `SSL_CERT_DIR` name other
//! certificates, for example of a private authority. Proxy settings of the environment are ignored.

mod backoff;
mod body;
mod encoding;
mod error;
mod file;
mod http;
mod last_error;
mod object;
mod secret;
#[cfg(test)]
mod tests;
pub mod zarr;

pub use error::{Attempts, Cause, Error, Reason};
pub use secret::{Secret, secret};

use crate::egress;
use crate::objects::{Location, redacted};
use api::egress::EgressPolicy;
use body::Limits;
use error::Failure;
use journal::{Event, Journal, Kind};
use last_error::LastError;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use transport::http::Http;
use transport::traffic::Traffic;
use url::Url;

/// Settings of a [`Source`].
#[derive(Clone)]
pub struct Options {
    /// Headers of every request. The values are secret and appear in no log or error.
    pub headers: Vec<(String, String)>,
    /// Attempts for each URL, at least 1.
    pub attempts: u32,
    /// Wait after the first failure, doubled after each further failure.
    pub backoff: Duration,
    /// Longest time without a received byte; half of it in the second attempt, so that both take less than a minute.
    pub progress_timeout: Duration,
    /// Least bytes per second of a body; 0 for no limit. A slow body is fetched once more.
    pub min_bytes_per_second: u64,
    /// Time over which the rate is measured; half of it in the second attempt, so that both take less than a minute.
    pub rate_window: Duration,
    /// Timeout of a connection attempt.
    pub connect_timeout: Duration,
    /// How long fetches are retried, beyond `attempts`, while a source that has sent an object takes no connections: a restart.
    pub restart_time: Duration,
    /// Concurrent fetches; further fetches wait.
    pub connections: usize,
    /// Largest body, in bytes.
    pub max_bytes: u64,
    /// Whether `file://` is permitted. Not on a cluster, where local files belong to the server and not to the author of the manifest.
    pub allow_local_files: bool,
    /// The addresses that are reachable; `None` on one machine, where all are.
    pub egress: Option<Arc<EgressPolicy>>,
    /// Counts the bytes.
    pub traffic: Arc<Traffic>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            headers: Vec::new(),
            attempts: 6,
            backoff: Duration::from_millis(200),
            progress_timeout: Duration::from_secs(30),
            min_bytes_per_second: api::job::MIN_BYTES_PER_SECOND,
            rate_window: Duration::from_secs(30),
            // Six attempts and their waits take less than a minute.
            connect_timeout: Duration::from_millis(7500),
            // With a wait of 10 s and a connection attempt, less than a minute.
            restart_time: Duration::from_secs(30),
            connections: 16,
            max_bytes: 1 << 30,
            allow_local_files: false,
            egress: None,
            traffic: Arc::default(),
        }
    }
}

impl fmt::Debug for Options {
    /// Shows the names of headers, not the values.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Options")
            .field("headers", &names)
            .field("attempts", &self.attempts)
            .field("backoff", &self.backoff)
            .field("progress_timeout", &self.progress_timeout)
            .field("min_bytes_per_second", &self.min_bytes_per_second)
            .field("rate_window", &self.rate_window)
            .field("connect_timeout", &self.connect_timeout)
            .field("restart_time", &self.restart_time)
            .field("connections", &self.connections)
            .field("max_bytes", &self.max_bytes)
            .field("allow_local_files", &self.allow_local_files)
            .field("egress", &self.egress)
            .finish_non_exhaustive()
    }
}

/// Slow and silent responses of one fetch after which the fetch fails.
const SLOW_ATTEMPTS: u32 = 2;

/// Fetches URLs; clones share their connections.
#[derive(Clone, Debug)]
pub struct Source {
    inner: Arc<Inner>,
    /// Largest body, in bytes; less than or equal to that of the options.
    max_bytes: u64,
    /// Records fetches, if set.
    journal: Option<Arc<Journal>>,
    /// The first frame of the fetches, for the journal.
    frame: usize,
}

#[derive(Debug)]
struct Inner {
    options: Options,
    client: Http,
    permits: Semaphore,
    last_error: LastError,
    /// Whether a fetch has succeeded.
    has_responded: AtomicBool,
}

/// A range of the bytes of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyRange {
    /// Start offset and optional length, in bytes.
    From(u64, Option<u64>),
    /// The last bytes: their number.
    Last(u64),
}

impl BodyRange {
    /// Cuts this range out of a whole body. The result is shorter if the body ends within the range.
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

/// The result of a fetch, without the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// Attempts beyond the first.
    pub retries: u32,
    /// Whether only the requested range was sent. A server without support for ranges sends the whole body.
    pub exact: bool,
    /// Length of the whole object, in bytes, if the server states it.
    pub total: Option<u64>,
    /// Whether the response is declared as HTML.
    pub html: bool,
}

/// The result of one attempt, without the body.
#[derive(Clone, Copy, Debug)]
struct Got {
    exact: bool,
    total: Option<u64>,
    html: bool,
}

impl Source {
    /// A source without connections.
    ///
    /// # Errors
    /// When a header is not valid, or TLS is not available.
    pub fn new(options: Options) -> Result<Self, Error> {
        let client = http::client(&options)?;
        // The clamp stays below the limit of the semaphore.
        let permits = Semaphore::new(options.connections.clamp(1, 1 << 16));
        let max_bytes = options.max_bytes;
        Ok(Self {
            inner: Arc::new(Inner { options, client, permits, last_error: LastError::default(), has_responded: AtomicBool::new(false) }),
            max_bytes,
            journal: None,
            frame: 0,
        })
    }

    /// The same source, whose bodies have at most `bytes` bytes.
    #[must_use]
    pub fn at_most(&self, bytes: u64) -> Self {
        Self { max_bytes: self.max_bytes.min(bytes), ..self.clone() }
    }

    /// The same source, which records its fetches in `journal`.
    #[must_use]
    pub fn recording_in(&self, journal: &Arc<Journal>) -> Self {
        Self { journal: Some(Arc::clone(journal)), ..self.clone() }
    }

    /// The journal, if set.
    #[cfg(feature = "zarr")]
    pub(crate) const fn journal(&self) -> Option<&Arc<Journal>> {
        self.journal.as_ref()
    }

    /// The same source, whose fetches are recorded as those of frame `frame`.
    #[must_use]
    pub fn of_frame(&self, frame: usize) -> Self {
        Self { frame, ..self.clone() }
    }

    /// Fetches `url` into `into`. The previous content is overwritten and the memory is reused.
    ///
    /// # Errors
    /// When the last attempt failed, or an attempt failed permanently. The content of `into` is then undefined.
    pub async fn fetch(&self, url: &str, into: &mut Vec<u8>) -> Result<Fetched, Error> {
        self.fetch_range(url, None, into).await
    }

    /// As [`Self::fetch`]; with `range`, only that range. The result is shorter if the body ends within the range.
    ///
    /// # Errors
    /// As [`Self::fetch`].
    pub async fn fetch_range(&self, url: &str, range: Option<BodyRange>, into: &mut Vec<u8>) -> Result<Fetched, Error> {
        self.fetch_with_retries(Target::Url(url), range, into).await
    }

    /// As [`Self::fetch_range`], of object `key` below a location in a store.
    ///
    /// # Errors
    /// As [`Self::fetch`].
    pub async fn fetch_object(
        &self,
        location: &Location,
        key: &str,
        range: Option<BodyRange>,
        into: &mut Vec<u8>,
    ) -> Result<Fetched, Error> {
        self.fetch_with_retries(Target::Object(location, key), range, into).await
    }

    /// Attempts until one succeeds, one fails permanently, or the last attempt has failed.
    async fn fetch_with_retries(&self, target: Target<'_>, range: Option<BodyRange>, into: &mut Vec<u8>) -> Result<Fetched, Error> {
        let started = Instant::now();
        let options = &self.inner.options;
        let (mut attempts, mut slow) = (1, 0);
        // When connections began to fail.
        let mut away_since = None;
        loop {
            let part = if slow == 0 && attempts <= options.attempts { 1 } else { 2 };
            let limits = Limits {
                max_bytes: self.max_bytes,
                silence: options.progress_timeout / part,
                min_rate: options.min_bytes_per_second,
                window: options.rate_window / part,
            };
            let failure = match self.attempt(target, range, &limits, into).await {
                Ok(Got { exact, total, html }) => {
                    self.inner.last_error.clear();
                    self.inner.has_responded.store(true, Ordering::Relaxed);
                    return Ok(Fetched { retries: attempts - 1, exact, total, html });
                }
                Err(failure) => failure,
            };
            slow += u32::from(matches!(failure.reason, Reason::Slow { .. } | Reason::Silent { .. }));
            away_since = failure.reason.is_of_connection().then(|| away_since.unwrap_or_else(Instant::now));
            let exhausted = attempts >= options.attempts && !self.may_restart(away_since);
            let last = failure.reason.is_final() || exhausted || slow >= SLOW_ATTEMPTS;
            let wait = backoff::wait(options.backoff, attempts, failure.retry_after, target.name());
            if let Some(journal) = self.journal.as_ref().filter(|_| !last) {
                journal.mark(Event::Retry, &format!("the fetch is retried: {}", failure.reason));
            }
            let error = failure.into_error(target.shown(), Attempts { attempts, elapsed: started.elapsed() });
            if last {
                if away_since.is_some() {
                    // The source is gone: the next fetches have the usual attempts.
                    self.inner.has_responded.store(false, Ordering::Relaxed);
                }
                return Err(error);
            }
            tracing::debug!(%error, ?wait, "the fetch is retried");
            if attempts > 1 {
                // A single failure is common and not worth a report.
                self.inner.last_error.note(error.to_string());
            }
            tokio::time::sleep(wait).await;
            attempts += 1;
        }
    }

    /// Whether the source worked before, and takes no connections for a time that a restart may take.
    fn may_restart(&self, away_since: Option<Instant>) -> bool {
        self.inner.has_responded.load(Ordering::Relaxed)
            && away_since.is_some_and(|since| since.elapsed() < self.inner.options.restart_time)
    }

    /// The last error of a fetch that has failed at least twice and is still retried. `None` after any fetch succeeds.
    pub fn last_error(&self) -> Option<String> {
        self.inner.last_error.latest()
    }

    /// One attempt. Waits for a permit, and releases it before the pause of a retry.
    async fn attempt(&self, target: Target<'_>, range: Option<BodyRange>, limits: &Limits, into: &mut Vec<u8>) -> Result<Got, Failure> {
        let permits = &self.inner.permits;
        let url = match target {
            Target::Url(url) => Some(Url::parse(url).map_err(|e| Failure::with_source(Reason::BadUrl, e))?),
            Target::Object(..) => None,
        };
        // Fails only if the semaphore is closed, which never happens.
        let _permit = permits.acquire().await;
        into.clear();
        let task = self.journal.as_ref().map(|journal| journal.begin(Kind::Load, self.frame));
        let done = self.get(url, target, range, limits, into).await;
        self.inner.options.traffic.received(into.len());
        let bytes = into.len() as u64;
        match (task, &done) {
            (Some(task), Ok(_)) => task.done(bytes),
            (Some(task), Err(_)) => task.failed(bytes),
            (None, _) => {}
        }
        done
    }

    /// One GET.
    async fn get(
        &self,
        url: Option<Url>,
        target: Target<'_>,
        range: Option<BodyRange>,
        limits: &Limits,
        into: &mut Vec<u8>,
    ) -> Result<Got, Failure> {
        let Inner { options, client, .. } = &*self.inner;
        match (url, target) {
            (None, Target::Object(location, key)) => object::get(location, key, range, limits, into).await,
            (Some(url), _) if ["http", "https"].contains(&url.scheme()) => {
                egress::check(&url, options.egress.as_ref()).map_err(|blocked| Reason::Blocked { blocked })?;
                http::get(client, url, range, limits, into).await
            }
            (Some(url), Target::Url(given)) if url.scheme() == "file" && options.allow_local_files => {
                file::read(&url, given, range, limits.max_bytes, into).await
            }
            (Some(url), _) if url.scheme() == "file" => Err(Reason::LocalFile.into()),
            (Some(url), _) => Err(Reason::Scheme { scheme: url.scheme().to_owned() }.into()),
            (None, Target::Url(_)) => Err(Reason::BadUrl.into()),
        }
    }
}

/// The object of a fetch.
#[derive(Clone, Copy)]
enum Target<'a> {
    /// A URL.
    Url(&'a str),
    /// A key below a location in a store.
    Object(&'a Location, &'a str),
}

impl Target<'_> {
    /// The identifier of the target.
    const fn name(&self) -> &str {
        match self {
            Self::Url(name) | Self::Object(_, name) => name,
        }
    }

    /// The name of the target in errors, without secrets.
    fn shown(&self) -> String {
        match self {
            // Parsing would change backslashes and tabs.
            Self::Url(url) if url.starts_with("file://") => url.split(['?', '#']).next().unwrap_or_default().to_owned(),
            Self::Url(url) => redacted(url),
            Self::Object(location, key) => format!("{}/{key}", location.shown.trim_end_matches('/')),
        }
    }
}
