//! Counters of the bytes that a server has received and sent since its start.

use hyper::body::{Body, Frame, SizeHint};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

/// The counters.
#[derive(Debug, Default)]
pub struct Traffic {
    received: AtomicU64,
    sent: AtomicU64,
}

impl Traffic {
    /// Counts bytes received, from the source or from a peer.
    pub fn received(&self, bytes: usize) {
        self.received.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Bytes received, bytes sent.
    pub fn bytes(&self) -> (u64, u64) {
        (self.received.load(Ordering::Relaxed), self.sent.load(Ordering::Relaxed))
    }

    /// Wraps a body so that its bytes are counted when they are sent.
    pub fn counted(self: &Arc<Self>, body: axum::body::Body) -> axum::body::Body {
        if body.size_hint().exact() == Some(0) {
            return body;
        }
        axum::body::Body::new(Counted { body, traffic: Arc::clone(self) })
    }
}

struct Counted {
    body: axum::body::Body,
    traffic: Arc<Traffic>,
}

impl Body for Counted {
    type Data = bytes::Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
        {
            self.traffic.sent.fetch_add(data.len() as u64, Ordering::Relaxed);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt as _;

    #[tokio::test]
    async fn sent_bytes_are_counted_and_unchanged() {
        let traffic = Arc::new(Traffic::default());
        let body = traffic.counted("twelve bytes".into());
        assert_eq!((body.size_hint().exact(), traffic.bytes()), (Some(12), (0, 0)));
        assert_eq!(&body.collect().await.unwrap().to_bytes()[..], b"twelve bytes");
        let parts = ["a", "bc"].map(Ok::<_, std::io::Error>);
        let body = traffic.counted(axum::body::Body::from_stream(futures_util::stream::iter(parts)));
        assert_eq!(&body.collect().await.unwrap().to_bytes()[..], b"abc");
        traffic.received(5);
        assert_eq!(traffic.bytes(), (5, 15));
    }
}
