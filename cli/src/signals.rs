//! Signals that stop a command.

use futures_util::FutureExt as _;
use futures_util::future::select_all;
use tokio::signal::unix::{SignalKind, signal};

/// Waits for the first of SIGINT (Ctrl-C), SIGTERM and SIGHUP.
pub(crate) async fn interrupted() {
    let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
    let signals: Vec<_> = kinds.into_iter().filter_map(|kind| signal(kind).ok()).collect();
    if signals.is_empty() {
        std::future::pending::<()>().await;
    }
    select_all(signals.into_iter().map(|mut signal| async move { signal.recv().await }.boxed())).await;
}
