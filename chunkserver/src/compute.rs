//! CPU work, apart from the threads that answer HTTP: a pool of its own, and scratch that is lent, not made anew.

mod drive;

use drive::Task;
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
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

    /// Runs work that waits in between, as decoding does for what it decodes: each stretch of it on a thread of the pool, of
    /// which it holds none while it waits. `None` when it panicked. When the asker goes, the work is dropped.
    pub async fn drive<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> Option<T> {
        let (mut sender, receiver) = oneshot::channel();
        Task::start(&self.pool, async move {
            let result = {
                let mut work = std::pin::pin!(work);
                std::future::poll_fn(|context| {
                    if sender.poll_closed(context).is_ready() {
                        return Poll::Ready(None);
                    }
                    work.as_mut().poll(context).map(Some)
                })
                .await
            };
            if let Some(result) = result {
                // The asker may be gone; then nobody wants the result.
                let _ = sender.send(result);
            }
        });
        receiver.await.ok()
    }
}

/// Things that are dear to make and are lent out one at a time.
#[derive(Debug)]
pub struct Pool<T> {
    idle: Mutex<Vec<T>>,
}

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Self { idle: Mutex::new(Vec::new()) }
    }
}

impl<T> Pool<T> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn on_the_pool() -> bool {
        std::thread::current().name().is_some_and(|name| name.starts_with("compute-"))
    }

    #[tokio::test]
    async fn work_that_waits_runs_on_the_pool_and_holds_no_thread() {
        let compute = Compute::new(1).unwrap();
        let (sender, receiver) = oneshot::channel();
        let waiting = compute.drive(async move {
            assert!(on_the_pool());
            let sent: u32 = receiver.await.unwrap();
            assert!(on_the_pool());
            sent
        });
        // The one thread is free for this meanwhile.
        let sending = compute.drive(async move { sender.send(7).is_ok() });
        assert_eq!(tokio::join!(waiting, sending), (Some(7), Some(true)));
    }

    #[tokio::test]
    async fn a_panic_is_none_and_the_pool_goes_on() {
        let compute = Compute::new(1).unwrap();
        assert_eq!(compute.drive(async { panic!("on purpose") }).await, None::<()>);
        assert_eq!(compute.drive(async { 1 }).await, Some(1));
    }

    #[tokio::test]
    async fn work_that_nobody_waits_for_is_dropped() {
        let compute = Compute::new(1).unwrap();
        let (held, dropped) = oneshot::channel::<()>();
        let work = compute.drive(async move {
            let _held = held;
            std::future::pending::<()>().await;
        });
        assert!(tokio::time::timeout(Duration::from_millis(20), work).await.is_err());
        assert!(dropped.await.is_err(), "its end is gone");
    }
}
