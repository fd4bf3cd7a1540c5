//! Bodies of responses that are computed while they are sent.

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream::unfold;
use std::future::Future;
use std::io;
use thiserror::Error;
use tokio::sync::mpsc;

/// Why a body ends early.
#[derive(Debug, Error)]
pub(super) enum Error {
    #[error("the reader closed the connection")]
    Closed,
    #[error(transparent)]
    Read(#[from] crate::results::Error),
    #[error("the job changed during the response")]
    Replaced,
    #[error("the encoder panicked")]
    Panicked,
}

/// The sender of the pieces of a body.
#[derive(Debug)]
pub(super) struct Pieces(mpsc::Sender<Bytes>);

impl Pieces {
    /// Waits until the connection takes the piece before, then sends `bytes`. The connection ends when its reader is too slow.
    ///
    /// # Errors
    /// When the connection has ended.
    pub(super) async fn send(&self, bytes: Bytes) -> Result<(), Error> {
        if bytes.is_empty() { Ok(()) } else { self.0.send(bytes).await.map_err(|_| Error::Closed) }
    }
}

/// A body of the pieces that `produce` sends. If `produce` fails, the response is truncated; if the connection ends, `produce` is dropped. At
/// most two pieces wait outside of `produce`.
pub(super) fn produced<F>(produce: impl FnOnce(Pieces) -> F) -> Body
where
    F: Future<Output = Result<(), Error>> + Send + 'static,
{
    let (sender, receiver) = mpsc::channel(1);
    let closed = sender.clone();
    let producing = produce(Pieces(sender));
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
    use futures_util::{StreamExt as _, TryStreamExt as _};

    #[tokio::test]
    async fn pieces_arrive_in_order_and_a_failure_truncates_the_response() {
        let body = produced(|pieces| async move {
            for piece in ["1", "", "2"] {
                pieces.send(piece.into()).await?;
            }
            Err(Error::Replaced)
        });
        let mut stream = body.into_data_stream();
        assert_eq!(stream.next().await.unwrap().unwrap(), "1");
        assert_eq!(stream.next().await.unwrap().unwrap(), "2");
        let error = stream.try_collect::<Vec<_>>().await.unwrap_err().to_string();
        assert!(error.contains("the job changed during the response"), "{error}");
    }

    #[tokio::test]
    async fn a_closed_connection_frees_the_memory_of_the_producer() {
        let budget = MemoryBudget::new(0, 0, 1);
        let permit = budget.acquire(budget.bytes()).await.expect("the whole budget fits");
        let body = produced(|_pieces| async move {
            let _permit = permit;
            std::future::pending().await
        });
        drop(body);
        assert!(budget.acquire(budget.bytes()).await.is_some());
    }
}
