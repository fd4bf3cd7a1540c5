//! The body of a response to a reader: bytes in memory, and bytes that a peer is still sending, in sequence.

use super::{Error, modified};
use crate::share::{Permit, with_permit};
use bytes::Bytes;
use futures_util::stream::{BoxStream, StreamExt as _, TryStreamExt as _};
use std::fmt;
use std::ops::Range;

/// Consecutive bytes of a content.
pub enum Fragment {
    /// Bytes in memory.
    Ready(Bytes),
    /// Bytes that a peer is sending.
    Incoming {
        /// Number of bytes.
        length: u64,
        /// The bytes, in messages of any size.
        stream: BoxStream<'static, Result<Bytes, Error>>,
    },
}

impl fmt::Debug for Fragment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if matches!(self, Self::Ready(_)) { "Ready" } else { "Incoming" };
        f.debug_tuple(kind).field(&self.length()).finish()
    }
}

impl Fragment {
    /// The body of server `server`'s response. A response without `Content-Length` counts as empty: servers always send the length.
    pub(super) fn of(response: reqwest::Response, server: usize) -> Self {
        let length = response.content_length().unwrap_or(0);
        let stream = response.bytes_stream().map_err(move |error| Error::Peer { server, source: error.into() }).boxed();
        Self::Incoming { length, stream }
    }

    /// Number of bytes.
    pub fn length(&self) -> u64 {
        match self {
            Self::Ready(bytes) => bytes.len() as u64,
            Self::Incoming { length, .. } => *length,
        }
    }

    /// The bytes as a stream of messages.
    pub(super) fn into_stream(self) -> BoxStream<'static, Result<Bytes, Error>> {
        match self {
            Self::Ready(bytes) => futures_util::stream::once(std::future::ready(Ok(bytes))).boxed(),
            Self::Incoming { stream, .. } => stream,
        }
    }

    /// The bytes `range` of the fragment.
    fn cut(self, range: Range<u64>) -> Self {
        match self {
            Self::Ready(bytes) => Self::Ready(bytes.slice(range.start as usize..range.end as usize)),
            Self::Incoming { stream, .. } => {
                let mut at = 0;
                let wanted = range.clone();
                let within = move |bytes: Bytes| {
                    let (start, length) = (at, bytes.len() as u64);
                    at += length;
                    let first = wanted.start.clamp(start, at) - start;
                    let last = wanted.end.clamp(start, at) - start;
                    bytes.slice(first as usize..last as usize)
                };
                let stream = stream.map_ok(within).try_filter(|bytes| std::future::ready(!bytes.is_empty())).boxed();
                Self::Incoming { length: range.end - range.start, stream }
            }
        }
    }
}

/// The body of a response.
#[derive(Debug)]
pub struct Content {
    pub(super) fragments: Vec<Fragment>,
    /// The response's share of the memory for readers.
    pub(super) permit: Option<Permit>,
}

impl From<Vec<Fragment>> for Content {
    fn from(fragments: Vec<Fragment>) -> Self {
        Self { fragments, permit: None }
    }
}

impl From<Vec<u8>> for Content {
    fn from(bytes: Vec<u8>) -> Self {
        vec![Fragment::Ready(bytes.into())].into()
    }
}

impl Content {
    /// Number of bytes.
    pub fn length(&self) -> u64 {
        self.fragments.iter().map(Fragment::length).sum()
    }

    /// The bytes `range` of the content.
    pub fn cut(self, range: &Range<u64>) -> Self {
        let mut start = 0;
        let fragments = self.fragments.into_iter().filter_map(|fragment| {
            let (first, length) = (start, fragment.length());
            start += length;
            let own = range.start.clamp(first, start) - first..range.end.clamp(first, start) - first;
            if own == (0..length) { Some(fragment) } else { (!own.is_empty()).then(|| fragment.cut(own)) }
        });
        Self { fragments: fragments.collect(), permit: self.permit }
    }

    /// The bytes, or a stream if a peer is still sending some. Both hold the permit.
    pub fn into_body(mut self) -> Result<Bytes, BoxStream<'static, Result<Bytes, Error>>> {
        let permit = self.permit;
        match (self.fragments.pop(), self.fragments.is_empty()) {
            (None, _) => Ok(Bytes::new()),
            (Some(Fragment::Ready(bytes)), true) => Ok(with_permit(bytes, permit)),
            (Some(last), _) => {
                self.fragments.push(last);
                let all = futures_util::stream::iter(self.fragments).flat_map(Fragment::into_stream);
                Err(all.inspect(move |_| _ = &permit).boxed())
            }
        }
    }

    /// Receives all bytes.
    ///
    /// # Errors
    /// When a peer is lost during the transfer.
    pub async fn into_vec(self) -> Result<Vec<u8>, Error> {
        let total = usize::try_from(self.length()).unwrap_or(usize::MAX);
        let mut all = Vec::new();
        for fragment in self.fragments {
            match fragment {
                // The only reference: the bytes are moved, not copied.
                Fragment::Ready(bytes) if bytes.len() == total && bytes.is_unique() => all = bytes.into(),
                Fragment::Ready(bytes) => {
                    all.reserve_exact(total - all.len());
                    all = modified(bytes.len(), all, move |all| all.extend_from_slice(&bytes)).await;
                }
                Fragment::Incoming { mut stream, .. } => {
                    all.reserve_exact(total - all.len());
                    while let Some(bytes) = stream.try_next().await? {
                        all.extend_from_slice(&bytes);
                    }
                }
            }
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes 0 to 9: three in memory, five from a stream in messages of two, two in memory.
    fn content() -> Content {
        let message = |bytes: &'static [u8]| Ok(Bytes::from_static(bytes));
        let stream = futures_util::stream::iter([message(&[3, 4]), message(&[5, 6]), message(&[7])]).boxed();
        let ready = |bytes: &'static [u8]| Fragment::Ready(Bytes::from_static(bytes));
        vec![ready(&[0, 1, 2]), Fragment::Incoming { length: 5, stream }, ready(&[8, 9])].into()
    }

    #[tokio::test]
    async fn every_range_equals_the_slice() {
        let all: Vec<u8> = (0..10).collect();
        assert_eq!((content().length(), content().into_vec().await.unwrap()), (10, all.clone()));
        for start in 0..10 {
            for end in start..=10 {
                let cut = content().cut(&(start as u64..end as u64));
                assert_eq!(cut.length(), (end - start) as u64);
                let bytes = match cut.into_body() {
                    Ok(bytes) => bytes.to_vec(),
                    Err(stream) => stream.try_collect::<Vec<_>>().await.unwrap().concat(),
                };
                assert_eq!(bytes, all[start..end], "{start}..{end}");
            }
        }
    }

    #[tokio::test]
    async fn an_interrupted_transfer_is_an_error() {
        let stream = futures_util::stream::iter([Ok(Bytes::from_static(&[1])), Err(Error::PeerAbsent(1))]).boxed();
        let broken = Content::from(vec![Fragment::Incoming { length: 2, stream }]);
        assert!(matches!(broken.into_vec().await, Err(Error::PeerAbsent(1))));
    }
}
