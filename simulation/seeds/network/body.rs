//! The body of a response on its way.

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, Sleep};

/// A part of a response.
#[derive(Debug)]
pub(super) enum Piece {
    Data(Bytes),
    /// The response is complete.
    End,
    Failed(io::Error),
}

/// The receiving end of a response. Applies the timeouts of the receiver.
pub(super) struct Incoming {
    pieces: mpsc::Receiver<Piece>,
    /// Bytes that are still expected, if the sender stated the length.
    left: Option<u64>,
    silence: Option<Duration>,
    /// Ends at the next timeout.
    timer: Pin<Box<Sleep>>,
    /// The end of the whole request.
    deadline: Option<Instant>,
    ended: bool,
}

impl Incoming {
    pub(super) fn new(pieces: mpsc::Receiver<Piece>, left: Option<u64>, silence: Option<Duration>, deadline: Option<Instant>) -> Self {
        let timer = Box::pin(tokio::time::sleep_until(next(silence, deadline)));
        Self { pieces, left, silence, timer, deadline, ended: false }
    }
}

/// The next timeout.
fn next(silence: Option<Duration>, deadline: Option<Instant>) -> Instant {
    let now = Instant::now();
    let far = now + Duration::from_secs(1 << 20);
    silence.map_or(far, |silence| now + silence).min(deadline.unwrap_or(far))
}

impl Body for Incoming {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let piece = match self.pieces.poll_recv(context) {
            Poll::Ready(piece) => piece,
            Poll::Pending => {
                std::task::ready!(self.timer.as_mut().poll(context));
                Some(Piece::Failed(io::ErrorKind::TimedOut.into()))
            }
        };
        let failed = match piece {
            Some(Piece::Data(data)) => {
                let next = next(self.silence, self.deadline);
                self.timer.as_mut().reset(next);
                if let Some(left) = &mut self.left {
                    *left = left.saturating_sub(data.len() as u64);
                }
                return Poll::Ready(Some(Ok(Frame::data(data))));
            }
            Some(Piece::End) if self.left.is_none_or(|left| left == 0) => None,
            Some(Piece::End) | None => Some(io::ErrorKind::UnexpectedEof.into()),
            Some(Piece::Failed(error)) => Some(error),
        };
        self.ended = true;
        Poll::Ready(failed.map(Err))
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }
}
