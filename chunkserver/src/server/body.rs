//! Bodies of responses that hold memory: sent in pieces, and aborted when the reader takes nothing.

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream::unfold;
use std::future::Future;
use std::io;
use std::time::Duration;
use thiserror::Error;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// Size of a piece in bytes: a reader must take at least one piece within [`crate::worker::STALL_TIMEOUT`].
pub(super) const PIECE_BYTES: usize = 256 << 10;

/// Why a body ends early.
#[derive(Debug, Error)]
pub(super) enum Error {
    #[error("the reader closed the connection")]
    Closed,
    #[error("the reader took less than {PIECE_BYTES} bytes in {} s", .0.as_secs_f32())]
    Stalled(Duration),
    #[error(transparent)]
    Read(#[from] crate::results::Error),
    #[error("the job changed during the response")]
    Replaced,
    #[error("the encoder panicked")]
    Panicked,
}

/// The sender of the pieces of a body.
#[derive(Debug)]
pub(super) struct Pieces {
    sender: mpsc::Sender<Bytes>,
    stall_timeout: Duration,
}

impl Pieces {
    /// Sends `bytes` in pieces.
    ///
    /// # Errors
    /// When the reader takes no piece in time, or has closed the connection.
    pub(super) async fn send(&self, mut bytes: Bytes) -> Result<(), Error> {
        while !bytes.is_empty() {
            let piece = bytes.split_to(bytes.len().min(PIECE_BYTES));
            match timeout(self.stall_timeout, self.sender.send(piece)).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Err(Error::Closed),
                Err(_) => return Err(Error::Stalled(self.stall_timeout)),
            }
        }
        Ok(())
    }
}

/// A body of the pieces that `produce` sends. If `produce` fails, the response is truncated. The memory that `produce` holds is free as soon
/// as the last piece is sent, the reader closes the connection, or the reader stalls. At most two pieces wait outside of `produce`.
pub(super) fn produced<F>(stall_timeout: Duration, produce: impl FnOnce(Pieces) -> F) -> Body
where
    F: Future<Output = Result<(), Error>> + Send + 'static,
{
    let (sender, receiver) = mpsc::channel(1);
    let closed = sender.clone();
    let producing = produce(Pieces { sender, stall_timeout });
    let task = tokio::spawn(async move {
        tokio::select! {
            biased;
            () = closed.closed() => Err(Error::Closed),
            done = producing => done,
        }
    });
    Body::from_stream(unfold((receiver, Some(task)), |(mut receiver, task)| async move {
        if let Some(piece) = receiver.recv().await {
            return Some((Ok(piece), (receiver, task)));
        }
        let error = match task?.await {
            Ok(Ok(())) => return None,
            Ok(Err(error)) => error,
            Err(_) => Error::Panicked,
        };
        tracing::debug!(%error, "a response is truncated");
        Some((Err(io::Error::other(error)), (receiver, None)))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::share::MemoryBudget;
    use axum::body::BodyDataStream;
    use futures_util::{StreamExt as _, TryStreamExt as _};

    const STALL: Duration = Duration::from_secs(5);

    /// A body of `pieces` full pieces that holds the whole budget.
    async fn holding(budget: &MemoryBudget, pieces: usize) -> BodyDataStream {
        let permit = budget.acquire(budget.bytes()).await.expect("the whole budget fits");
        produced(STALL, move |sender| async move {
            let _permit = permit;
            sender.send(vec![7; pieces * PIECE_BYTES].into()).await
        })
        .into_data_stream()
    }

    #[tokio::test(start_paused = true)]
    async fn a_stalled_reader_frees_its_memory_and_gets_a_truncated_response() {
        let budget = MemoryBudget::new(0, 0, 1);
        let mut stalled = holding(&budget, 10).await;
        assert_eq!(stalled.next().await.unwrap().unwrap().len(), PIECE_BYTES);
        // The next reader waits for the timeout of the stalled reader, and no longer.
        let next = tokio::time::timeout(STALL * 2, budget.acquire(1)).await.expect("the stalled reader frees its memory");
        drop(next);
        let rest = stalled.try_collect::<Vec<_>>().await.unwrap_err().to_string();
        assert!(rest.contains("the reader took less than 262144 bytes in 5 s"), "{rest}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_takes_a_piece_in_time_gets_everything() {
        let budget = MemoryBudget::new(0, 0, 1);
        let mut slow = holding(&budget, 10).await;
        let mut received = 0;
        while let Some(piece) = slow.next().await {
            received += piece.unwrap().len();
            tokio::time::sleep(STALL - Duration::from_millis(1)).await;
        }
        assert_eq!(received, 10 * PIECE_BYTES);
        assert!(budget.acquire(budget.bytes()).await.is_some(), "a complete response frees its memory");
    }

    #[tokio::test(start_paused = true)]
    async fn a_closed_connection_frees_its_memory_at_once() {
        let budget = MemoryBudget::new(0, 0, 1);
        let closed = holding(&budget, 10).await;
        drop(closed);
        let next = tokio::time::timeout(STALL / 2, budget.acquire(budget.bytes())).await;
        assert!(next.expect("the memory is free before the timeout").is_some());
    }
}
