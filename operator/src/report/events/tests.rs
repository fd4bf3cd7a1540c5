use super::*;
use crate::report::conditions::{ConditionState, Facts, conditions};
use api::phase::Failure;
use crds::v1alpha1::status::{Failures, LastFailure, PlanStatus};

fn failure(reason: &str) -> Failure {
    Failure { reason: reason.into(), message: format!("the message of {reason}") }
}

fn after(before: &ArrayJobStatus, facts: &Facts) -> ArrayJobStatus {
    ArrayJobStatus { conditions: conditions(&before.conditions, facts, Some(1), "2026-01-01T00:00:00Z"), ..before.clone() }
}

fn planned(before: &ArrayJobStatus) -> ArrayJobStatus {
    let plan = PlanStatus { summary: "9 × 6×8 uint8".into(), ..PlanStatus::default() };
    ArrayJobStatus {
        plan: Some(plan),
        ..after(before, &Facts { working: Some(ConditionState::true_because("Planned", "p")), ..Facts::default() })
    }
}

fn lost(before: &ArrayJobStatus, counted: u32, uncounted: u32) -> ArrayJobStatus {
    let last = LastFailure { server: "stack-1".into(), message: "OOMKilled: more memory".into(), ..LastFailure::default() };
    ArrayJobStatus { failures: Some(Failures { counted, uncounted, last: Some(last) }), ..before.clone() }
}

fn ready() -> Facts {
    Facts { ready: Some(ConditionState::true_because("ServersReady", "3 of 3 servers respond")), ..Facts::default() }
}

fn stalled(reason: &str) -> Facts {
    Facts { stalled: Some(failure(reason)), ..Facts::default() }
}

/// `warning` and reason of each event.
fn published(before: &ArrayJobStatus, after: &ArrayJobStatus) -> Vec<(bool, String)> {
    between(before, after).into_iter().map(|event| (event.warning, event.reason)).collect()
}

fn one(warning: bool, reason: &str) -> Vec<(bool, String)> {
    vec![(warning, reason.to_owned())]
}

#[test]
fn each_change_of_a_job_is_one_event() {
    let new = ArrayJobStatus::default();
    let planned = planned(&new);
    assert_eq!(published(&new, &planned), one(false, "Planned"));
    let stuck = after(&planned, &stalled("Unschedulable"));
    assert_eq!(published(&planned, &stuck), one(true, "Unschedulable"));
    let stuck_again = after(&stuck, &stalled("ImagePullFailed"));
    assert_eq!(published(&stuck, &stuck_again), one(true, "ImagePullFailed"));
    let up = after(&stuck_again, &ready());
    assert_eq!(published(&stuck_again, &up), one(false, "ServersReady"));
    let down = lost(&after(&up, &Facts { ready: Some(ConditionState::false_because("ServerLost", "2 of 3")), ..Facts::default() }), 1, 0);
    assert_eq!(published(&up, &down), one(true, "ServerLost"));
    let up_again = after(&down, &ready());
    assert_eq!(published(&down, &up_again), one(false, "ServersReady"));
    let evicted = lost(&up_again, 1, 1);
    assert_eq!(published(&up_again, &evicted), one(true, "ServerLost"), "a disruption is an event too");
    let done = after(&evicted, &Facts { ended: Some(Ok("9 frames".into())), ..ready() });
    assert_eq!(published(&evicted, &done), one(false, "Complete"));
    for status in [new, planned, stuck, stuck_again, up, down, up_again, evicted, done] {
        assert_eq!(between(&status, &status), [], "no change, no event");
    }
}

#[test]
fn a_failure_is_one_warning_with_its_reason() {
    let running = after(&planned(&ArrayJobStatus::default()), &ready());
    let failed = after(&running, &Facts { ended: Some(Err(failure("ChunkDecodeFailed"))), ..Facts::default() });
    let events = between(&running, &failed);
    assert_eq!(
        events,
        [JobEvent { warning: true, reason: "ChunkDecodeFailed".into(), action: "Fail", note: "the message of ChunkDecodeFailed".into() }]
    );
    let stopped = after(&failed, &Facts::default());
    assert_eq!(between(&failed, &stopped), []);
}

#[test]
fn a_job_that_fails_at_its_start_has_one_event() {
    let new = ArrayJobStatus::default();
    let failed = after(&new, &Facts { ended: Some(Err(failure("InvalidSpec"))), ..Facts::default() });
    assert_eq!(published(&new, &failed), one(true, "InvalidSpec"));
}

#[test]
fn suspension_and_resumption_are_one_event_each() {
    let new = ArrayJobStatus::default();
    let suspended = after(&new, &Facts { suspended: true, ..Facts::default() });
    assert_eq!(published(&new, &suspended), one(false, "Suspended"));
    let resumed = after(&suspended, &ready());
    assert_eq!(published(&suspended, &resumed), [(false, "Resumed".to_owned()), (false, "ServersReady".to_owned())]);
    let later = after(&resumed, &ready());
    assert_eq!(published(&resumed, &later), []);
    assert_eq!(published(&new, &after(&new, &ready())), one(false, "ServersReady"), "a job that was never suspended has no event Resumed");
}

#[test]
fn the_event_of_a_lost_server_names_server_and_reason() {
    let before = ArrayJobStatus::default();
    let [event] = &between(&before, &lost(&before, 0, 1))[..] else { panic!("one event") };
    assert_eq!(event.note, "stack-1 was lost and is being replaced; the other servers keep their data (OOMKilled: more memory)");
}

#[test]
fn long_notes_are_cut_to_the_limit_of_the_api_server() {
    let long = Failure { reason: "SourceUnavailable".into(), message: "ä".repeat(2000) };
    let before = ArrayJobStatus::default();
    let events = between(&before, &after(&before, &Facts { ended: Some(Err(long)), ..Facts::default() }));
    assert_eq!(events[0].note, "ä".repeat(500));
}
