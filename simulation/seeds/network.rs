//! The network in memory: hosts, links between them, and what happens to a message on its way.

mod body;
mod links;
mod wire;

pub(crate) use links::Links;

use crate::dice::{Dice, hash};
use crate::trace::Trace;
use axum::Router;
use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::task::JoinSet;
use transport::http::simulation::{Endpoint, Network, Responding, Sent};

/// Hosts and links. A host has one name; its address is the name and a port that nothing depends on.
pub(crate) struct SimNetwork {
    me: Weak<Self>,
    pub(crate) trace: Arc<Trace>,
    pub(crate) links: Links,
    seed: u64,
    hosts: Mutex<HashMap<String, Host>>,
    /// Number of earlier messages of the same kind.
    counts: Mutex<HashMap<u64, u64>>,
}

/// A process that listens.
struct Host {
    router: Router,
    /// The requests that the process handles.
    requests: JoinSet<()>,
    /// Whether the process ended without a trace, as with its machine: its connections stay open.
    vanished: Arc<AtomicBool>,
    end: Box<dyn FnOnce() + Send>,
}

/// How a process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Its system closes all connections.
    Closed,
    /// Its machine is gone: connections stay open, and new ones get no response.
    Vanished,
}

impl SimNetwork {
    pub(crate) fn new(seed: u64, trace: Arc<Trace>) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            me: Weak::clone(me),
            trace,
            links: Links::default(),
            seed,
            hosts: Mutex::default(),
            counts: Mutex::default(),
        })
    }

    fn hosts(&self) -> MutexGuard<'_, HashMap<String, Host>> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The place with this name.
    pub(crate) fn endpoint(self: &Arc<Self>, name: &str) -> Endpoint {
        Endpoint { network: Arc::clone(self) as Arc<dyn Network>, name: name.to_owned() }
    }

    /// Makes a process listen at `name`. `end` runs when the process ends.
    pub(crate) fn listen(&self, name: &str, router: Router, end: impl FnOnce() + Send + 'static) {
        let host = Host { router, requests: JoinSet::new(), vanished: Arc::default(), end: Box::new(end) };
        self.hosts().insert(name.to_owned(), host);
    }

    /// Ends the process at `name`.
    pub(crate) fn end(&self, name: &str, how: End) {
        let host = self.hosts().remove(name);
        if let Some(mut host) = host {
            if how == End::Vanished {
                host.vanished.store(true, Ordering::Relaxed);
                self.links.vanish(name);
            }
            host.requests.abort_all();
            (host.end)();
        }
    }

    /// Ends all processes.
    pub(crate) fn end_all(&self) {
        let names: Vec<String> = self.hosts().keys().cloned().collect();
        names.iter().for_each(|name| self.end(name, End::Closed));
    }

    /// The numbers of one message. They depend on the message and on the number of earlier messages of the same kind, and not on other
    /// messages: the order of two messages at the same time changes no other choice.
    fn dice(&self, from: &str, to: &str, method: &str, path: &str) -> Dice {
        let kind = format!("{from} {to} {method} {path}");
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(hash(kind.as_bytes())).or_default();
        *count += 1;
        Dice::new(self.seed.wrapping_add(*count << 20), &kind)
    }
}

impl Network for SimNetwork {
    fn send(&self, sent: Sent) -> Responding {
        match self.me.upgrade() {
            Some(network) => Box::pin(wire::send(network, sent)),
            None => Box::pin(std::future::ready(Err(io::ErrorKind::NetworkDown.into()))),
        }
    }
}

/// The time of a message on a link without faults.
fn latency(dice: &mut Dice) -> Duration {
    // Mostly the times of a data center, some messages much later.
    if dice.percent(5) { dice.millis(10, 200) } else { dice.millis(0, 5) }
}
