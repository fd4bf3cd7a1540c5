//! Exponential backoff with random jitter. The wait is not shorter than the server's `Retry-After`.

use std::hash::{BuildHasher as _, RandomState};
use std::time::{Duration, SystemTime};

/// Longest wait without a `Retry-After`.
const LONGEST: Duration = Duration::from_secs(10);
/// Longest wait with a `Retry-After`.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(60);

/// The wait after failure number `attempt`, from 1.
pub(super) fn wait(base: Duration, attempt: u32, retry_after: Option<Duration>, url: &str) -> Duration {
    let doubled = base.saturating_mul(1 << (attempt - 1).min(20)).min(LONGEST);
    // A random value from half to all of the wait, so that hundreds of clients do not retry at the same time. The hasher's state is random.
    let hash = RandomState::new().hash_one((url, attempt, SystemTime::now()));
    let jittered = doubled.mul_f64(0.5 + (hash >> 33) as f64 / (1_u64 << 32) as f64);
    jittered.max(retry_after.unwrap_or_default().min(LONGEST_RETRY_AFTER))
}

/// Parses a `Retry-After` header: seconds or a date.
pub(super) fn retry_after(header: &str, now: SystemTime) -> Option<Duration> {
    let header = header.trim();
    if let Ok(seconds) = header.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(header).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_and_stay_within_bounds() {
        let base = Duration::from_millis(100);
        for (attempt, full) in [(1, 100), (2, 200), (3, 400), (8, 10_000), (40, 10_000)] {
            for _ in 0..100 {
                let wait = wait(base, attempt, None, "http://h/").as_millis();
                assert!((full / 2..=full).contains(&wait), "{wait} ms of {full}");
            }
        }
    }

    #[test]
    fn a_retry_after_is_limited_to_a_minute() {
        let base = Duration::from_millis(1);
        assert_eq!(wait(base, 1, Some(Duration::from_secs(5)), ""), Duration::from_secs(5));
        assert_eq!(wait(base, 1, Some(Duration::from_secs(3600)), ""), Duration::from_secs(60));
        let huge = retry_after("18446744073709551615", SystemTime::UNIX_EPOCH);
        assert_eq!(wait(base, 1, huge, ""), Duration::from_secs(60));
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        let check = |header, seconds: Option<u64>| {
            assert_eq!(retry_after(header, now), seconds.map(Duration::from_secs));
        };
        check("0", Some(0));
        check(" 120 ", Some(120));
        check("Sun, 06 Nov 1994 08:49:47 GMT", Some(10));
        check("Sun, 06 Nov 1994 08:49:27 GMT", Some(0));
        check("soon", None);
        check("-1", None);
    }
}
