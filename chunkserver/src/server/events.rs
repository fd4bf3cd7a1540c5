//! The status of the job, told as it changes to whoever listens: one task looks for all of them, and only while there are any.

use super::status::{Status, look};
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

/// Between two events, at least.
const SHORTEST_PAUSE: Duration = Duration::from_millis(250);
/// Between two looks while nothing changes, at most; then what servers take is told, if nothing else.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// The same once the job has ended.
const LONGEST_PAUSE_AT_REST: Duration = Duration::from_millis(2500);
/// What servers take is told so often once the job has ended.
const PAUSE_OF_VITALS_AT_REST: Duration = Duration::from_secs(5);
/// For each server that is asked: a hundred questions a second at most.
const PAUSE_PER_SERVER: Duration = Duration::from_millis(10);
/// A connection on which nothing happens is told that it still is one.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// The name of the events.
const STATUS: &str = "status";

/// One status, numbered.
#[derive(Clone, Debug)]
struct News {
    id: u64,
    text: Arc<str>,
}

/// What all listeners of one server share.
#[derive(Debug, Default)]
pub(super) struct Lookout {
    sight: Mutex<Weak<Sight>>,
    told: Arc<AtomicU64>,
}

/// What the listeners of now share; the looking ends with the last of them.
#[derive(Debug)]
struct Sight {
    news: watch::Receiver<Option<News>>,
    task: JoinHandle<()>,
}

impl Drop for Sight {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Lookout {
    /// The looking that goes on, begun if there is none.
    fn join(&self, worker: &Arc<Worker>) -> Arc<Sight> {
        let mut sight = self.sight.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sight) = sight.upgrade() {
            return sight;
        }
        let (told, news) = watch::channel(None);
        let task = tokio::spawn(follow(Arc::clone(worker), told, Arc::clone(&self.told)));
        let begun = Arc::new(Sight { news, task });
        *sight = Arc::downgrade(&begun);
        begun
    }
}

/// Tells the status now and whenever it has changed.
pub(super) async fn events(
    State(worker): State<Arc<Worker>>,
    Extension(lookout): Extension<Arc<Lookout>>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let sight = lookout.join(&worker);
    let mut news = sight.news.clone();
    // Whatever is known already is news to this listener.
    news.mark_changed();
    let stream = futures_util::stream::unfold((sight, news), |(sight, mut news)| async move {
        loop {
            news.changed().await.ok()?;
            let latest = news.borrow_and_update().clone();
            if let Some(News { id, text }) = latest {
                let event = Event::default().event(STATUS).id(id.to_string()).data(&*text);
                return Some((Ok(event), (sight, news)));
            }
        }
    });
    Sse::new(stream).keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
}

/// What was told last, without what is never the same.
struct Told {
    status: Status,
    at: Instant,
}

impl Told {
    /// Whether what servers take is to be told again, though nothing else has changed.
    fn is_old(&self, now: Instant) -> bool {
        // The look may be a little early, and the next one is far.
        let pause = if self.status.has_ended() { PAUSE_OF_VITALS_AT_REST } else { LONGEST_PAUSE };
        now.duration_since(self.at) + Duration::from_millis(20) >= pause
    }
}

/// Looks again and again, whatever the job is by then.
async fn follow(worker: Arc<Worker>, told: watch::Sender<Option<News>>, count: Arc<AtomicU64>) {
    let mut milestones = worker.milestones();
    let mut last: Option<Told> = None;
    let mut pause = SHORTEST_PAUSE;
    loop {
        milestones.mark_unchanged();
        let share = worker.share();
        let shortest = SHORTEST_PAUSE.max(PAUSE_PER_SERVER * share.as_ref().map_or(0, |share| share.plan.partition.servers) as u32);
        let at_rest = last.as_ref().is_some_and(|last| last.status.has_ended());
        let longest = if at_rest { LONGEST_PAUSE_AT_REST } else { LONGEST_PAUSE };
        pause = (pause * 2).clamp(shortest, longest.max(shortest));
        if let Some(share) = share {
            let status = look(&worker, &share).await;
            let (now, without) = (Instant::now(), status.without_vitals());
            let news = last.as_ref().is_none_or(|last| last.status != without);
            if (news || last.as_ref().is_some_and(|last| last.is_old(now)))
                && let Ok(text) = serde_json::to_string(&status)
            {
                let id = count.fetch_add(1, Ordering::Relaxed) + 1;
                told.send_replace(Some(News { id, text: text.into() }));
                last = Some(Told { status: without, at: now });
            }
            if news {
                pause = shortest;
            }
        }
        tokio::time::sleep(shortest).await;
        // News of this server, a new job above all, is not waited out.
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
    async fn listeners_share_one_lookout_and_none_leaves_nothing() {
        transport::crypto::install_crypto();
        let client = Client::new("key".into()).unwrap();
        let worker = Arc::new(Worker::new(BootId("b".into()), Compute::new(1).unwrap(), client, Environment::default()));
        let lookout = Lookout::default();
        let (first, second) = (lookout.join(&worker), lookout.join(&worker));
        assert!(Arc::ptr_eq(&first, &second));
        drop(first);
        assert!(Arc::ptr_eq(&lookout.join(&worker), &second));
        assert_eq!(Arc::strong_count(&worker), 2, "one task looks");
        drop(second);
        // The task is ended by the runtime, in its time.
        for _ in 0..10_000 {
            tokio::task::yield_now().await;
            if Arc::strong_count(&worker) == 1 {
                return;
            }
        }
        panic!("somebody still looks");
    }
}
