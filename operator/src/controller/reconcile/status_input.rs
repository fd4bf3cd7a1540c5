//! The input of the status that follows from one turn over the pods.

use super::reconcile_context::ReconcileContext;
use super::write_status::base_input;
use crate::fleet::kubernetes::{KubernetesFleet, diagnose, pod};
use crate::report::conditions::{ConditionState, Facts};
use crate::report::status::StatusInput;
use crate::report::{Report, report};
use crate::turn::Turn;
use api::geometry::human_bytes;
use api::phase::Seen;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Facts and report of a turn.
pub(super) fn turn_input(ctx: &ReconcileContext<'_>, turn: &Turn, fleet: &KubernetesFleet) -> StatusInput {
    let report = report(turn);
    let pods = fleet.pods();
    let stalled = diagnose::key_lost(turn.observed.untrusted)
        .or_else(|| diagnose::diagnose(pods.values().map(|pod| &**pod), ctx.now))
        .or_else(|| ctx.cache.recent.create_error())
        .or_else(|| report.last_error.clone());
    let (up, desired) = (report.servers_up, turn.plan.partition.servers);
    let ready = if up == desired {
        ConditionState::true_because("ServersReady", format!("{desired} of {desired} servers respond"))
    } else if !ctx.was_ready() {
        ConditionState::false_because("ServersStarting", format!("{up} of {desired} servers respond"))
    } else {
        ConditionState::false_because("ServerLost", format!("{up} of {desired} servers respond; the other servers are being replaced"))
    };
    // A server that starts for the first time after another server has begun to work is not a lost one.
    let recovering = up < desired && (ctx.was_ready() || (work_begun(turn) && has_lost_server(turn, &pods)));
    let phase = report.phases.iter().find(|phase| phase.done < phase.total).map_or("Write", |phase| phase.name.as_str());
    let working = match (&stalled, recovering, work_begun(turn)) {
        (Some(failure), _, _) if up < desired => ConditionState::false_because(&failure.reason, failure.message.clone()),
        (_, true, _) => ConditionState::true_because("Recovering", "a lost server is being replaced and computes its share again"),
        (_, _, true) => ConditionState::true_because("Running", format!("the phase {phase} is in progress")),
        _ => ConditionState::true_because("Starting", format!("{up} of {desired} servers respond")),
    };
    let ended = turn.ended().map(|ended| ended.map(|()| summary(ctx, turn, &report)).map_err(Clone::clone));
    StatusInput {
        facts: Facts { ended, suspended: false, ready: Some(ready), working: Some(working), stalled },
        report: Some(report),
        desired,
        recovering,
        ..base_input(ctx)
    }
}

/// Whether a unit of work is done on any server.
pub(super) fn work_begun(turn: &Turn) -> bool {
    turn.observed.servers.iter().any(|seen| match seen {
        Seen::Up { progress, .. } => progress.phases.iter().any(|phase| phase.done > 0),
        Seen::Absent | Seen::Exited(_) | Seen::Lost(_) | Seen::Starting => false,
    })
}

/// Whether a server that does not respond was lost, or replaces a lost server.
fn has_lost_server(turn: &Turn, pods: &BTreeMap<usize, Arc<Pod>>) -> bool {
    turn.observed.servers.iter().enumerate().any(|(index, seen)| match seen {
        Seen::Exited(_) | Seen::Lost(_) => true,
        Seen::Starting => pods.get(&index).is_some_and(|pod| pod::is_replacement(pod)),
        Seen::Absent | Seen::Up { .. } => false,
    })
}

/// The message of the condition `Complete`.
fn summary(ctx: &ReconcileContext<'_>, turn: &Turn, report: &Report) -> String {
    let seconds = report.work_seconds.unwrap_or_default();
    let partition = &turn.plan.partition;
    format!(
        "{} frames ({}) in {seconds:.1} s with {} servers; kubectl arrayjob get {} '{}' -o result.npy reads results",
        partition.frames,
        human_bytes(partition.frames as u64 * partition.frame.bytes() as u64),
        partition.servers,
        ctx.job.name_any(),
        example_selection(turn)
    )
}

/// A selection that is valid for the job: a mean frame, or the first frame of the first array.
fn example_selection(turn: &Turn) -> String {
    let arrays = turn.plan.arrays(&turn.job);
    let frame = arrays.iter().find(|array| array.name.ends_with("_frame")).map(|array| array.name.clone());
    frame.or_else(|| arrays.first().map(|array| format!("{}[0]", array.name))).unwrap_or_default()
}
