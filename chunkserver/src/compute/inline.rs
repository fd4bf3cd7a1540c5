//! Compute work of a simulation: on the thread of the runtime, after a pause of simulated time.

use super::Compute;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

/// Runs work on the thread of the runtime.
#[derive(Clone)]
pub(super) struct Inline {
    pause: Arc<dyn Fn() -> Duration + Send + Sync>,
}

impl std::fmt::Debug for Inline {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Inline")
    }
}

impl Inline {
    /// As [`Compute::run`]. As on a pool, the work continues if the caller is cancelled.
    pub(super) async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let pause = (self.pause)();
        let task = tokio::spawn(async move {
            tokio::time::sleep(pause).await;
            catch_unwind(AssertUnwindSafe(work)).ok()
        });
        task.await.ok().flatten()
    }
}

impl Compute {
    /// Computes on the thread of the runtime. Each piece of work takes the simulated time that `pause` returns.
    ///
    /// # Errors
    /// When the system refuses a thread pool.
    pub fn inline(pause: impl Fn() -> Duration + Send + Sync + 'static) -> Result<Self, rayon::ThreadPoolBuildError> {
        // The pool stays idle.
        Ok(Self { inline: Some(Inline { pause: Arc::new(pause) }), ..Self::new(1)? })
    }
}
