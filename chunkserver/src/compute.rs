//! CPU work on a thread pool of its own, separate from the HTTP threads, and pools of reusable scratch memory.

mod drive;
#[cfg(feature = "simulation")]
mod inline;

use drive::Task;
#[cfg(feature = "simulation")]
use inline::Inline;
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use tokio::sync::oneshot;

/// A pool of compute threads. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Compute {
    pool: Arc<ThreadPool>,
    #[cfg(feature = "simulation")]
    inline: Option<Inline>,
}

impl Compute {
    /// A pool of `threads` threads.
    ///
    /// # Errors
    /// When the system refuses to create threads.
    pub fn new(threads: usize) -> Result<Self, rayon::ThreadPoolBuildError> {
        let pool = ThreadPoolBuilder::new().num_threads(threads).thread_name(|i| format!("compute-{i}")).build()?;
        Ok(Self {
            pool: Arc::new(pool),
            #[cfg(feature = "simulation")]
            inline: None,
        })
    }

    /// Number of threads.
    pub fn threads(&self) -> usize {
        self.pool.current_num_threads()
    }

    /// Runs `work` on a thread of the pool. `None` if it panicked, which is a bug of ours; the panic is printed.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        #[cfg(feature = "simulation")]
        if let Some(inline) = &self.inline {
            return inline.run(work).await;
        }
        let (sender, receiver) = oneshot::channel();
        self.pool.spawn(move || {
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
            // Fails if the caller was cancelled.
            let _ = sender.send(result.ok());
        });
        receiver.await.ok().flatten()
    }

    /// Runs asynchronous work, for example a decoder that waits for bytes. The pool polls the future and holds no thread while the future waits.
    /// `None` if it panicked. If the caller is cancelled, the work is dropped.
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
                // Fails if the caller was cancelled.
                let _ = sender.send(result);
            }
        });
        receiver.await.ok()
    }
}

/// A pool of objects that are expensive to create.
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
    /// Takes an idle object; `None` if there are none, and the caller creates one.
    pub fn take(&self) -> Option<T> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    /// Returns an object to the pool.
    pub fn put(&self, thing: T) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(thing);
    }

    /// Removes all idle objects.
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
        // The only thread is free while the first future waits.
        let sending = compute.drive(async move { sender.send(7).is_ok() });
        assert_eq!(tokio::join!(waiting, sending), (Some(7), Some(true)));
    }

    #[tokio::test]
    async fn a_panic_is_none_and_the_pool_continues() {
        let compute = Compute::new(1).unwrap();
        assert_eq!(compute.drive(async { panic!("on purpose") }).await, None::<()>);
        assert_eq!(compute.drive(async { 1 }).await, Some(1));
    }

    #[tokio::test]
    async fn cancelled_work_is_dropped() {
        let compute = Compute::new(1).unwrap();
        let (held, dropped) = oneshot::channel::<()>();
        let work = compute.drive(async move {
            let _held = held;
            std::future::pending::<()>().await;
        });
        assert!(tokio::time::timeout(Duration::from_millis(20), work).await.is_err());
        assert!(dropped.await.is_err(), "the sender is dropped with the work");
    }
}
