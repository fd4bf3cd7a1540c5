//! A fleet of simulated servers: as processes, or as pods that are restarted in place.

use crate::dice::Dice;
use crate::network::{End, SimNetwork};
use crate::server::{self, Ended};
use api::phase::Seen;
use api::plan::ServerId;
use operator::fleet::{Error, Fleet, ServerState};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::watch;

/// The platform of a fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Platform {
    /// The loop learns of an end at once, and starts another process at another address.
    Processes,
    /// A container that ends is started again in its pod, at the same address. A removed pod is replaced by the loop.
    Pods,
}

/// The end of a server, and what the loop did about it.
#[derive(Clone, Debug)]
pub(crate) struct Loss {
    pub(crate) server: usize,
    /// Moments of simulated time.
    pub(crate) at: Duration,
    /// The platform reports the end.
    pub(crate) is_reported: bool,
    pub(crate) replaced: Option<Duration>,
    pub(crate) up: Option<Duration>,
    /// The server responds again without a replacement.
    pub(crate) recovered: Option<Duration>,
}

#[derive(Debug)]
struct Slot {
    state: ServerState,
    /// Name of the host.
    name: String,
    /// Number of the start: an older start changes nothing any more.
    start: u64,
}

impl Slot {
    const fn is_started(&self) -> bool {
        matches!(self.state, ServerState::Starting | ServerState::Up(_))
    }
}

/// The servers.
pub(crate) struct SimFleet {
    me: Weak<Self>,
    pub(crate) platform: Platform,
    network: Arc<SimNetwork>,
    pub(crate) ended: Arc<Ended>,
    seed: u64,
    slots: Mutex<Vec<Slot>>,
    losses: Mutex<Vec<Loss>>,
    /// How often each server has listened.
    listened: Mutex<Vec<u32>>,
    restarts: AtomicU32,
    starts: AtomicU64,
    changes: watch::Sender<u64>,
    observed: AtomicU64,
}

impl SimFleet {
    pub(crate) fn new(seed: u64, platform: Platform, network: &Arc<SimNetwork>) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            me: Weak::clone(me),
            platform,
            network: Arc::clone(network),
            ended: Arc::default(),
            seed,
            slots: Mutex::default(),
            losses: Mutex::default(),
            listened: Mutex::default(),
            restarts: AtomicU32::new(0),
            starts: AtomicU64::new(0),
            changes: watch::Sender::new(0),
            observed: AtomicU64::new(0),
        })
    }

    fn slots(&self) -> MutexGuard<'_, Vec<Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The losses so far.
    pub(crate) fn losses(&self) -> MutexGuard<'_, Vec<Loss>> {
        self.losses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The name of a server's host; `None` if it was never started.
    pub(crate) fn name(&self, server: usize) -> Option<String> {
        self.slots().get(server).map(|slot| slot.name.clone()).filter(|name| !name.is_empty())
    }

    /// The names of servers that listen.
    pub(crate) fn up(&self) -> Vec<String> {
        self.slots().iter().filter(|slot| matches!(slot.state, ServerState::Up(_))).map(|slot| slot.name.clone()).collect()
    }

    /// The process of a server ends by itself.
    pub(crate) fn crash(&self, server: usize) {
        let mut slots = self.slots();
        let Some(slot) = slots.get_mut(server).filter(|slot| slot.is_started()) else { return };
        self.network.trace.event(&format!("fault: the process of server {server} at {} ends", slot.name));
        self.network.end(&slot.name, End::Closed);
        slot.start = self.starts.fetch_add(1, Ordering::Relaxed);
        let is_reported = self.platform == Platform::Processes;
        self.lose(server, is_reported, None);
        match self.platform {
            Platform::Processes => slot.state = ServerState::Exited("signal 9".into()),
            Platform::Pods => {
                slot.state = ServerState::Starting;
                self.restarts.fetch_add(1, Ordering::Relaxed);
                let delay = Dice::new(self.seed, &format!("restart {}", slot.start)).millis(50, 10_000);
                self.start(server, slot.name.clone(), slot.start, delay);
            }
        }
        drop(slots);
        self.changes.send_modify(|changes| *changes += 1);
    }

    /// A server is removed from outside. Its machine may be gone with it.
    pub(crate) fn remove_server(&self, server: usize, how: End) {
        let mut slots = self.slots();
        let Some(slot) = slots.get_mut(server).filter(|slot| slot.is_started()) else { return };
        self.network.trace.event(&format!("fault: server {server} at {} is removed: {how:?}", slot.name));
        self.network.end(&slot.name, how);
        slot.start = self.starts.fetch_add(1, Ordering::Relaxed);
        slot.state = ServerState::Lost("Evicted".into());
        self.lose(server, true, None);
        drop(slots);
        self.changes.send_modify(|changes| *changes += 1);
    }

    /// Records a loss.
    fn lose(&self, server: usize, is_reported: bool, recovered: Option<Duration>) {
        let at = self.network.trace.now();
        self.losses().push(Loss { server, at, is_reported, replaced: None, up: None, recovered });
    }

    /// A server is silent for some time, and its platform reports nothing.
    pub(crate) fn silence(&self, server: usize, lasts: Duration) {
        if matches!(self.slots().get(server), Some(Slot { state: ServerState::Up(_), .. })) {
            self.lose(server, false, Some(self.network.trace.now() + lasts));
        }
    }

    /// How often each server was started.
    pub(crate) fn starts_of_servers(&self) -> Vec<u32> {
        self.listened.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Starts a process after a delay, unless another start of the same server follows.
    fn start(&self, server: usize, name: String, start: u64, delay: Duration) {
        let me = Weak::clone(&self.me);
        tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            let Some(fleet) = me.upgrade() else { return };
            let mut slots = fleet.slots();
            let Some(slot) = slots.get_mut(server).filter(|slot| slot.start == start) else { return };
            server::start(&fleet.network, &fleet.ended, &name, &format!("{name}-boot-{start}"), fleet.seed);
            fleet.network.trace.event(&format!("server {server} listens at {name}"));
            slot.state = ServerState::Up(name);
            let mut listened = fleet.listened.lock().unwrap_or_else(PoisonError::into_inner);
            let servers = listened.len().max(server + 1);
            listened.resize(servers, 0);
            listened[server] += 1;
            drop(listened);
            let now = fleet.network.trace.now();
            fleet.losses().iter_mut().filter(|loss| loss.server == server && loss.up.is_none()).for_each(|loss| loss.up = Some(now));
            drop(slots);
            fleet.changes.send_modify(|changes| *changes += 1);
        });
    }
}

impl Fleet for SimFleet {
    async fn observe(&self, servers: usize) -> Vec<ServerState> {
        self.observed.store(*self.changes.borrow(), Ordering::Relaxed);
        let mut slots = self.slots();
        slots.resize_with(servers, || Slot { state: ServerState::Absent, name: String::new(), start: 0 });
        slots.iter().map(|slot| slot.state.clone()).collect()
    }

    fn restarts(&self) -> u32 {
        self.restarts.load(Ordering::Relaxed)
    }

    fn reports_changes(&self) -> bool {
        self.platform == Platform::Processes
    }

    async fn until_changed(&self) {
        if self.platform == Platform::Pods {
            return std::future::pending().await;
        }
        let seen = self.observed.load(Ordering::Relaxed);
        // The sender lives as long as `self`.
        let _ = self.changes.subscribe().wait_for(|&changes| changes != seen).await;
    }

    fn unresponsive(&self) -> Seen {
        match self.platform {
            Platform::Processes => Seen::Exited("it did not respond".into()),
            Platform::Pods => Seen::Lost("it did not respond".into()),
        }
    }

    async fn ensure(&self, servers: &[ServerId]) -> Result<(), Error> {
        let now = self.network.trace.now();
        let mut slots = self.slots();
        for id in servers {
            let slot = &mut slots[id.0];
            self.losses()
                .iter_mut()
                .filter(|loss| loss.server == id.0 && loss.replaced.is_none())
                .for_each(|loss| loss.replaced = Some(now));
            let is_first = slot.state == ServerState::Absent;
            let start = self.starts.fetch_add(1, Ordering::Relaxed);
            if self.platform == Platform::Processes {
                if !is_first {
                    self.restarts.fetch_add(1, Ordering::Relaxed);
                }
                self.network.end(&slot.name, End::Closed);
            }
            *slot = Slot { state: ServerState::Starting, name: format!("s{}-{start}", id.0), start };
            let mut dice = Dice::new(self.seed, &slot.name);
            let delay = if dice.percent(20) { dice.millis(1000, 5000) } else { dice.millis(10, 500) };
            self.start(id.0, slot.name.clone(), start, delay);
        }
        Ok(())
    }

    async fn remove(&self) {
        let slots = std::mem::take(&mut *self.slots());
        slots.iter().for_each(|slot| self.network.end(&slot.name, End::Closed));
    }
}
