//! The open connections of a listener. Their number is limited in total and for each peer. A connection without an authenticated request is
//! closed first, the oldest first, when a limit is reached.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Limits of the connections of one listener.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// All connections.
    pub(super) total: usize,
    /// Connections of one peer.
    pub(super) of_peer: usize,
    /// Connections of one peer without an authenticated request.
    pub(super) untrusted_of_peer: usize,
    /// All connections without an authenticated request.
    pub(super) untrusted: usize,
}

/// A connection, in the extensions of each of its requests.
#[derive(Clone)]
pub struct Connection(Arc<Entry>);

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Connection({})", self.0.id)
    }
}

impl Connection {
    /// Marks the connection as authenticated. An authenticated connection is not closed in favour of another one.
    pub fn trust(&self) {
        if !self.0.trusted.swap(true, Ordering::Relaxed) {
            self.0.of.lock().trust(self.0.id);
        }
    }
}

struct Entry {
    of: Arc<Connections>,
    id: u64,
    peer: IpAddr,
    /// Whether `trust` was called; the state of [`Connections`] decides.
    trusted: AtomicBool,
    evicted: Notify,
}

/// The place of a connection among the connections of its listener, freed on drop.
pub(super) struct Place(Arc<Entry>);

impl Place {
    pub(super) fn connection(&self) -> Connection {
        Connection(Arc::clone(&self.0))
    }

    /// Waits until another connection needs this place.
    pub(super) async fn evicted(&self) {
        self.0.evicted.notified().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.of.lock().remove(self.0.id, self.0.peer);
        self.0.of.freed.notify_one();
    }
}

/// All connections of a listener.
pub(super) struct Connections {
    limits: Limits,
    state: Mutex<State>,
    /// Notified when a place is freed.
    freed: Notify,
}

#[derive(Default)]
struct State {
    next: u64,
    /// By id: the oldest first.
    untrusted: BTreeMap<u64, Arc<Entry>>,
    trusted: HashSet<u64>,
    /// The number of connections and the untrusted ones of each peer.
    peers: HashMap<IpAddr, Peer>,
}

#[derive(Default)]
struct Peer {
    connections: usize,
    untrusted: std::collections::BTreeSet<u64>,
}

impl Connections {
    pub(super) fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self { limits, state: Mutex::default(), freed: Notify::new() })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits while authenticated connections hold all places.
    pub(super) async fn room(&self) {
        while self.lock().trusted.len() >= self.limits.total {
            self.freed.notified().await;
        }
    }

    /// A place for a connection from `address`; closes another connection where a limit is reached. `None` if authenticated connections of
    /// this peer hold all of its places.
    pub(super) fn admit(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let (limits, peer) = (self.limits, network_of(address));
        let mut state = self.lock();
        let (connections, untrusted) = state.peers.get(&peer).map_or((0, 0), |peer| (peer.connections, peer.untrusted.len()));
        if (connections >= limits.of_peer || untrusted >= limits.untrusted_of_peer) && !state.evict_of(peer) {
            return None;
        }
        let full = |state: &State| state.untrusted.len() >= limits.untrusted || state.untrusted.len() + state.trusted.len() >= limits.total;
        if full(&state) && !state.evict_any() {
            return None;
        }
        let id = state.next;
        state.next += 1;
        let entry = Arc::new(Entry { of: Arc::clone(self), id, peer, trusted: AtomicBool::new(false), evicted: Notify::new() });
        state.untrusted.insert(id, Arc::clone(&entry));
        let peer = state.peers.entry(peer).or_default();
        peer.connections += 1;
        peer.untrusted.insert(id);
        Some(Place(entry))
    }

    /// Closes the oldest connection without an authenticated request. False if there is no such connection.
    pub(super) fn evict_one(&self) -> bool {
        self.lock().evict_any()
    }
}

impl State {
    fn trust(&mut self, id: u64) {
        // An evicted connection is no longer known.
        let Some(entry) = self.untrusted.remove(&id) else { return };
        self.trusted.insert(id);
        if let Some(peer) = self.peers.get_mut(&entry.peer) {
            peer.untrusted.remove(&id);
        }
    }

    fn remove(&mut self, id: u64, of: IpAddr) {
        if self.untrusted.remove(&id).is_none() && !self.trusted.remove(&id) {
            return;
        }
        if let Some(peer) = self.peers.get_mut(&of) {
            peer.untrusted.remove(&id);
            peer.connections -= 1;
            if peer.connections == 0 {
                self.peers.remove(&of);
            }
        }
    }

    /// Closes the oldest untrusted connection of a peer.
    fn evict_of(&mut self, peer: IpAddr) -> bool {
        let oldest = self.peers.get(&peer).and_then(|peer| peer.untrusted.first().copied());
        let Some(entry) = oldest.and_then(|id| self.untrusted.get(&id).cloned()) else { return false };
        self.remove(entry.id, peer);
        entry.evicted.notify_one();
        true
    }

    /// Closes the oldest untrusted connection of the peer with the most untrusted connections.
    fn evict_any(&mut self) -> bool {
        let most = self.peers.iter().max_by_key(|(_, peer)| peer.untrusted.len()).map(|(&peer, _)| peer);
        most.is_some_and(|peer| self.evict_of(peer))
    }
}

/// The peer of an address: an IPv4 address, or the 64 bits of an IPv6 network, all addresses of which one machine may use.
fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const LIMITS: Limits = Limits { total: 8, of_peer: 5, untrusted_of_peer: 3, untrusted: 6 };

    fn address(last: u8) -> IpAddr {
        Ipv4Addr::new(10, 0, 0, last).into()
    }

    async fn is_evicted(place: &Place) -> bool {
        tokio::time::timeout(std::time::Duration::from_millis(1), place.evicted()).await.is_ok()
    }

    #[tokio::test]
    async fn the_oldest_untrusted_connection_of_a_peer_goes_first() {
        let connections = Connections::new(LIMITS);
        let admit = |peer| connections.admit(address(peer));
        let (trusted, first, second, other) = (admit(1).unwrap(), admit(1).unwrap(), admit(1).unwrap(), admit(2).unwrap());
        trusted.connection().trust();
        let more: Vec<_> = (0..2).map(|_| admit(1).unwrap()).collect();
        assert!(is_evicted(&first).await, "the limit of untrusted connections of a peer");
        assert!(!is_evicted(&second).await && !is_evicted(&trusted).await && !is_evicted(&other).await);
        // A connection that is authenticated too late stays evicted.
        first.connection().trust();
        drop(first);
        for place in [&second, &more[0], &more[1]] {
            place.connection().trust();
        }
        let last = admit(1).unwrap();
        last.connection().trust();
        assert!(admit(1).is_none(), "a peer with trusted connections in all of its places");
        drop(trusted);
        assert!(admit(1).is_some());
    }

    #[tokio::test]
    async fn the_peer_with_the_most_untrusted_connections_frees_a_place() {
        let connections = Connections::new(LIMITS);
        let many: Vec<_> = (0..3).map(|_| connections.admit(address(1)).unwrap()).collect();
        let few: Vec<_> = (2..5).map(|peer| connections.admit(address(peer)).unwrap()).collect();
        let new = connections.admit(address(9)).unwrap();
        assert!(is_evicted(&many[0]).await && !is_evicted(&many[1]).await && !is_evicted(&new).await);
        for place in &few {
            assert!(!is_evicted(place).await);
        }
    }

    #[tokio::test]
    async fn a_listener_waits_while_trusted_connections_hold_all_places() {
        let connections = Connections::new(LIMITS);
        let trusted = |peer| {
            let place = connections.admit(address(peer)).unwrap();
            place.connection().trust();
            place
        };
        let places: Vec<_> = (0..8).map(trusted).collect();
        assert!(connections.admit(address(9)).is_none());
        let wait = tokio::time::timeout(std::time::Duration::from_millis(5), connections.room());
        assert!(wait.await.is_err());
        let waiting = tokio::spawn({
            let connections = Arc::clone(&connections);
            async move { connections.room().await }
        });
        drop(places);
        waiting.await.unwrap();
        assert!(connections.lock().peers.is_empty());
    }

    #[test]
    fn addresses_of_one_ipv6_network_are_one_peer() {
        let of = |text: &str| network_of(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2:3::4"), of("2001:db8:1:2:ffff::1"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("::ffff:10.0.0.1"), of("10.0.0.1"));
        assert_ne!(of("10.0.0.1"), of("10.0.0.2"));
    }
}
