//! Runs futures on the pool of compute threads: a wake queues the future, and a thread polls it.

use rayon::ThreadPool;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll, Wake, Waker};

/// The future waits; a wake queues it.
const IDLE: u8 = 0;
/// The future is queued.
const QUEUED: u8 = 1;
/// A thread polls the future.
const RUNNING: u8 = 2;
/// A thread polls the future, and a wake has arrived since the poll began.
const WOKEN: u8 = 3;

/// A future and its state.
pub(super) struct Task {
    // Weak: a waker that is never dropped must not keep the threads alive.
    pool: Weak<ThreadPool>,
    state: AtomicU8,
    /// `None` after the end. Never contended: only the thread that set the state to running locks it.
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

    /// Polls once; queues the future again if a wake arrived during the poll.
    fn run(self: Arc<Self>) {
        self.state.store(RUNNING, Ordering::Release);
        let waker = Waker::from(Arc::clone(&self));
        let mut slot = self.future.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(future) = slot.as_mut() else { return };
        let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(&mut Context::from_waker(&waker))));
        if !matches!(polled, Ok(Poll::Pending)) {
            // The future ended or panicked. The panic is already printed.
            *slot = None;
            return;
        }
        drop(slot);
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
