//! What a reader is given: bytes that are here, and bytes that are still on their way from a peer, one after another.

use super::{Error, changed};
use crate::share::{Permit, with_permit};
use bytes::Bytes;
use futures_util::stream::{BoxStream, StreamExt as _, TryStreamExt as _};
use std::fmt;
use std::ops::Range;

/// Some bytes of a content.
pub enum Piece {
    /// They are here.
    Here(Bytes),
    /// A peer sends them.
    Coming {
        /// How many.
        length: u64,
        /// They, as they come.
        stream: BoxStream<'static, Result<Bytes, Error>>,
    },
}

impl fmt::Debug for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if matches!(self, Self::Here(_)) { "Here" } else { "Coming" };
        f.debug_tuple(kind).field(&self.length()).finish()
    }
}

impl Piece {
    /// The body of server `server`'s answer. Without a length it counts as empty: a server always says it.
    pub(super) fn of(response: reqwest::Response, server: usize) -> Self {
        let length = response.content_length().unwrap_or(0);
        let stream = response.bytes_stream().map_err(move |error| Error::Peer { server, source: error.into() }).boxed();
        Self::Coming { length, stream }
    }

    /// Number of bytes.
    pub fn length(&self) -> u64 {
        match self {
            Self::Here(bytes) => bytes.len() as u64,
            Self::Coming { length, .. } => *length,
        }
    }

    /// The bytes, as they come.
    pub(super) fn into_stream(self) -> BoxStream<'static, Result<Bytes, Error>> {
        match self {
            Self::Here(bytes) => futures_util::stream::once(std::future::ready(Ok(bytes))).boxed(),
            Self::Coming { stream, .. } => stream,
        }
    }

    /// These of its bytes.
    fn cut(self, range: Range<u64>) -> Self {
        match self {
            Self::Here(bytes) => Self::Here(bytes.slice(range.start as usize..range.end as usize)),
            Self::Coming { stream, .. } => {
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
                Self::Coming { length: range.end - range.start, stream }
            }
        }
    }
}

/// What a reader is given.
#[derive(Debug)]
pub struct Content {
    pub(super) pieces: Vec<Piece>,
    /// Its part of the readers' memory.
    pub(super) permit: Option<Permit>,
}

impl From<Vec<Piece>> for Content {
    fn from(pieces: Vec<Piece>) -> Self {
        Self { pieces, permit: None }
    }
}

impl From<Vec<u8>> for Content {
    fn from(bytes: Vec<u8>) -> Self {
        vec![Piece::Here(bytes.into())].into()
    }
}

impl Content {
    /// Number of bytes.
    pub fn length(&self) -> u64 {
        self.pieces.iter().map(Piece::length).sum()
    }

    /// These of its bytes.
    pub fn cut(self, range: &Range<u64>) -> Self {
        let mut start = 0;
        let pieces = self.pieces.into_iter().filter_map(|piece| {
            let (first, length) = (start, piece.length());
            start += length;
            let own = range.start.clamp(first, start) - first..range.end.clamp(first, start) - first;
            if own == (0..length) { Some(piece) } else { (!own.is_empty()).then(|| piece.cut(own)) }
        });
        Self { pieces: pieces.collect(), permit: self.permit }
    }

    /// The bytes as they are: here, or as they come. The bytes hold the permit.
    pub fn into_body(mut self) -> Result<Bytes, BoxStream<'static, Result<Bytes, Error>>> {
        let permit = self.permit;
        match (self.pieces.pop(), self.pieces.is_empty()) {
            (None, _) => Ok(Bytes::new()),
            (Some(Piece::Here(bytes)), true) => Ok(with_permit(bytes, permit)),
            (Some(last), _) => {
                self.pieces.push(last);
                let all = futures_util::stream::iter(self.pieces).flat_map(Piece::into_stream);
                Err(all.inspect(move |_| _ = &permit).boxed())
            }
        }
    }

    /// The bytes, all of them here.
    ///
    /// # Errors
    /// When a peer is lost meanwhile.
    pub async fn into_vec(self) -> Result<Vec<u8>, Error> {
        let total = usize::try_from(self.length()).unwrap_or(usize::MAX);
        let mut all = Vec::new();
        for piece in self.pieces {
            match piece {
                // Nobody else has it: it is had as it is.
                Piece::Here(bytes) if bytes.len() == total && bytes.is_unique() => all = bytes.into(),
                Piece::Here(bytes) => {
                    all.reserve_exact(total - all.len());
                    all = changed(bytes.len(), all, move |all| all.extend_from_slice(&bytes)).await;
                }
                Piece::Coming { mut stream, .. } => {
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

    /// Bytes 0 to 9: three here, five that come two by two, two here.
    fn content() -> Content {
        let coming = |bytes: &'static [u8]| Ok(Bytes::from_static(bytes));
        let stream = futures_util::stream::iter([coming(&[3, 4]), coming(&[5, 6]), coming(&[7])]).boxed();
        let here = |bytes: &'static [u8]| Piece::Here(Bytes::from_static(bytes));
        vec![here(&[0, 1, 2]), Piece::Coming { length: 5, stream }, here(&[8, 9])].into()
    }

    #[tokio::test]
    async fn every_range_is_what_a_slice_is() {
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
    async fn what_breaks_off_is_an_error() {
        let stream = futures_util::stream::iter([Ok(Bytes::from_static(&[1])), Err(Error::PeerAbsent(1))]).boxed();
        let broken = Content::from(vec![Piece::Coming { length: 2, stream }]);
        assert!(matches!(broken.into_vec().await, Err(Error::PeerAbsent(1))));
    }
}
