//! Limits of a body while it arrives: its size, the longest silence, and the least rate.

use super::error::Reason;
use std::pin::pin;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// The limits of one attempt.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Largest body, encoded and decoded, in bytes.
    pub(super) max_bytes: u64,
    /// Longest time without a received byte.
    pub(super) silence: Duration,
    /// Least bytes per second; 0 for no limit.
    pub(super) min_rate: u64,
    /// Time over which the rate is measured.
    pub(super) window: Duration,
}

/// Whether a `Content-Type` is that of a page.
pub(super) fn is_html(content_type: &str) -> bool {
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    ["text/html", "application/xhtml+xml"].iter().any(|html| media_type.eq_ignore_ascii_case(html))
}

/// Watches a body while it arrives.
pub(super) struct Reader<'a> {
    limits: &'a Limits,
    /// Start of the current window.
    started: Instant,
    /// Bytes in the current window.
    bytes: u64,
}

impl<'a> Reader<'a> {
    pub(super) fn new(limits: &'a Limits) -> Self {
        Self { limits, started: Instant::now(), bytes: 0 }
    }

    /// Waits for the next part of the body.
    pub(super) async fn wait<T>(&mut self, part: impl Future<Output = T>) -> Result<T, Reason> {
        let mut part = pin!(part);
        let silent = Instant::now() + self.limits.silence;
        loop {
            let end = if self.limits.min_rate > 0 { silent.min(self.started + self.limits.window) } else { silent };
            if let Ok(part) = timeout_at(end, part.as_mut()).await {
                return Ok(part);
            }
            self.check()?;
            if Instant::now() >= silent {
                return Err(Reason::Silent { timeout: self.limits.silence });
            }
        }
    }

    /// Counts received bytes.
    pub(super) fn count(&mut self, bytes: usize) -> Result<(), Reason> {
        self.bytes += bytes as u64;
        self.check()
    }

    /// At the end of a window: compares the rate, and starts the next window.
    fn check(&mut self) -> Result<(), Reason> {
        let Limits { min_rate, window, .. } = *self.limits;
        let elapsed = self.started.elapsed();
        if min_rate == 0 || elapsed < window {
            return Ok(());
        }
        let rate = (self.bytes as f64 / elapsed.as_secs_f64()) as u64;
        if rate < min_rate {
            return Err(Reason::Slow { rate, least: min_rate, window });
        }
        (self.started, self.bytes) = (Instant::now(), 0);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::sleep;

    async fn read(limits: &Limits, parts: usize, pause: Duration, bytes: usize) -> Result<(), Reason> {
        let mut reader = Reader::new(limits);
        for _ in 0..parts {
            reader.wait(sleep(pause)).await?;
            reader.count(bytes)?;
        }
        Ok(())
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_body_ends_after_one_window() {
        let second = Duration::from_secs(1);
        let limits = Limits { max_bytes: 1 << 20, silence: 30 * second, min_rate: 1024, window: 30 * second };
        let started = Instant::now();
        let slow = |rate| Err(Reason::Slow { rate, least: 1024, window: limits.window });
        assert_eq!(read(&limits, 100, second, 1).await, slow(1));
        assert!(started.elapsed() < limits.window + second);
        // Silence is the slowest rate.
        assert_eq!(read(&limits, 1, 100 * second, 1).await, slow(0));
        assert_eq!(read(&limits, 100, second, 1025).await, Ok(()));
        assert_eq!(read(&limits, 29, second, 1).await, Ok(()), "a short body ends within the first window");
        let unlimited = Limits { min_rate: 0, ..limits };
        assert_eq!(read(&unlimited, 100, second, 1).await, Ok(()));
        assert_eq!(read(&unlimited, 1, 100 * second, 1).await, Err(Reason::Silent { timeout: limits.silence }));
    }
}
