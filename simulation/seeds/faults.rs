//! The faults of a seed.

use crate::dice::Dice;
use crate::fleet::Platform;
use crate::network::End;
use crate::run::{OPERATOR, World};
use crate::source;
use std::time::Duration;

/// A place that a link joins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Operator,
    Server(usize),
    Source,
}

/// One fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The process of a server ends by itself. A container is started again in place.
    Crash(usize),
    /// A pod is removed, with or without its machine.
    Remove(usize, End),
    /// A server reaches nothing for some time, and continues to work: a stopped process, or a machine without a network.
    Isolate(usize, Duration),
    /// A link loses everything for some time, in one direction or in both.
    Partition { from: Place, to: Place, both_ways: bool, lasts: Duration },
    /// The open connections of a link stay open, and carry nothing any more.
    HalfOpen(Place, Place),
    /// Each message takes longer, in both directions.
    Slow { from: Place, to: Place, by: Duration, lasts: Duration },
    /// The loop ends, and begins again after some time.
    LoseLoop(Duration),
}

/// Names of the faults, in the order of [`Fault::kind`].
pub(crate) const KINDS: [&str; 8] =
    ["crash", "removed", "isolated", "one-way partition", "two-way partition", "half-open link", "slow link", "lost loop"];

impl Fault {
    pub(crate) fn kind(&self) -> usize {
        match self {
            Self::Crash(_) => 0,
            Self::Remove(..) => 1,
            Self::Isolate(..) => 2,
            Self::Partition { both_ways: false, .. } => 3,
            Self::Partition { both_ways: true, .. } => 4,
            Self::HalfOpen(..) => 5,
            Self::Slow { .. } => 6,
            Self::LoseLoop(_) => 7,
        }
    }

    /// Time until the fault is over.
    pub(crate) fn lasts(&self) -> Duration {
        match *self {
            Self::Crash(_) | Self::Remove(..) | Self::HalfOpen(..) => Duration::ZERO,
            Self::Isolate(_, lasts) | Self::Partition { lasts, .. } | Self::Slow { lasts, .. } | Self::LoseLoop(lasts) => lasts,
        }
    }

    /// Whether fetches of frames may fail.
    pub(crate) fn concerns_source(&self) -> bool {
        match *self {
            Self::Partition { from, to, .. } | Self::HalfOpen(from, to) | Self::Slow { from, to, .. } => {
                [from, to].contains(&Place::Source)
            }
            // An isolated server also loses the source.
            Self::Isolate(..) => true,
            Self::Crash(_) | Self::Remove(..) | Self::LoseLoop(_) => false,
        }
    }
}

/// The faults of a seed with their times, in order. `undisturbed`: the time of the job without faults.
pub(crate) fn faults(seed: u64, servers: usize, platform: Platform, undisturbed: Duration) -> Vec<(Duration, Fault)> {
    let mut dice = Dice::new(seed, "faults");
    let end = 1000 * undisturbed.as_secs() + u64::from(undisturbed.subsec_millis());
    let mut faults: Vec<(Duration, Fault)> = Vec::new();
    for _ in 0..1 + dice.below(4) {
        let at = match faults.last() {
            // A second fault while the loop reacts to the first.
            Some((last, _)) if dice.percent(30) => *last + dice.millis(0, 3000),
            // Most faults happen before the end of the job.
            _ if dice.percent(80) => dice.millis(0, end),
            _ => dice.millis(end, 2 * end + 20_000),
        };
        let fault = fault(&mut dice, servers, platform);
        faults.push((at, fault));
    }
    faults.sort_by_key(|(at, _)| *at);
    faults
}

fn fault(dice: &mut Dice, servers: usize, platform: Platform) -> Fault {
    let server = dice.below(servers);
    let from = Place::Server(server);
    let to = match dice.below(6) {
        0 | 1 => Place::Operator,
        2 => Place::Source,
        _ => Place::Server((server + 1 + dice.below(servers - 1)) % servers),
    };
    let (from, to) = if dice.percent(50) { (from, to) } else { (to, from) };
    // A fetch of a frame fails for good after several attempts.
    let most = if [from, to].contains(&Place::Source) { 8_000 } else { 70_000 };
    let lasts = if dice.percent(60) { dice.millis(10, 3000) } else { dice.millis(10, most) };
    match dice.below(12) {
        0..3 => Fault::Crash(server),
        3 | 4 if platform == Platform::Pods => Fault::Remove(server, dice.pick(&[End::Closed, End::Vanished])),
        3 | 4 => Fault::Crash(server),
        5 | 6 => Fault::Isolate(server, lasts),
        7 => Fault::Partition { from, to, both_ways: false, lasts },
        8 => Fault::Partition { from, to, both_ways: true, lasts },
        9 => Fault::HalfOpen(from, to),
        10 => Fault::Slow { from, to, by: dice.millis(1, 2000), lasts },
        _ => Fault::LoseLoop(lasts),
    }
}

impl World {
    fn place(&self, place: Place) -> Option<String> {
        match place {
            Place::Operator => Some(OPERATOR.into()),
            Place::Server(server) => self.fleet.name(server),
            Place::Source => Some(source::HOST.into()),
        }
    }

    /// Injects faults at their times. Returns when the last fault is over.
    pub(crate) async fn inject(&self, faults: &[(Duration, Fault)]) {
        let all = faults.iter().map(|&(at, fault)| async move {
            tokio::time::sleep(at).await;
            self.trace.event(&format!("fault: {fault:?}"));
            self.suffer(fault).await;
        });
        futures_util::future::join_all(all).await;
    }

    async fn suffer(&self, fault: Fault) {
        let links = &self.network.links;
        match fault {
            Fault::Crash(server) => self.fleet.crash(server),
            Fault::Remove(server, how) => self.fleet.remove_server(server, how),
            Fault::Isolate(server, lasts) => {
                let Some(name) = self.fleet.name(server) else { return };
                self.fleet.silence(server, lasts);
                links.isolate(&name);
                tokio::time::sleep(lasts).await;
                links.join(&name);
            }
            Fault::Partition { from, to, both_ways, lasts } => {
                let Some((from, to)) = self.place(from).zip(self.place(to)) else { return };
                links.block(&from, &to);
                if both_ways {
                    links.block(&to, &from);
                }
                tokio::time::sleep(lasts).await;
                links.unblock(&from, &to);
                links.unblock(&to, &from);
            }
            Fault::HalfOpen(from, to) => {
                if let Some((from, to)) = self.place(from).zip(self.place(to)) {
                    links.cut(&from, &to);
                }
            }
            Fault::Slow { from, to, by, lasts } => {
                let Some((from, to)) = self.place(from).zip(self.place(to)) else { return };
                links.slow_down(&from, &to, by);
                links.slow_down(&to, &from, by);
                tokio::time::sleep(lasts).await;
                links.speed_up(&from, &to);
                links.speed_up(&to, &from);
            }
            Fault::LoseLoop(lasts) => {
                self.loop_lost.send_modify(|until| *until = (*until).max(Some(self.trace.now() + lasts)));
                tokio::time::sleep(lasts).await;
            }
        }
        self.trace.event(&format!("fault: {fault:?} is over"));
    }
}
