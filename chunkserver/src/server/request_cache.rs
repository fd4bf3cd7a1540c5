//! Responses that are computed once for all concurrent requests and kept for a short time: ten open pages cost as much as one.

use bytes::Bytes;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::OnceCell;
use tokio::time::Instant;

/// Lifetime of a response in the cache.
const LIFETIME: Duration = Duration::from_millis(500);
/// Most responses in the cache, including those that are being computed.
const CAPACITY: usize = 16;

/// A response and the time when it was computed; empty while it is being computed.
type Entry = Arc<OnceCell<(Instant, Bytes)>>;

/// A cache of responses by request.
#[derive(Debug, Default)]
pub(super) struct RequestCache {
    entries: Mutex<Vec<(String, Entry)>>,
}

impl RequestCache {
    /// The cached response of `key`, or the result of `compute`. Concurrent requests of one key share one computation.
    pub(super) async fn get(&self, key: String, compute: impl Future<Output = Vec<u8>>) -> Bytes {
        // If the caller is cancelled, the next caller restarts the work.
        let entry = self.entry(key);
        let response = entry.get_or_init(|| async {
            let bytes = compute.await;
            (Instant::now(), bytes.into())
        });
        response.await.1.clone()
    }

    fn entry(&self, key: String) -> Entry {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.retain(|(_, entry)| entry.get().is_none_or(|(computed, _)| computed.elapsed() < LIFETIME));
        if let Some((_, entry)) = entries.iter().find(|(known, _)| *known == key) {
            return Arc::clone(entry);
        }
        if entries.len() >= CAPACITY {
            entries.remove(0);
        }
        let entry = Entry::default();
        entries.push((key, Arc::clone(&entry)));
        entry
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[tokio::test(start_paused = true)]
    async fn concurrent_requests_share_a_response() {
        let (cache, computed) = (RequestCache::default(), AtomicUsize::new(0));
        let request = |key: &str| {
            cache.get(key.to_owned(), async {
                tokio::time::sleep(Duration::from_millis(100)).await;
                vec![computed.fetch_add(1, Ordering::Relaxed) as u8]
            })
        };
        let (first, second, other) = tokio::join!(request("a"), request("a"), request("b"));
        assert_eq!((&first, computed.load(Ordering::Relaxed)), (&second, 2));
        assert_ne!(first, other);
        tokio::time::sleep(LIFETIME - Duration::from_millis(1)).await;
        assert_eq!(request("a").await, first, "the response is still in the cache");
        tokio::time::sleep(Duration::from_millis(2)).await;
        assert_eq!(request("a").await[..], [2]);
        // A cancelled caller does not block the next caller.
        assert!(tokio::time::timeout(Duration::from_millis(50), request("c")).await.is_err());
        assert_eq!(request("c").await[..], [3]);
        for number in 0..100 {
            request(&number.to_string()).await;
        }
        assert!(cache.entries.lock().unwrap().len() <= CAPACITY);
    }
}
