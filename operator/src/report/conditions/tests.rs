use super::*;

const EARLY: &str = "2026-01-01T00:00:00Z";
const LATE: &str = "2026-01-01T00:10:00Z";

fn failure(reason: &str) -> Failure {
    Failure { reason: reason.into(), message: format!("because of {reason}") }
}

fn find<'a>(conditions: &'a [Condition], type_: &str) -> &'a Condition {
    conditions.iter().find(|condition| condition.type_ == type_).unwrap_or_else(|| panic!("no {type_}"))
}

/// Status and reason of one condition.
fn state<'a>(conditions: &'a [Condition], type_: &str) -> (&'a str, &'a str) {
    let condition = find(conditions, type_);
    (&condition.status, &condition.reason)
}

fn first(facts: &Facts) -> Vec<Condition> {
    conditions(&[], facts, Some(1), EARLY)
}

fn complete() -> Facts {
    Facts { ended: Some(Ok("100 frames".into())), ready: Some(ConditionState::true_because("ServersReady", "3 of 3")), ..Facts::default() }
}

fn failed() -> Facts {
    Facts { ended: Some(Err(failure("SourceUnavailable"))), ..Facts::default() }
}

fn running() -> Facts {
    let ready = Some(ConditionState::true_because("ServersReady", "3 of 3"));
    Facts { ready, working: Some(ConditionState::true_because("Running", "the phase Load is in progress")), ..Facts::default() }
}

#[test]
fn every_status_has_all_conditions_with_their_generation() {
    for facts in [Facts::default(), complete(), failed(), running(), Facts { suspended: true, ..Facts::default() }] {
        let found = conditions(&[], &facts, Some(7), EARLY);
        let types: Vec<&str> = found.iter().map(|condition| condition.type_.as_str()).collect();
        assert_eq!(types, ["Complete", "Failed", "Finished", "Suspended", "Ready", "Progressing", "Stalled"]);
        for condition in &found {
            assert!(["True", "False"].contains(&condition.status.as_str()));
            assert!(!condition.message.is_empty() && condition.reason.bytes().all(|b| b.is_ascii_alphanumeric()), "{condition:?}");
            assert_eq!(condition.observed_generation, Some(7));
        }
    }
}

#[test]
fn conditions_follow_from_the_facts() {
    let stalled = Facts {
        stalled: Some(failure("Unschedulable")),
        working: Some(ConditionState::false_because("Unschedulable", "m")),
        ..Facts::default()
    };
    let cases = [
        (
            Facts::default(),
            [("False", "NotFinished"), ("False", "NotFailed"), ("False", "NotFinished"), ("False", "Pending"), ("False", "NotStalled")],
        ),
        (
            running(),
            [("False", "NotFinished"), ("False", "NotFailed"), ("False", "NotFinished"), ("True", "Running"), ("False", "NotStalled")],
        ),
        (
            stalled,
            [
                ("False", "NotFinished"),
                ("False", "NotFailed"),
                ("False", "NotFinished"),
                ("False", "Unschedulable"),
                ("True", "Unschedulable"),
            ],
        ),
        (complete(), [("True", "Complete"), ("False", "NotFailed"), ("True", "Complete"), ("False", "Complete"), ("False", "NotStalled")]),
        (
            failed(),
            [
                ("False", "SourceUnavailable"),
                ("True", "SourceUnavailable"),
                ("True", "Failed"),
                ("False", "SourceUnavailable"),
                ("True", "SourceUnavailable"),
            ],
        ),
    ];
    for (facts, expected) in cases {
        let conditions = first(&facts);
        let found = ["Complete", "Failed", "Finished", "Progressing", "Stalled"].map(|type_| state(&conditions, type_));
        assert_eq!(found, expected, "{facts:?}");
    }
}

#[test]
fn finished_is_true_for_complete_and_failed_jobs_and_states_the_end() {
    let found = first(&failed());
    assert_eq!(find(&found, "Finished").message, "SourceUnavailable: because of SourceUnavailable");
    assert_eq!(find(&first(&complete()), "Finished").message, "100 frames");
    assert_eq!(ended(&found), Some(Err(failure("SourceUnavailable"))));
    assert_eq!(ended(&first(&complete())), Some(Ok("100 frames".into())));
    assert_eq!(ended(&first(&running())), None);
}

#[test]
fn an_ended_job_stays_ended_with_the_same_reasons() {
    let later = [
        Facts::default(),
        running(),
        Facts { suspended: true, ..Facts::default() },
        Facts { stalled: Some(failure("Unschedulable")), ..running() },
    ];
    for end in [complete(), failed()] {
        let before = first(&end);
        for facts in &later {
            let after = conditions(&before, facts, Some(2), LATE);
            assert_eq!(ended(&after), ended(&before), "{facts:?}");
            for type_ in ["Complete", "Failed", "Finished", "Progressing"] {
                let (was, is) = (find(&before, type_), find(&after, type_));
                assert_eq!(
                    (&is.status, &is.reason, &is.last_transition_time),
                    (&was.status, &was.reason, &was.last_transition_time),
                    "{type_}"
                );
            }
        }
    }
}

#[test]
fn the_transition_time_changes_with_the_status_only() {
    let before = first(&running());
    let same = conditions(&before, &running(), Some(1), LATE);
    assert_eq!(same, before, "nothing has changed");
    let other_reason = Facts { working: Some(ConditionState::true_because("Recovering", "a server is being replaced")), ..running() };
    let after = conditions(&before, &other_reason, Some(1), LATE);
    assert_eq!(find(&after, "Progressing").reason, "Recovering");
    assert_eq!(find(&after, "Progressing").last_transition_time, EARLY, "the reason changed, the status did not");
    let lost = Facts { ready: Some(ConditionState::false_because("ServerLost", "2 of 3")), ..running() };
    let after = conditions(&before, &lost, Some(1), LATE);
    assert_eq!(
        (find(&after, "Ready").last_transition_time.as_str(), find(&after, "Complete").last_transition_time.as_str()),
        (LATE, EARLY)
    );
}

#[test]
fn a_resumed_job_has_the_reason_resumed_until_the_next_suspension() {
    let suspended = Facts { suspended: true, ..Facts::default() };
    let found = first(&suspended);
    assert_eq!((state(&found, "Suspended"), state(&found, "Progressing")), (("True", "Suspended"), ("False", "Suspended")));
    assert_eq!(state(&found, "Ready"), ("False", "NoServers"));
    let resumed = conditions(&found, &running(), Some(2), LATE);
    assert_eq!((state(&resumed, "Suspended"), find(&resumed, "Suspended").last_transition_time.as_str()), (("False", "Resumed"), LATE));
    let later_status = conditions(&resumed, &running(), Some(2), "2026-01-01T00:20:00Z");
    assert_eq!(
        find(&later_status, "Suspended"),
        &Condition { message: find(&later_status, "Suspended").message.clone(), ..find(&resumed, "Suspended").clone() }
    );
    assert_eq!(state(&conditions(&later_status, &suspended, Some(3), LATE), "Suspended"), ("True", "Suspended"));
    assert_eq!(state(&first(&running()), "Suspended"), ("False", "NotSuspended"), "the job was never suspended");
}

#[test]
fn a_complete_job_can_be_stalled() {
    let facts = Facts { stalled: Some(failure("Unschedulable")), ..complete() };
    let found = first(&facts);
    assert_eq!((state(&found, "Stalled"), state(&found, "Complete")), (("True", "Unschedulable"), ("True", "Complete")));
}
