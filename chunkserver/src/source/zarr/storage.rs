//! The storage that the decoder reads from: one chunk of an array, in ranges.

use super::keys::Keys;
use crate::source::{BodyRange, Error};
use async_trait::async_trait;
use std::sync::{Arc, Mutex, PoisonError};
use zarrs::storage::byte_range::{ByteRange, ByteRangeIterator};
use zarrs::storage::{AsyncMaybeBytesIterator, AsyncReadableStorageTraits, Bytes, MaybeBytes, StorageError, StoreKey};

/// Largest gap between two ranges, in bytes, that is fetched with them: cheaper than another request.
const GAP: u64 = 64 << 10;

/// The storage that the decoder of one piece reads from. Keeps the source's error, which the decoder returns only as text.
pub(super) struct ChunkStorage {
    keys: Arc<Keys>,
    expected: Expected,
    /// Length of the object that contains the piece, once a response states it.
    total: Mutex<Option<u64>>,
    failure: Mutex<Option<Arc<Error>>>,
}

/// What the decoder of one piece reads.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expected {
    /// The first frame that needs the piece.
    pub(super) frame: usize,
    /// Bytes of the stored chunk, if it is not compressed.
    pub(super) stored: Option<u64>,
    /// Largest response, in bytes.
    pub(super) largest: u64,
}

impl ChunkStorage {
    pub(super) fn new(keys: Arc<Keys>, expected: Expected) -> Self {
        Self { keys, expected, total: Mutex::new(expected.stored), failure: Mutex::default() }
    }

    /// The first failed fetch.
    pub(super) fn failure(&self) -> Option<Arc<Error>> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn read(&self, key: &StoreKey, range: Option<BodyRange>) -> Result<MaybeBytes, StorageError> {
        if let (Some(BodyRange::From(start, Some(length))), Some(total)) = (range, self.total())
            && start.checked_add(length).is_none_or(|end| end > total)
        {
            return Err(damaged(format!("bytes {start} to {} are needed, but it has {total}", start.saturating_add(length))));
        }
        match self.keys.get(key.as_str(), range, self.expected.frame, self.expected.largest).await {
            Ok(Some(value)) => {
                let length = value.total.or_else(|| range.is_none().then_some(value.body.len() as u64));
                self.check_total(length)?;
                Ok(Some(value.body.into()))
            }
            Ok(None) => Ok(None),
            Err(error) if error.is_beyond_the_end() => Err(damaged("it ends before the bytes that are needed".into())),
            Err(error) => {
                let text = error.to_string();
                self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(Arc::new(error));
                Err(StorageError::Other(text))
            }
        }
    }

    fn total(&self) -> Option<u64> {
        *self.total.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Compares the length of the object with the length of an uncompressed chunk, and with the length in earlier responses.
    fn check_total(&self, found: Option<u64>) -> Result<(), StorageError> {
        let Some(found) = found else { return Ok(()) };
        let total = *self.total.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(found);
        match self.expected.stored {
            _ if total == found => Ok(()),
            Some(stored) => Err(damaged(format!("it has {found} bytes, but an uncompressed chunk has {stored}"))),
            None => Err(damaged(format!("its length changed from {total} to {found} bytes between two requests"))),
        }
    }
}

/// An error of the chunk, not of the source.
fn damaged(message: String) -> StorageError {
    StorageError::Other(message)
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
}
