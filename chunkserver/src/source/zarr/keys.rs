//! Keys of a Zarr store as objects of a store, files, or paths below a URL.

use super::Transferred;
use crate::objects::redacted;
use crate::objects::{Access, Error as StoreError, Location};
use crate::source::{Attempts, BodyRange, Error, Reason, Source};
use journal::Journal;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use url::Url;

/// The keys of one array.
pub struct Keys {
    source: Source,
    root: KeyRoot,
    /// Runs the requests. Callers are polled on compute threads.
    runtime: Handle,
    bytes: AtomicU64,
    retries: AtomicU64,
}

#[derive(Clone)]
enum KeyRoot {
    /// http and https.
    Url(Url),
    /// file, as given: parsing would change backslashes and tabs.
    File(String),
    /// s3, gs, az.
    Objects(Location),
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown())
    }
}

/// The value of a key, or a range of it.
pub(super) struct Value {
    pub(super) body: Vec<u8>,
    /// Whether only the requested range was sent.
    pub(super) exact: bool,
    /// Length of the whole value, if known.
    pub(super) total: Option<u64>,
}

impl Keys {
    /// The keys of array `array` in the store at `url`. `source` fetches; `access` contains the keys of object stores. The current runtime runs the
    /// requests.
    ///
    /// # Errors
    /// When the URL is not a URL of a store, or a key of the store is not valid.
    pub fn new(source: Source, access: &Access, url: &str, array: &str) -> Result<Self, StoreError> {
        let mut parsed = Url::parse(url).map_err(|_| StoreError::Url(redacted(url)))?;
        append(&mut parsed, array);
        let root = match parsed.scheme() {
            // The source checks which of these schemes are permitted.
            "file" if url.starts_with("file:///") => KeyRoot::File(file_root(url, array)),
            "http" | "https" | "file" => KeyRoot::Url(parsed),
            _ => KeyRoot::Objects(access.open_without_retries(parsed.as_str())?),
        };
        Ok(Self { source, root, runtime: Handle::current(), bytes: AtomicU64::default(), retries: AtomicU64::default() })
    }

    /// The array's URL, without secrets.
    pub(super) fn shown(&self) -> String {
        match &self.root {
            KeyRoot::Url(url) => redacted(url.as_str()),
            KeyRoot::File(url) => url.clone(),
            KeyRoot::Objects(location) => location.shown.clone(),
        }
    }

    /// The source's journal, if set.
    pub(super) const fn journal(&self) -> Option<&Arc<Journal>> {
        self.source.journal()
    }

    /// Whether the store supports ranges; `None` if unknown.
    pub(super) const fn supports_ranges(&self) -> Option<bool> {
        // Some web servers do.
        match &self.root {
            KeyRoot::Url(_) | KeyRoot::File(_) => None,
            KeyRoot::Objects(_) => Some(true),
        }
    }

    /// Bytes received and retries since the last call.
    pub(super) fn take_transferred(&self) -> Transferred {
        Transferred { bytes: self.bytes.swap(0, Ordering::Relaxed), retries: self.retries.swap(0, Ordering::Relaxed) }
    }

    /// The value of `key`, or a range of it, of at most `limit` bytes, for frame `frame`; `None` if the key does not exist.
    pub(super) async fn get(
        self: &Arc<Self>,
        key: &str,
        range: Option<BodyRange>,
        frame: usize,
        limit: u64,
    ) -> Result<Option<Value>, Error> {
        let (this, key) = (Arc::clone(self), key.to_owned());
        // A set aborts the request if the caller is cancelled.
        let mut request = JoinSet::new();
        request.spawn_on(async move { this.fetch(&key, range, frame, limit).await }, &self.runtime);
        match request.join_next().await {
            Some(Ok(value)) => value,
            // The runtime shuts down, which also cancels this future.
            _ => std::future::pending().await,
        }
    }

    async fn fetch(&self, key: &str, range: Option<BodyRange>, frame: usize, limit: u64) -> Result<Option<Value>, Error> {
        let source = self.source.of_frame(frame).at_most(limit);
        let mut body = Vec::new();
        let fetched = match &self.root {
            KeyRoot::Url(url) => {
                let mut url = url.clone();
                append(&mut url, key);
                source.fetch_range(url.as_str(), range, &mut body).await
            }
            KeyRoot::File(url) => source.fetch_range(&format!("{url}/{key}"), range, &mut body).await,
            KeyRoot::Objects(location) => source.fetch_object(location, key, range, &mut body).await,
        };
        match fetched {
            Ok(fetched) => {
                self.bytes.fetch_add(body.len() as u64, Ordering::Relaxed);
                self.retries.fetch_add(u64::from(fetched.retries), Ordering::Relaxed);
                // Some hosts send a page with status 200 in the place of a missing key. Some servers declare every document as HTML.
                if fetched.html && body.first() != Some(&b'{') {
                    let url = format!("{}/{key}", self.shown());
                    let tried = Attempts { attempts: 1, elapsed: Duration::ZERO };
                    return Err(Error::Fetch { url, reason: Reason::Html, tried, source: None });
                }
                Ok(Some(Value { body, exact: fetched.exact, total: fetched.total }))
            }
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Appends `path` to the URL's path and keeps the query, which may contain a secret.
fn append(url: &mut Url, path: &str) {
    // Fails only for URLs without a path, for example mailto:, which are refused before.
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(path.split('/').filter(|part| !part.is_empty()));
    }
}

/// The URL of `array` in the folder at `url`.
fn file_root(url: &str, array: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
    array.split('/').filter(|part| !part.is_empty()).fold(url.to_owned(), |url, part| format!("{url}/{part}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_extend_the_path_and_the_query_is_kept() {
        for (url, key, expected) in [
            ("http://h/a.zarr?key=1", "c/0/1", "http://h/a.zarr/c/0/1?key=1"),
            ("http://h/a.zarr/", "recentered/zarr.json", "http://h/a.zarr/recentered/zarr.json"),
            ("file:///a%20b", "0/.zarray", "file:///a%20b/0/.zarray"),
            ("http://h/t/token/arrays.zarr", "raw@-1,10,10", "http://h/t/token/arrays.zarr/raw@-1,10,10"),
            ("s3://bucket", "/0/", "s3://bucket/0"),
        ] {
            let mut url = Url::parse(url).unwrap();
            append(&mut url, key);
            assert_eq!(url.as_str(), expected);
        }
    }
}
