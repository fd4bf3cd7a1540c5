use super::*;
use crate::report::conditions::{Facts, Said, conditions};
use api::phase::Failure;
use crds::v1alpha1::status::{Failures, LastFailure, PlanStatus};

fn failure(reason: &str) -> Failure {
    Failure { reason: reason.into(), message: format!("{reason} says it") }
}

fn after(before: &ArrayJobStatus, facts: &Facts) -> ArrayJobStatus {
    ArrayJobStatus { conditions: conditions(&before.conditions, facts, Some(1), "2026-01-01T00:00:00Z"), ..before.clone() }
}

fn planned(before: &ArrayJobStatus) -> ArrayJobStatus {
    let plan = PlanStatus { summary: "9 × 6×8 uint8".into(), ..PlanStatus::default() };
    ArrayJobStatus { plan: Some(plan), ..after(before, &Facts { working: Some(Said::yes("Planned", "p")), ..Facts::default() }) }
}

fn lost(before: &ArrayJobStatus, counted: u32, uncounted: u32) -> ArrayJobStatus {
    let last = LastFailure { server: "stack-1".into(), message: "OOMKilled: more memory".into(), ..LastFailure::default() };
    ArrayJobStatus { failures: Some(Failures { counted, uncounted, last: Some(last) }), ..before.clone() }
}

fn ready() -> Facts {
    Facts { ready: Some(Said::yes("ServersReady", "3 of 3 servers answer")), ..Facts::default() }
}

fn stalled(reason: &str) -> Facts {
    Facts { stalled: Some(failure(reason)), ..Facts::default() }
}

/// Warning or not, and the reason, of each event.
fn news(before: &ArrayJobStatus, after: &ArrayJobStatus) -> Vec<(bool, String)> {
    between(before, after).into_iter().map(|news| (news.warning, news.reason)).collect()
}

fn one(warning: bool, reason: &str) -> Vec<(bool, String)> {
    vec![(warning, reason.to_owned())]
}

#[test]
fn a_jobs_life_is_told_in_one_event_a_change() {
    let new = ArrayJobStatus::default();
    let planned = planned(&new);
    assert_eq!(news(&new, &planned), one(false, "Planned"));
    let stuck = after(&planned, &stalled("Unschedulable"));
    assert_eq!(news(&planned, &stuck), one(true, "Unschedulable"));
    let stuck_otherwise = after(&stuck, &stalled("ImagePullFailed"));
    assert_eq!(news(&stuck, &stuck_otherwise), one(true, "ImagePullFailed"));
    let up = after(&stuck_otherwise, &ready());
    assert_eq!(news(&stuck_otherwise, &up), one(false, "ServersReady"));
    let down = lost(&after(&up, &Facts { ready: Some(Said::no("ServerLost", "2 of 3")), ..Facts::default() }), 1, 0);
    assert_eq!(news(&up, &down), one(true, "ServerLost"));
    let up_again = after(&down, &ready());
    assert_eq!(news(&down, &up_again), one(false, "ServersReady"));
    let evicted = lost(&up_again, 1, 1);
    assert_eq!(news(&up_again, &evicted), one(true, "ServerLost"), "one that was taken away is told as well");
    let done = after(&evicted, &Facts { ended: Some(Ok("9 frames".into())), ..ready() });
    assert_eq!(news(&evicted, &done), one(false, "Complete"));
    for status in [new, planned, stuck, stuck_otherwise, up, down, up_again, evicted, done] {
        assert_eq!(between(&status, &status), [], "nothing has happened");
    }
}

#[test]
fn a_failure_is_one_warning_with_its_own_reason() {
    let running = after(&planned(&ArrayJobStatus::default()), &ready());
    let failed = after(&running, &Facts { ended: Some(Err(failure("ChunkDecodeFailed"))), ..Facts::default() });
    let told = between(&running, &failed);
    assert_eq!(
        told,
        [News { warning: true, reason: "ChunkDecodeFailed".into(), action: "Fail", note: "ChunkDecodeFailed says it".into() }]
    );
    let put_away = after(&failed, &Facts::default());
    assert_eq!(between(&failed, &put_away), []);
}

#[test]
fn a_job_that_fails_at_once_is_told_to_fail_and_nothing_else() {
    let new = ArrayJobStatus::default();
    let failed = after(&new, &Facts { ended: Some(Err(failure("InvalidSpec"))), ..Facts::default() });
    assert_eq!(news(&new, &failed), one(true, "InvalidSpec"));
}

#[test]
fn suspension_is_told_at_its_beginning_and_its_end() {
    let new = ArrayJobStatus::default();
    let suspended = after(&new, &Facts { suspended: true, ..Facts::default() });
    assert_eq!(news(&new, &suspended), one(false, "Suspended"));
    let resumed = after(&suspended, &ready());
    assert_eq!(news(&suspended, &resumed), [(false, "Resumed".to_owned()), (false, "ServersReady".to_owned())]);
    let on = after(&resumed, &ready());
    assert_eq!(news(&resumed, &on), []);
    assert_eq!(news(&new, &after(&new, &ready())), one(false, "ServersReady"), "a job that never was suspended is not resumed");
}

#[test]
fn a_lost_server_is_named_with_its_reason() {
    let before = ArrayJobStatus::default();
    let [told] = &between(&before, &lost(&before, 0, 1))[..] else { panic!("one event") };
    assert_eq!(told.note, "stack-1 was lost and is replaced; the others keep what they have (OOMKilled: more memory)");
}

#[test]
fn notes_are_cut_where_the_api_server_would_refuse_them() {
    let long = Failure { reason: "SourceUnavailable".into(), message: "ä".repeat(2000) };
    let before = ArrayJobStatus::default();
    let told = between(&before, &after(&before, &Facts { ended: Some(Err(long)), ..Facts::default() }));
    assert_eq!(told[0].note, "ä".repeat(500));
}
