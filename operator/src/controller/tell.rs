//! What a reconciliation saw, as the status tells it.

use super::case::{Case, Error};
use super::write::write;
use crate::fleet::kubernetes::{KubernetesFleet, diagnose};
use crate::report::conditions::{Facts, Said};
use crate::report::report;
use crate::report::status::{Story, status};
use crate::turn::Turn;
use api::geometry::human_bytes;
use api::phase::Seen;
use crds::ArrayJobStatus;
use kube::ResourceExt as _;

impl Case<'_> {
    /// What is told whatever happens.
    pub(super) fn story(&self) -> Story {
        Story {
            generation: self.job.metadata.generation,
            desired: self.before.plan.as_ref().map_or(0, |plan| plan.servers as usize),
            launched: self.memory.recent.launched(),
            counts: self.memory.recent.counts(),
            last: self.memory.recent.last(),
            ..Story::default()
        }
    }

    /// Writes the status that follows from `after` and `story`.
    pub(super) async fn tell(&self, after: &ArrayJobStatus, story: Story) -> Result<(), Error> {
        let after = status(after, &story, self.now);
        write(self.context, &self.memory, &self.job, &self.before, &after).await.map(drop)
    }

    /// Whether every server was up before: what is missing since then was lost, not late.
    pub(super) fn was_ready(&self) -> bool {
        let ready = self.before.conditions.iter().find(|condition| condition.type_ == "Ready");
        ready.is_some_and(|ready| ready.status == "True" || ready.reason == "ServerLost")
    }

    pub(super) fn tell_turn(&self, turn: &Turn, fleet: &KubernetesFleet) -> Story {
        let report = report(turn);
        let pods = fleet.pods();
        let stalled = diagnose::diagnose(pods.values().map(|pod| &**pod), self.now)
            .or_else(|| self.memory.recent.troubled())
            .or_else(|| report.last_error.clone());
        let (up, desired) = (report.servers_up, turn.plan.partition.servers);
        let ready = if up == desired {
            Said::yes("ServersReady", format!("{desired} of {desired} servers answer"))
        } else if !self.was_ready() {
            Said::no("ServersStarting", format!("{up} of {desired} servers answer"))
        } else {
            Said::no("ServerLost", format!("{up} of {desired} servers answer; the others are being replaced"))
        };
        let recovering = up < desired && (begun(turn) || self.was_ready());
        let step = report.phases.iter().find(|phase| phase.done < phase.total).map_or("Write", |phase| phase.name.as_str());
        let working = match (&stalled, recovering, begun(turn)) {
            (Some(failure), _, _) if up < desired => Said::no(&failure.reason, failure.message.clone()),
            (_, true, _) => Said::yes("Recovering", "a lost server is being replaced, and its share computed again"),
            (_, _, true) => Said::yes("Running", format!("{step} is being worked on")),
            _ => Said::yes("Starting", format!("{up} of {desired} servers answer")),
        };
        let ended = turn.ended().map(|ended| ended.map(|()| self.done(turn, &report)).map_err(Clone::clone));
        Story {
            facts: Facts { ended, suspended: false, ready: Some(ready), working: Some(working), stalled },
            report: Some(report),
            desired,
            recovering,
            ..self.story()
        }
    }

    /// The sentence of a job that is done.
    fn done(&self, turn: &Turn, report: &crate::report::Report) -> String {
        let started = report.started_ms.unwrap_or_default() as i64;
        let seconds = (self.now.as_millisecond() - started).max(0) as f64 / 1000.0;
        format!(
            "{} frames ({}) in {seconds:.1} s with {} servers; kubectl arrayjob get {} '{}' -o result.npy reads results",
            turn.plan.partition.frames,
            human_bytes(turn.plan.partition.frames as u64 * turn.plan.partition.frame.bytes() as u64),
            turn.plan.partition.servers,
            self.job.name_any(),
            worth_a_look(turn)
        )
    }
}

/// Whether any unit of work is done.
pub(super) fn begun(turn: &Turn) -> bool {
    turn.observed.servers.iter().any(|seen| match seen {
        Seen::Up { progress, .. } => progress.phases.iter().any(|phase| phase.done > 0),
        _ => false,
    })
}

/// A selection that every such job has: a mean frame, or the first frame of the first array.
fn worth_a_look(turn: &Turn) -> String {
    let arrays = turn.plan.arrays(&turn.job);
    let frame = arrays.iter().find(|array| array.name.ends_with("_frame")).map(|array| array.name.clone());
    frame.or_else(|| arrays.first().map(|array| format!("{}[0]", array.name))).unwrap_or_default()
}
