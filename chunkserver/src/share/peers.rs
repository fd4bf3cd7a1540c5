//! Records changes of the peers in the journal: lost peers, and peers that are available again with the same boot id. A restarted server records
//! the restart itself, because only that server receives the reason.

use super::Share;
use api::phase::BootId;
use api::plan::ServerId;
use api::wire::Peer;
use journal::{Event, Journal};
use std::sync::PoisonError;

/// The last known boot id of each server.
pub(super) type KnownBoots = Vec<Option<BootId>>;

/// The boot ids of the peers.
pub(super) fn boots(peers: &[Option<Peer>]) -> KnownBoots {
    peers.iter().map(|peer| peer.as_ref().map(|peer| peer.boot.clone())).collect()
}

/// Records that server `id` was restarted, and why.
pub(crate) fn record_restart(journal: &Journal, id: ServerId, cause: &str) {
    let text = format!("server {} was restarted ({cause}): it loads its frames and computes its pixels again", id.0);
    journal.mark(Event::Replaced, &text);
}

impl Share {
    /// Records lost and recovered peers since `before`.
    pub(crate) fn record_peers(&self, before: &[Option<Peer>]) {
        let now = self.directions.borrow().peers.clone();
        let mut known = self.known_peers.lock().unwrap_or_else(PoisonError::into_inner);
        for (server, event) in changes(&mut known, before, &now) {
            if server == self.id.0 {
                continue;
            }
            let text = match event {
                Event::Lost => format!("server {server} does not respond, or has ended"),
                _ => format!("server {server} responds again; its data are still available"),
            };
            self.journal.mark(event, &text);
        }
    }
}

/// Servers that were lost or recovered between two tables of peers.
fn changes(known: &mut KnownBoots, before: &[Option<Peer>], now: &[Option<Peer>]) -> Vec<(usize, Event)> {
    known.resize(now.len().max(known.len()), None);
    let mut changes = Vec::new();
    for (server, peer) in now.iter().enumerate() {
        let was_available = before.get(server).is_some_and(Option::is_some);
        let last = &mut known[server];
        match (peer, &*last) {
            (None, _) if was_available => changes.push((server, Event::Lost)),
            (Some(peer), Some(boot)) if peer.boot == *boot && !was_available => changes.push((server, Event::Recovered)),
            _ => {}
        }
        if let Some(peer) = peer {
            *last = Some(peer.boot.clone());
        }
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_of_the_peers_are_losses_and_recoveries() {
        let table = |boots: &str| -> Vec<Option<Peer>> {
            let peer = |boot: char| Peer { address: "a".into(), boot: BootId(boot.into()) };
            boots.chars().map(|boot| (boot != '-').then(|| peer(boot))).collect()
        };
        let mut before = table("a-");
        let mut known = boots(&before);
        let mut check = |now: &str, expected: &[(usize, Event)]| {
            let now = table(now);
            assert_eq!(changes(&mut known, &before, &now), expected);
            before = now;
        };
        // The second server starts for the first time.
        check("ab", &[]);
        check("ab", &[]);
        check("-b", &[(0, Event::Lost)]);
        check("ab", &[(0, Event::Recovered)]);
        check("a-", &[(1, Event::Lost)]);
        // A restart, which the restarted server records itself.
        check("ac", &[]);
        check("dc", &[]);
        check("d-", &[(1, Event::Lost)]);
        check("dc", &[(1, Event::Recovered)]);
    }
}
