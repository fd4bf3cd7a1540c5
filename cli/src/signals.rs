//! Signals that stop a command.

use futures_util::FutureExt as _;
use futures_util::future::select_all;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGINT (Ctrl-C), SIGTERM and SIGHUP. From the registration on, they do not end the process.
#[derive(Debug)]
pub(crate) struct Signals(Vec<Signal>);

impl Signals {
    /// Registers the signals. A command registers them before it creates files that a signal must remove.
    pub(crate) fn register() -> Self {
        let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        Self(kinds.into_iter().filter_map(|kind| signal(kind).ok()).collect())
    }

    /// Waits for the first signal since the registration.
    pub(crate) async fn received(mut self) {
        if self.0.is_empty() {
            std::future::pending::<()>().await;
        }
        select_all(self.0.iter_mut().map(|signal| async move { signal.recv().await }.boxed())).await;
    }
}

/// Waits for the first signal.
pub(crate) async fn interrupted() {
    Signals::register().received().await;
}
