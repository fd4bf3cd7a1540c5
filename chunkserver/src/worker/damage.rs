//! Damage of the arrays of a share, on its scratch disk or in its memory: the share is loaded again.

use super::Worker;
use crate::share::Share;
use api::phase::reason;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, Weak};
use tokio::sync::watch;

/// Damages of stored frames after which a server loads its frames again. The next damage fails the job.
const MOST_DAMAGES: u32 = 3;

/// Waits until a reader finds a damage, and loads the share again. Holds no share, whose memory is freed when the share is replaced.
pub(super) async fn load_again(worker: Weak<Worker>, share: Weak<Share>, mut damage: watch::Receiver<Option<String>>) {
    // The channel closes with the share.
    let Ok(Some(message)) = damage.wait_for(Option::is_some).await.map(|damage| damage.clone()) else { return };
    if let (Some(worker), Some(share)) = (worker.upgrade(), share.upgrade()) {
        worker.load_again(&share, &message);
    }
}

impl Worker {
    /// Frees a share whose stored frames are damaged. The loop assigns the job again, and this server loads its frames again.
    pub(crate) fn load_again(&self, share: &Arc<Share>, message: &str) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        // Several peers may report the same damage.
        if current.as_ref().is_none_or(|current| !Arc::ptr_eq(&current.share, share)) {
            return;
        }
        if self.damages.fetch_add(1, Ordering::Relaxed) >= MOST_DAMAGES {
            let message = format!("{message}, after {MOST_DAMAGES} repetitions; check the memory and the scratch disk of the machine");
            return self.fail(share, reason::STORE_FAILED, message);
        }
        tracing::warn!(message, "the share is loaded again");
        *current = None;
        drop(current);
        self.notify();
    }
}
