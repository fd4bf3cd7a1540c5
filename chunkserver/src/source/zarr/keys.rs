//! Keys of a Zarr store as objects of a store, files, or paths below a URL; and the view of them that a decoder has.

use super::Taken;
use crate::objects::redacted;
use crate::objects::{Access, Error as StoreError, Location};
use crate::source::{Error, Part, Source};
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

/// Bytes between two wanted ranges that are fetched with them: less than another request takes.
const GAP: u64 = 64 << 10;

/// The keys of one array.
pub struct Keys {
    source: Source,
    place: Place,
    /// Where requests run: what asks for them is polled on other threads.
    runtime: Handle,
    bytes: AtomicU64,
    retries: AtomicU64,
}

#[derive(Clone)]
enum Place {
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

/// What one GET gave.
pub(super) struct Got {
    pub(super) body: Vec<u8>,
    /// Whether no more came than was asked for.
    pub(super) exact: bool,
}

impl Keys {
    /// The keys of array `array` in the store at `url`, fetched by `source` and, of object stores, with the keys of `access`. To be
    /// called on the runtime that requests shall use.
    ///
    /// # Errors
    /// When no store has such URLs, or its keys make no sense.
    pub fn new(source: Source, access: &Access, url: &str, array: &str) -> Result<Self, StoreError> {
        let mut parsed = Url::parse(url).map_err(|_| StoreError::Url(redacted(url)))?;
        append(&mut parsed, array);
        let place = match parsed.scheme() {
            // Which of these may be read is for the source to say.
            "http" | "https" | "file" => Place::Url(parsed),
            _ => Place::Objects(access.open_bare(parsed.as_str())?),
        };
        Ok(Self { source, place, runtime: Handle::current(), bytes: AtomicU64::default(), retries: AtomicU64::default() })
    }

    /// The array's URL, without secrets.
    pub(super) fn shown(&self) -> String {
        match &self.place {
            Place::Url(url) => redacted(url.as_str()),
            Place::Objects(location) => location.shown.clone(),
        }
    }

    /// Where fetches are noted, if anywhere.
    pub(super) const fn journal(&self) -> Option<&Arc<Journal>> {
        self.source.journal()
    }

    /// Whether every store of this kind sends parts of what it holds.
    pub(super) const fn knows_ranges(&self) -> Option<bool> {
        // Of web servers some do.
        match &self.place {
            Place::Url(_) => None,
            Place::Objects(_) => Some(true),
        }
    }

    /// What has crossed the wire since the last call.
    pub(super) fn taken(&self) -> Taken {
        Taken { bytes: self.bytes.swap(0, Ordering::Relaxed), retries: self.retries.swap(0, Ordering::Relaxed) }
    }

    /// The value of `key`, or a part of it, for frame `frame`; none when there is no such key.
    pub(super) async fn get(self: &Arc<Self>, key: &str, part: Option<Part>, frame: usize) -> Result<Option<Got>, Error> {
        let (this, key) = (Arc::clone(self), key.to_owned());
        // In a set, since that aborts the request when nobody waits for it any more.
        let mut request = JoinSet::new();
        request.spawn_on(async move { this.get_here(&key, part, frame).await }, &self.runtime);
        match request.join_next().await {
            Some(Ok(got)) => got,
            // The runtime ends, and everything with it.
            _ => std::future::pending().await,
        }
    }

    async fn get_here(&self, key: &str, part: Option<Part>, frame: usize) -> Result<Option<Got>, Error> {
        let source = self.source.of_frame(frame);
        let mut body = Vec::new();
        let fetched = match &self.place {
            Place::Url(url) => {
                let mut url = url.clone();
                append(&mut url, key);
                source.fetch_part(url.as_str(), part, &mut body).await
            }
            Place::Objects(location) => source.fetch_object(location, key, part, &mut body).await,
        };
        match fetched {
            Ok(fetched) => {
                self.bytes.fetch_add(body.len() as u64, Ordering::Relaxed);
                self.retries.fetch_add(u64::from(fetched.retries), Ordering::Relaxed);
                Ok(Some(Got { body, exact: fetched.exact }))
            }
            Err(error) if error.is_absence() => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Goes `path` further down; the query, which may hold a key, stays.
fn append(url: &mut Url, path: &str) {
    // URLs without a path, as mailto:, have been refused.
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(path.split('/').filter(|part| !part.is_empty()));
    }
}

/// The keys as the decoder of one piece sees them. It keeps the failure, which the decoder knows as text only.
pub(super) struct View {
    keys: Arc<Keys>,
    /// The first frame that the piece is of.
    frame: usize,
    failure: Mutex<Option<Arc<Error>>>,
}

impl View {
    pub(super) fn new(keys: Arc<Keys>, frame: usize) -> Self {
        Self { keys, frame, failure: Mutex::default() }
    }

    /// Why a key could not be had.
    pub(super) fn failure(&self) -> Option<Arc<Error>> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn part(&self, key: &StoreKey, part: Option<Part>) -> Result<MaybeBytes, StorageError> {
        match self.keys.get(key.as_str(), part, self.frame).await {
            Ok(got) => Ok(got.map(|got| got.body.into())),
            Err(error) => {
                let text = error.to_string();
                self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(Arc::new(error));
                Err(StorageError::Other(text))
            }
        }
    }
}

#[async_trait]
impl AsyncReadableStorageTraits for View {
    async fn get(&self, key: &StoreKey) -> Result<MaybeBytes, StorageError> {
        self.part(key, None).await
    }

    async fn get_partial_many<'a>(
        &'a self,
        key: &StoreKey,
        byte_ranges: ByteRangeIterator<'a>,
    ) -> Result<AsyncMaybeBytesIterator<'a>, StorageError> {
        let wanted: Vec<ByteRange> = byte_ranges.collect();
        let (runs, places) = together(&wanted);
        let fetched = futures_util::future::try_join_all(runs.into_iter().map(|run| self.part(key, Some(run)))).await?;
        let Some(fetched) = fetched.into_iter().collect::<Option<Vec<Bytes>>>() else { return Ok(None) };
        let parts = places.into_iter().map(move |(run, start, length)| {
            let whole = &fetched[run];
            // What ends too early stays too short, which the decoder sees.
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

/// Where a range lies: in which run, from where on, how long.
type Within = (usize, u64, Option<u64>);

/// Ranges that lie close together as few runs, and where each range lies in them.
fn together(wanted: &[ByteRange]) -> (Vec<Part>, Vec<Within>) {
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by_key(|&index| match wanted[index] {
        ByteRange::FromStart(start, _) => start,
        ByteRange::Suffix(_) => u64::MAX,
    });
    let mut runs: Vec<Part> = Vec::new();
    let mut places = vec![(0, 0, None); wanted.len()];
    for index in order {
        let (part, length) = match wanted[index] {
            ByteRange::FromStart(start, length) => (Part::From(start, length), length),
            ByteRange::Suffix(length) => (Part::Last(length), None),
        };
        if let (Some(Part::From(first, Some(held))), Part::From(start, Some(length))) = (runs.last_mut(), part)
            && start <= first.saturating_add(*held).saturating_add(GAP)
        {
            *held = (*held).max(start.saturating_add(length) - *first);
            places[index] = (runs.len() - 1, start - first_of(&runs), Some(length));
            continue;
        }
        runs.push(part);
        places[index] = (runs.len() - 1, 0, length);
    }
    (runs, places)
}

fn first_of(runs: &[Part]) -> u64 {
    match runs.last() {
        Some(Part::From(first, _)) => *first,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_that_lie_close_are_fetched_together() {
        let at = |start, length| ByteRange::FromStart(start, Some(length));
        let far = GAP * 3;
        let (runs, places) =
            together(&[at(far, 5), at(0, 10), at(10, 10), at(30, 2), ByteRange::Suffix(4), ByteRange::FromStart(far * 2, None)]);
        assert_eq!(runs, [Part::From(0, Some(32)), Part::From(far, Some(5)), Part::From(far * 2, None), Part::Last(4)]);
        assert_eq!(places, [(1, 0, Some(5)), (0, 0, Some(10)), (0, 10, Some(10)), (0, 30, Some(2)), (3, 0, None), (2, 0, None)]);
    }

    #[test]
    fn keys_go_into_the_path_and_secrets_stay_in_the_query() {
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
