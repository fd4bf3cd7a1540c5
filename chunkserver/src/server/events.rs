//! The status of the job, sent to all listeners when it changes. One task collects the status for all listeners, and runs only while listeners
//! are connected.

use super::status::{Status, collect};
use crate::worker::Worker;
use axum::Extension;
use axum::extract::State;
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use futures_util::Stream;
use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// Shortest pause between two events.
const SHORTEST_PAUSE: Duration = Duration::from_millis(250);
/// Longest pause between two collections of the status, and between two samples of the vitals.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// Longest pause between two collections after the job has ended.
const LONGEST_PAUSE_AFTER_END: Duration = Duration::from_millis(2500);
/// Pause between two samples of the vitals after the job has ended.
const VITALS_PAUSE_AFTER_END: Duration = Duration::from_secs(5);
/// Shortest pause for each server of the job: at most a hundred requests to servers a second.
const PAUSE_PER_SERVER: Duration = Duration::from_millis(10);
/// Interval of comments on a connection without events.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// The name of the events.
const STATUS: &str = "status";

/// A status as JSON, with its event id.
#[derive(Clone, Debug)]
struct Update {
    id: u64,
    text: Arc<str>,
}

/// The state that all listeners of one server share.
#[derive(Debug, Default)]
pub(super) struct StatusBroadcaster {
    broadcast: Mutex<Weak<Broadcast>>,
    /// Number of events so far.
    sent: Arc<AtomicU64>,
}

/// The running task. The task ends with the last listener.
#[derive(Debug)]
struct Broadcast {
    updates: watch::Receiver<Option<Update>>,
    task: JoinHandle<()>,
}

impl Drop for Broadcast {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl StatusBroadcaster {
    /// The running broadcast; starts one if there are no listeners yet.
    fn join(&self, worker: &Arc<Worker>) -> Arc<Broadcast> {
        let mut broadcast = self.broadcast.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(broadcast) = broadcast.upgrade() {
            return broadcast;
        }
        let (sender, updates) = watch::channel(None);
        let task = tokio::spawn(run(Arc::clone(worker), sender, Arc::clone(&self.sent)));
        let started = Arc::new(Broadcast { updates, task });
        *broadcast = Arc::downgrade(&started);
        started
    }
}

/// Sends the status now and after each change.
pub(super) async fn events(
    State(worker): State<Arc<Worker>>,
    Extension(broadcaster): Extension<Arc<StatusBroadcaster>>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let broadcast = broadcaster.join(&worker);
    let mut updates = broadcast.updates.clone();
    // The latest update is new to this listener.
    updates.mark_changed();
    let stream = futures_util::stream::unfold((broadcast, updates), |(broadcast, mut updates)| async move {
        loop {
            updates.changed().await.ok()?;
            let latest = updates.borrow_and_update().clone();
            if let Some(Update { id, text }) = latest {
                let event = Event::default().event(STATUS).id(id.to_string()).data(&*text);
                return Some((Ok(event), (broadcast, updates)));
            }
        }
    });
    Sse::new(stream).keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
}

/// The last status that was sent, without vitals.
struct Snapshot {
    status: Status,
    at: Instant,
}

impl Snapshot {
    /// Whether to send new vitals, although the rest of the status is unchanged.
    fn vitals_are_old(&self, now: Instant) -> bool {
        // A tolerance: the collection may be slightly early, and the next one is late.
        let pause = if self.status.has_ended() { VITALS_PAUSE_AFTER_END } else { LONGEST_PAUSE };
        now.duration_since(self.at) + Duration::from_millis(20) >= pause
    }
}

/// Collects the status of the current job in a loop.
async fn run(worker: Arc<Worker>, sender: watch::Sender<Option<Update>>, sent: Arc<AtomicU64>) {
    let mut milestones = worker.milestones();
    let mut last: Option<Snapshot> = None;
    let mut pause = SHORTEST_PAUSE;
    loop {
        milestones.mark_unchanged();
        let share = worker.share();
        let shortest = SHORTEST_PAUSE.max(PAUSE_PER_SERVER * share.as_ref().map_or(0, |share| share.plan.partition.servers) as u32);
        let ended = last.as_ref().is_some_and(|last| last.status.has_ended());
        let longest = if ended { LONGEST_PAUSE_AFTER_END } else { LONGEST_PAUSE };
        pause = (pause * 2).clamp(shortest, longest.max(shortest));
        if let Some(share) = share {
            let status = collect(&worker, &share).await;
            let (now, without_vitals) = (Instant::now(), status.without_vitals());
            let changed = last.as_ref().is_none_or(|last| last.status != without_vitals);
            if (changed || last.as_ref().is_some_and(|last| last.vitals_are_old(now)))
                && let Ok(text) = serde_json::to_string(&status)
            {
                let id = sent.fetch_add(1, Ordering::Relaxed) + 1;
                sender.send_replace(Some(Update { id, text: text.into() }));
                last = Some(Snapshot { status: without_vitals, at: now });
            }
            if changed {
                pause = shortest;
            }
        }
        tokio::time::sleep(shortest).await;
        // A milestone of this server, for example a new job, ends the pause.
        let _ = tokio::time::timeout(pause - shortest, milestones.changed()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compute::Compute;
    use crate::worker::Environment;
    use api::phase::BootId;
    use transport::client::Client;

    #[tokio::test]
    async fn listeners_share_one_task_that_ends_with_the_last_listener() {
        transport::crypto::install_crypto();
        let client = Client::new("key".into()).unwrap();
        let worker = Arc::new(Worker::new(BootId("b".into()), Compute::new(1).unwrap(), client, Environment::default()));
        let broadcaster = StatusBroadcaster::default();
        let (first, second) = (broadcaster.join(&worker), broadcaster.join(&worker));
        assert!(Arc::ptr_eq(&first, &second));
        drop(first);
        assert!(Arc::ptr_eq(&broadcaster.join(&worker), &second));
        assert_eq!(Arc::strong_count(&worker), 2, "one task holds the worker");
        drop(second);
        // The runtime ends the aborted task later.
        for _ in 0..10_000 {
            tokio::task::yield_now().await;
            if Arc::strong_count(&worker) == 1 {
                return;
            }
        }
        panic!("the task has not ended");
    }
}
