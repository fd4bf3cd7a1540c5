//! The links of the network, each in one direction.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// The faults of all links. A link without a fault is open.
#[derive(Debug)]
pub(crate) struct Links {
    state: Mutex<State>,
    changed: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    /// Links that lose everything, from one name to another.
    blocked: HashSet<(String, String)>,
    /// Names that reach nothing, and that nothing reaches.
    isolated: HashSet<String>,
    /// Names whose machine is gone.
    vanished: HashSet<String>,
    /// Additional time of each message.
    slow: HashMap<(String, String), Duration>,
    /// How often the open connections of a link were cut without a message about it.
    cuts: HashMap<(String, String), u64>,
}

impl Default for Links {
    fn default() -> Self {
        Self { state: Mutex::default(), changed: watch::Sender::new(0) }
    }
}

fn link(from: &str, to: &str) -> (String, String) {
    (from.to_owned(), to.to_owned())
}

impl Links {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.changed.send_modify(|count| *count += 1);
    }

    /// Loses all messages in one direction. Senders repeat them until [`Self::unblock`].
    pub(crate) fn block(&self, from: &str, to: &str) {
        self.change(|state| _ = state.blocked.insert(link(from, to)));
    }

    pub(crate) fn unblock(&self, from: &str, to: &str) {
        self.change(|state| _ = state.blocked.remove(&link(from, to)));
    }

    /// Loses all messages from and to `name`.
    pub(crate) fn isolate(&self, name: &str) {
        self.change(|state| _ = state.isolated.insert(name.to_owned()));
    }

    pub(crate) fn join(&self, name: &str) {
        self.change(|state| _ = state.isolated.remove(name));
    }

    /// The machine `name` is gone for good.
    pub(super) fn vanish(&self, name: &str) {
        self.change(|state| _ = state.vanished.insert(name.to_owned()));
    }

    /// Adds time to each message in one direction.
    pub(crate) fn slow_down(&self, from: &str, to: &str, by: Duration) {
        self.change(|state| _ = state.slow.insert(link(from, to), by));
    }

    pub(crate) fn speed_up(&self, from: &str, to: &str) {
        self.change(|state| _ = state.slow.remove(&link(from, to)));
    }

    /// Makes the open connections half-open: later messages on them are lost, and no end learns of it. New connections work.
    pub(crate) fn cut(&self, from: &str, to: &str) {
        self.change(|state| *state.cuts.entry(link(from, to)).or_default() += 1);
    }

    /// The number of cuts of a link so far, in both directions.
    pub(super) fn cuts(&self, from: &str, to: &str) -> u64 {
        let state = self.state();
        [link(from, to), link(to, from)].iter().filter_map(|link| state.cuts.get(link)).sum()
    }

    /// The additional time of a message.
    pub(super) fn slowness(&self, from: &str, to: &str) -> Duration {
        self.state().slow.get(&link(from, to)).copied().unwrap_or_default()
    }

    pub(super) fn is_open(&self, from: &str, to: &str) -> bool {
        let state = self.state();
        let closed = |name: &str| state.isolated.contains(name) || state.vanished.contains(name);
        !closed(from) && !closed(to) && !state.blocked.contains(&link(from, to))
    }

    /// Waits until the link is open.
    pub(super) async fn until_open(&self, from: &str, to: &str) {
        let mut changes = self.changed.subscribe();
        // The sender lives as long as `self`.
        while !self.is_open(from, to) && changes.changed().await.is_ok() {}
    }
}
