//! Servers that ended, and their replacements, as lines of the progress.

use crate::progress::Progress;
use api::next_step::Step;
use api::phase::Seen;
use operator::turn::Turn;
use serde_json::json;
use std::collections::BTreeMap;

/// The ends of servers that are reported, and whose replacements do not respond yet.
#[derive(Debug, Default)]
pub(crate) struct Losses {
    /// By server: the reason, and the number of restarts before. An end is reported once, also while its replacement is retried.
    reported: BTreeMap<usize, (String, u32)>,
}

impl Losses {
    /// Reports each end, and each replacement that responds, once.
    pub(crate) fn report(&mut self, progress: &Progress, turn: &Turn) {
        for (server, seen) in turn.observed.servers.iter().enumerate() {
            match seen {
                Seen::Exited(reason) => {
                    let end = (reason.clone(), turn.observed.restarts);
                    if self.reported.get(&server) == Some(&end) {
                        continue;
                    }
                    if matches!(turn.step, Step::Launch(_)) {
                        progress.sentence(&format!(
                            "server {server} ended ({reason}) and is started again; the other servers keep their share"
                        ));
                    }
                    progress.event(json!({"lost": {"server": server, "reason": reason}}));
                    self.reported.insert(server, end);
                }
                Seen::Up { .. } => {
                    if self.reported.remove(&server).is_some() {
                        progress.event(json!({"restarted": {"server": server}}));
                    }
                }
                Seen::Absent | Seen::Lost(_) | Seen::Starting => {}
            }
        }
    }
}
