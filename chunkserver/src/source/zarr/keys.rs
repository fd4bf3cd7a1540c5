//! Keys of a Zarr store as objects of a store, files, or paths below a URL, and the storage that the decoder reads from.

use super::Transferred;
use crate::objects::redacted;
use crate::objects::{Access, Error as StoreError, Location};
use crate::source::{BodyRange, Error, Source};
use async_trait::async_trait;
use journal::Journal;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use url::Url;
use zarrs::storage::byte_range::{ByteRange, ByteRangeIterator};
use zarrs::storage::{AsyncMaybeBytesIterator, AsyncReadableStorageTraits, Bytes, MaybeBytes, StorageError, StoreKey};

/// Largest gap between two ranges, in bytes, that is fetched with them: cheaper than another request.
const GAP: u64 = 64 << 10;

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
    /// http, https and file.
    Url(Url),
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
            "http" | "https" | "file" => KeyRoot::Url(parsed),
            _ => KeyRoot::Objects(access.open_without_retries(parsed.as_str())?),
        };
        Ok(Self { source, root, runtime: Handle::current(), bytes: AtomicU64::default(), retries: AtomicU64::default() })
    }

    /// The array's URL, without secrets.
    pub(super) fn shown(&self) -> String {
        match &self.root {
            KeyRoot::Url(url) => redacted(url.as_str()),
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
            KeyRoot::Url(_) => None,
            KeyRoot::Objects(_) => Some(true),
        }
    }

    /// Bytes received and retries since the last call.
    pub(super) fn take_transferred(&self) -> Transferred {
        Transferred { bytes: self.bytes.swap(0, Ordering::Relaxed), retries: self.retries.swap(0, Ordering::Relaxed) }
    }

    /// The value of `key`, or a range of it, for frame `frame`; `None` if the key does not exist.
    pub(super) async fn get(self: &Arc<Self>, key: &str, range: Option<BodyRange>, frame: usize) -> Result<Option<Value>, Error> {
        let (this, key) = (Arc::clone(self), key.to_owned());
        // A set aborts the request if the caller is cancelled.
        let mut request = JoinSet::new();
        request.spawn_on(async move { this.fetch(&key, range, frame).await }, &self.runtime);
        match request.join_next().await {
            Some(Ok(value)) => value,
            // The runtime shuts down, which also cancels this future.
            _ => std::future::pending().await,
        }
    }

    async fn fetch(&self, key: &str, range: Option<BodyRange>, frame: usize) -> Result<Option<Value>, Error> {
        let source = self.source.of_frame(frame);
        let mut body = Vec::new();
        let fetched = match &self.root {
            KeyRoot::Url(url) => {
                let mut url = url.clone();
                append(&mut url, key);
                source.fetch_range(url.as_str(), range, &mut body).await
            }
            KeyRoot::Objects(location) => source.fetch_object(location, key, range, &mut body).await,
        };
        match fetched {
            Ok(fetched) => {
                self.bytes.fetch_add(body.len() as u64, Ordering::Relaxed);
                self.retries.fetch_add(u64::from(fetched.retries), Ordering::Relaxed);
                Ok(Some(Value { body, exact: fetched.exact }))
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

/// The storage that the decoder of one piece reads from. Keeps the source's error, which the decoder returns only as text.
pub(super) struct ChunkStorage {
    keys: Arc<Keys>,
    /// The first frame that needs the piece.
    frame: usize,
    failure: Mutex<Option<Arc<Error>>>,
}

impl ChunkStorage {
    pub(super) fn new(keys: Arc<Keys>, frame: usize) -> Self {
        Self { keys, frame, failure: Mutex::default() }
    }

    /// The first failed fetch.
    pub(super) fn failure(&self) -> Option<Arc<Error>> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn read(&self, key: &StoreKey, range: Option<BodyRange>) -> Result<MaybeBytes, StorageError> {
        match self.keys.get(key.as_str(), range, self.frame).await {
            Ok(value) => Ok(value.map(|value| value.body.into())),
            Err(error) => {
                let text = error.to_string();
                self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(Arc::new(error));
                Err(StorageError::Other(text))
            }
        }
    }
}

#[async_trait]
impl AsyncReadableStorageTraits for ChunkStorage {
    async fn get(&self, key: &StoreKey) -> Result<MaybeBytes, StorageError> {
        self.read(key, None).await
    }

    async fn get_partial_many<'a>(
        &'a self,
        key: &StoreKey,
        byte_ranges: ByteRangeIterator<'a>,
    ) -> Result<AsyncMaybeBytesIterator<'a>, StorageError> {
        let wanted: Vec<ByteRange> = byte_ranges.collect();
        let (runs, positions) = merged(&wanted);
        let fetched = futures_util::future::try_join_all(runs.into_iter().map(|run| self.read(key, Some(run)))).await?;
        let Some(fetched) = fetched.into_iter().collect::<Option<Vec<Bytes>>>() else { return Ok(None) };
        let parts = positions.into_iter().map(move |(run, start, length)| {
            let whole = &fetched[run];
            // A value that ends early gives a short range, which the decoder detects.
            let within = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(whole.len());
            Ok(whole.slice(within(start)..length.map_or(whole.len(), |length| within(start.saturating_add(length)))))
        });
        Ok(Some(Box::pin(futures_util::stream::iter(parts.collect::<Vec<_>>()))))
    }

    async fn size_key(&self, key: &StoreKey) -> Result<Option<u64>, StorageError> {
        Err(StorageError::UnknownKeySize(key.clone()))
    }

    fn supports_get_partial(&self) -> bool {
        true
    }
}

/// The position of a range: index of the run, offset in the run, length (`None`: to the end).
type Position = (usize, u64, Option<u64>);

/// Merges ranges that are close to each other into runs. Returns the runs and the position of each range.
fn merged(wanted: &[ByteRange]) -> (Vec<BodyRange>, Vec<Position>) {
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by_key(|&index| match wanted[index] {
        ByteRange::FromStart(start, _) => start,
        ByteRange::Suffix(_) => u64::MAX,
    });
    let mut runs: Vec<BodyRange> = Vec::new();
    let mut positions = vec![(0, 0, None); wanted.len()];
    for index in order {
        let (range, length) = match wanted[index] {
            ByteRange::FromStart(start, length) => (BodyRange::From(start, length), length),
            ByteRange::Suffix(length) => (BodyRange::Last(length), None),
        };
        if let (Some(BodyRange::From(first, Some(held))), BodyRange::From(start, Some(length))) = (runs.last_mut(), range)
            && start <= first.saturating_add(*held).saturating_add(GAP)
        {
            *held = (*held).max(start.saturating_add(length) - *first);
            positions[index] = (runs.len() - 1, start - first_of(&runs), Some(length));
            continue;
        }
        runs.push(range);
        positions[index] = (runs.len() - 1, 0, length);
    }
    (runs, positions)
}

fn first_of(runs: &[BodyRange]) -> u64 {
    match runs.last() {
        Some(BodyRange::From(first, _)) => *first,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn close_ranges_are_fetched_together() {
        let at = |start, length| ByteRange::FromStart(start, Some(length));
        let far = GAP * 3;
        let (runs, positions) =
            merged(&[at(far, 5), at(0, 10), at(10, 10), at(30, 2), ByteRange::Suffix(4), ByteRange::FromStart(far * 2, None)]);
        assert_eq!(runs, [BodyRange::From(0, Some(32)), BodyRange::From(far, Some(5)), BodyRange::From(far * 2, None), BodyRange::Last(4)]);
        assert_eq!(positions, [(1, 0, Some(5)), (0, 0, Some(10)), (0, 10, Some(10)), (0, 30, Some(2)), (3, 0, None), (2, 0, None)]);
    }

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
