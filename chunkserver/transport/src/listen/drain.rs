//! A least rate for the readers of responses. Responses hold memory of the job until the client has read them.

use std::future::Future as _;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// Bytes that a client takes at least within the timeout.
const LEAST_BYTES: usize = 256 << 10;

/// A stream whose writes fail when they have waited for the whole timeout in sum, and the client has taken less than [`LEAST_BYTES`] since
/// the first of these waits. Only the waits of writes count, so a response that is still being computed has no limit.
pub(super) struct Drain<S> {
    stream: S,
    timeout: Duration,
    /// The end of the timeout; set when a write becomes pending.
    deadline: Pin<Box<Sleep>>,
    /// When the pending write began to wait.
    waits_since: Option<Instant>,
    /// Sum of the waits since the count of bytes began.
    waited: Duration,
    bytes: usize,
}

impl<S> Drain<S> {
    pub(super) fn new(stream: S, timeout: Duration) -> Self {
        Self { stream, timeout, deadline: Box::pin(sleep(timeout)), waits_since: None, waited: Duration::ZERO, bytes: 0 }
    }

    /// The result of a write of `bytes(result)` bytes, or the timeout if the client is too slow.
    fn check<T>(&mut self, written: Poll<io::Result<T>>, bytes: impl Fn(&T) -> usize, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        if let Poll::Ready(result) = &written {
            if let Some(since) = self.waits_since.take() {
                self.waited += since.elapsed();
            }
            self.bytes += result.as_ref().map_or(0, bytes);
            if self.bytes >= LEAST_BYTES {
                (self.waited, self.bytes) = (Duration::ZERO, 0);
            }
            return written;
        }
        if self.waits_since.is_none() {
            let now = Instant::now();
            self.waits_since = Some(now);
            self.deadline.as_mut().reset(now + self.timeout.saturating_sub(self.waited));
        }
        ready!(self.deadline.as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not read the response")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Drain<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Drain<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write(context, bytes);
        this.check(written, |&bytes| bytes, context)
    }

    fn poll_write_vectored(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write_vectored(context, bytes);
        this.check(written, |&bytes| bytes, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = Pin::new(&mut this.stream).poll_flush(context);
        this.check(flushed, |()| 0, context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    const TIMEOUT: Duration = Duration::from_secs(20);

    /// Writes `total` bytes to a client that reads `bytes` bytes in each `pause`.
    async fn write(total: usize, bytes: usize, pause: Duration) -> io::Result<()> {
        let (near, mut far) = tokio::io::duplex(4 << 10);
        let mut near = Drain::new(near, TIMEOUT);
        let reading = tokio::spawn(async move {
            let mut read = vec![0; bytes];
            while far.read_exact(&mut read).await.is_ok() {
                tokio::time::sleep(pause).await;
            }
        });
        let written = near.write_all(&vec![7; total]).await;
        reading.abort();
        written
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_reads_nothing_times_out() {
        let start = Instant::now();
        let error = write(1 << 20, 1, TIMEOUT * 9).await.unwrap_err();
        assert_eq!((error.kind(), start.elapsed().as_secs()), (io::ErrorKind::TimedOut, TIMEOUT.as_secs()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_below_the_least_rate_times_out() {
        // 5120 bytes each second: 100 KiB in the timeout.
        let start = Instant::now();
        assert!(write(1 << 20, 5 << 10, Duration::from_secs(1)).await.is_err());
        assert!(start.elapsed() <= TIMEOUT + Duration::from_secs(1), "{:?}", start.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_client_above_the_least_rate_gets_everything() {
        let start = Instant::now();
        write(4 << 20, 16 << 10, Duration::from_secs(1)).await.unwrap();
        assert!(start.elapsed() > TIMEOUT * 10, "{:?}", start.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_between_writes_does_not_count() {
        let (near, mut far) = tokio::io::duplex(4);
        let mut near = Drain::new(near, TIMEOUT);
        for _ in 0..5 {
            let (written, read) = tokio::join!(near.write_all(b"12345678"), async {
                tokio::time::sleep(Duration::from_secs(3)).await;
                let mut all = [0; 8];
                far.read_exact(&mut all).await.map(|_| all)
            });
            written.unwrap();
            assert_eq!(&read.unwrap(), b"12345678");
            // Longer than the timeout: the server computes.
            tokio::time::sleep(TIMEOUT * 2).await;
        }
    }
}
