//! The table of peers comes in as it changes, what that means goes out: who is gone, and who is there again as it was. One that was
//! started anew says so itself, since it alone is told why.

use super::Share;
use api::phase::BootId;
use api::plan::ServerId;
use api::wire::Peer;
use journal::{Event, Journal};
use std::sync::PoisonError;

/// The last start of each server that was heard of.
pub(super) type Known = Vec<Option<BootId>>;

/// The starts that a table of peers names.
pub(super) fn known(peers: &[Option<Peer>]) -> Known {
    peers.iter().map(|peer| peer.as_ref().map(|peer| peer.boot.clone())).collect()
}

/// Notes that server `id` was started in the place of one whose fate is told.
pub(crate) fn note_start(journal: &Journal, id: ServerId, fate: &str) {
    let text = format!("server {} was started anew ({fate}): its frames are loaded again, its pixels computed again", id.0);
    journal.mark(Event::Replaced, &text);
}

impl Share {
    /// Notes in the journal what has become of peers that were as in `before`.
    pub(crate) fn note_peers(&self, before: &[Option<Peer>]) {
        let now = self.directions.borrow().peers.clone();
        let mut known = self.known_peers.lock().unwrap_or_else(PoisonError::into_inner);
        for (server, event) in news(&mut known, before, &now) {
            if server == self.id.0 {
                continue;
            }
            let text = match event {
                Event::Lost => format!("server {server} does not answer, or is gone"),
                _ => format!("server {server} answers again, and has lost nothing"),
            };
            self.journal.mark(event, &text);
        }
    }
}

/// Which servers were lost or recovered between two tables.
fn news(known: &mut Known, before: &[Option<Peer>], now: &[Option<Peer>]) -> Vec<(usize, Event)> {
    known.resize(now.len().max(known.len()), None);
    let mut news = Vec::new();
    for (server, peer) in now.iter().enumerate() {
        let was_there = before.get(server).is_some_and(Option::is_some);
        let last = &mut known[server];
        match (peer, &*last) {
            (None, _) if was_there => news.push((server, Event::Lost)),
            (Some(peer), Some(boot)) if peer.boot == *boot && !was_there => news.push((server, Event::Recovered)),
            _ => {}
        }
        if let Some(peer) = peer {
            *last = Some(peer.boot.clone());
        }
    }
    news
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_of_the_table_is_told_as_what_it_means() {
        let table = |boots: &str| -> Vec<Option<Peer>> {
            let peer = |boot: char| Peer { address: "a".into(), boot: BootId(boot.into()) };
            boots.chars().map(|boot| (boot != '-').then(|| peer(boot))).collect()
        };
        let mut before = table("a-");
        let mut known = known(&before);
        let mut check = |now: &str, expected: &[(usize, Event)]| {
            let now = table(now);
            assert_eq!(news(&mut known, &before, &now), expected);
            before = now;
        };
        // The second comes up for the first time.
        check("ab", &[]);
        check("ab", &[]);
        check("-b", &[(0, Event::Lost)]);
        check("ab", &[(0, Event::Recovered)]);
        check("a-", &[(1, Event::Lost)]);
        // Started anew, which is its own to tell.
        check("ac", &[]);
        check("dc", &[]);
        check("d-", &[(1, Event::Lost)]);
        check("dc", &[(1, Event::Recovered)]);
    }
}
