//! When the next reconciliation runs. Changes of pods and of the ArrayJob start a reconciliation at once, through the watches.

use super::reconcile_context::ReconcileContext;
use crate::controller::lifecycle;
use crate::fleet::ServerState;
use crate::fleet::kubernetes::pod_state;
use crate::turn::Turn;
use kube::runtime::controller::Action;
use std::time::Duration;

/// Interval of reconciliations of working servers, and longest wait of one reconciliation for their progress.
const PROGRESS: Duration = Duration::from_secs(1);
/// Interval while containers run and do not respond yet.
const STARTING: Duration = Duration::from_millis(200);
/// Interval while the cluster refuses to create pods.
const REFUSED: Duration = Duration::from_secs(2);
/// Interval while only the cluster can change something. The interval updates messages that depend on time alone.
const IDLE: Duration = Duration::from_secs(5);

/// The next reconciliation starts at once.
pub(super) fn now() -> Action {
    Action::requeue(Duration::ZERO)
}

/// The next reconciliation starts after 1 s.
pub(super) fn after_interval() -> Action {
    Action::requeue(PROGRESS)
}

/// After a turn over a working job. If every server responds, this function waits for a change of their progress.
pub(super) async fn after_turn(ctx: &ReconcileContext<'_>, turn: &Turn) -> Action {
    let up = turn.observed.progress().count();
    if up == turn.plan.partition.servers {
        ctx.cache.servers.client.wait_for_change(&turn.observed, PROGRESS).await;
        return now();
    }
    let running = ctx.cached_pods().iter().filter(|pod| matches!(pod_state::server_state(pod), ServerState::Up(_))).count();
    Action::requeue(match (running > up, up) {
        (true, _) => STARTING,
        (false, 0) => IDLE,
        (false, _) => PROGRESS,
    })
}

/// After the cluster refused to create a pod: the cluster may accept the pod later.
pub(super) fn after_refusal() -> Action {
    Action::requeue(REFUSED)
}

/// At the next deadline of the job, and at the latest after [`IDLE`].
pub(super) fn at_deadline(ctx: &ReconcileContext<'_>) -> Action {
    let deadline = lifecycle::next_deadline(&ctx.job, ctx.now).unwrap_or(IDLE);
    Action::requeue(deadline.clamp(STARTING, IDLE))
}

/// Retries a deletion until the cache shows no pod of the job.
pub(super) fn while_pods_exist(ctx: &ReconcileContext<'_>) -> Action {
    if ctx.cached_pods().is_empty() { Action::await_change() } else { after_interval() }
}
