//! Futures on a pool of threads that are for CPU work: a wake queues the future, a thread polls it.

use rayon::ThreadPool;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll, Wake, Waker};

/// Nobody polls it; a wake queues it.
const IDLE: u8 = 0;
/// It is queued.
const QUEUED: u8 = 1;
/// A thread polls it.
const RUNNING: u8 = 2;
/// A thread polls it, and it has been woken since.
const WOKEN: u8 = 3;

/// A future, and whether it is polled.
pub(super) struct Task {
    // Weak: what a forgotten waker holds must not keep the threads.
    pool: Weak<ThreadPool>,
    state: AtomicU8,
    /// None once it has ended. Never contended: only the thread that made it running takes it.
    future: Mutex<Option<Pin<Box<dyn Future<Output = ()> + Send>>>>,
}

impl Task {
    /// Queues `future`.
    pub(super) fn start(pool: &Arc<ThreadPool>, future: impl Future<Output = ()> + Send + 'static) {
        let future = Mutex::new(Some(Box::pin(future) as Pin<Box<_>>));
        Arc::new(Self { pool: Arc::downgrade(pool), state: AtomicU8::new(QUEUED), future }).queue();
    }

    fn queue(self: Arc<Self>) {
        if let Some(pool) = self.pool.upgrade() {
            pool.spawn(move || self.run());
        }
    }

    /// Polls once, and again later if it was woken meanwhile.
    fn run(self: Arc<Self>) {
        self.state.store(RUNNING, Ordering::Release);
        let waker = Waker::from(Arc::clone(&self));
        let mut place = self.future.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(future) = place.as_mut() else { return };
        let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(&mut Context::from_waker(&waker))));
        if !matches!(polled, Ok(Poll::Pending)) {
            // Ended, or panicked, which is printed where it happens.
            *place = None;
            return;
        }
        drop(place);
        if self.state.compare_exchange(RUNNING, IDLE, Ordering::AcqRel, Ordering::Acquire).is_err() {
            self.state.store(QUEUED, Ordering::Release);
            self.queue();
        }
    }
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        let next = |state| match state {
            IDLE => Some(QUEUED),
            RUNNING => Some(WOKEN),
            _ => None,
        };
        if self.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, next) == Ok(IDLE) {
            self.queue();
        }
    }
}
