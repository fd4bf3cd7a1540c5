//! CPU work, apart from the threads that answer HTTP: a pool of its own, and scratch that is lent, not made anew.

use rayon::{ThreadPool, ThreadPoolBuilder};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::oneshot;

/// The pool. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Compute {
    pool: Arc<ThreadPool>,
}

impl Compute {
    /// A pool of `threads` threads.
    ///
    /// # Errors
    /// When the system gives no threads.
    pub fn new(threads: usize) -> Result<Self, rayon::ThreadPoolBuildError> {
        let pool = ThreadPoolBuilder::new().num_threads(threads).thread_name(|i| format!("compute-{i}")).build()?;
        Ok(Self { pool: Arc::new(pool) })
    }

    /// Number of threads.
    pub fn threads(&self) -> usize {
        self.pool.current_num_threads()
    }

    /// Runs `work` on a thread of the pool; `None` when it panicked, which is a bug of ours and printed as one.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let (sender, receiver) = oneshot::channel();
        self.pool.spawn(move || {
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
            // The asker may be gone; then nobody wants the result.
            let _ = sender.send(result.ok());
        });
        receiver.await.ok().flatten()
    }
}

/// Things that are dear to make and are lent out one at a time.
#[derive(Debug)]
pub struct Lent<T> {
    idle: Mutex<Vec<T>>,
}

impl<T> Default for Lent<T> {
    fn default() -> Self {
        Self { idle: Mutex::new(Vec::new()) }
    }
}

impl<T> Lent<T> {
    /// An idle one; without one the borrower makes it.
    pub fn take(&self) -> Option<T> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    /// Gives one back.
    pub fn put(&self, thing: T) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(thing);
    }

    /// All that are idle, for good.
    pub fn drain(&self) -> Vec<T> {
        std::mem::take(&mut self.idle.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
