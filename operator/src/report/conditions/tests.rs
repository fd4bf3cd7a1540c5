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
fn said<'a>(conditions: &'a [Condition], type_: &str) -> (&'a str, &'a str) {
    let condition = find(conditions, type_);
    (&condition.status, &condition.reason)
}

fn first(facts: &Facts) -> Vec<Condition> {
    conditions(&[], facts, Some(1), EARLY)
}

fn complete() -> Facts {
    Facts { ended: Some(Ok("100 frames".into())), ready: Some(Said::yes("ServersReady", "3 of 3")), ..Facts::default() }
}

fn failed() -> Facts {
    Facts { ended: Some(Err(failure("SourceUnavailable"))), ..Facts::default() }
}

fn running() -> Facts {
    let ready = Some(Said::yes("ServersReady", "3 of 3"));
    Facts { ready, working: Some(Said::yes("Running", "Load is being worked on")), ..Facts::default() }
}

#[test]
fn every_condition_is_told_each_time_with_its_generation() {
    for facts in [Facts::default(), complete(), failed(), running(), Facts { suspended: true, ..Facts::default() }] {
        let told = conditions(&[], &facts, Some(7), EARLY);
        let types: Vec<&str> = told.iter().map(|condition| condition.type_.as_str()).collect();
        assert_eq!(types, ["Complete", "Failed", "Finished", "Suspended", "Ready", "Progressing", "Stalled"]);
        for condition in &told {
            assert!(["True", "False"].contains(&condition.status.as_str()));
            assert!(!condition.message.is_empty() && condition.reason.bytes().all(|b| b.is_ascii_alphanumeric()), "{condition:?}");
            assert_eq!(condition.observed_generation, Some(7));
        }
    }
}

#[test]
fn what_is_told_follows_from_the_facts() {
    let stalled = Facts { stalled: Some(failure("Unschedulable")), working: Some(Said::no("Unschedulable", "m")), ..Facts::default() };
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
        let told = first(&facts);
        let found = ["Complete", "Failed", "Finished", "Progressing", "Stalled"].map(|type_| said(&told, type_));
        assert_eq!(found, expected, "{facts:?}");
    }
}

#[test]
fn finished_says_how_for_those_who_wait_for_either_end() {
    let told = first(&failed());
    assert_eq!(find(&told, "Finished").message, "SourceUnavailable: because of SourceUnavailable");
    assert_eq!(find(&first(&complete()), "Finished").message, "100 frames");
    assert_eq!(ended(&told), Some(Err(failure("SourceUnavailable"))));
    assert_eq!(ended(&first(&complete())), Some(Ok("100 frames".into())));
    assert_eq!(ended(&first(&running())), None);
}

#[test]
fn what_has_ended_stays_ended_in_the_same_words() {
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
fn a_time_is_that_of_the_last_change_of_status() {
    let before = first(&running());
    let same = conditions(&before, &running(), Some(1), LATE);
    assert_eq!(same, before, "nothing has changed");
    let other_words = Facts { working: Some(Said::yes("Recovering", "a server is being replaced")), ..running() };
    let after = conditions(&before, &other_words, Some(1), LATE);
    assert_eq!(find(&after, "Progressing").reason, "Recovering");
    assert_eq!(find(&after, "Progressing").last_transition_time, EARLY, "its reason changed, its status did not");
    let lost = Facts { ready: Some(Said::no("ServerLost", "2 of 3")), ..running() };
    let after = conditions(&before, &lost, Some(1), LATE);
    assert_eq!(
        (find(&after, "Ready").last_transition_time.as_str(), find(&after, "Complete").last_transition_time.as_str()),
        (LATE, EARLY)
    );
}

#[test]
fn a_suspended_job_is_resumed_and_that_is_said_until_it_is_suspended_again() {
    let suspended = Facts { suspended: true, ..Facts::default() };
    let told = first(&suspended);
    assert_eq!((said(&told, "Suspended"), said(&told, "Progressing")), (("True", "Suspended"), ("False", "Suspended")));
    assert_eq!(said(&told, "Ready"), ("False", "NoServers"));
    let resumed = conditions(&told, &running(), Some(2), LATE);
    assert_eq!((said(&resumed, "Suspended"), find(&resumed, "Suspended").last_transition_time.as_str()), (("False", "Resumed"), LATE));
    let on = conditions(&resumed, &running(), Some(2), "2026-01-01T00:20:00Z");
    assert_eq!(
        find(&on, "Suspended"),
        &Condition { message: find(&on, "Suspended").message.clone(), ..find(&resumed, "Suspended").clone() }
    );
    assert_eq!(said(&conditions(&on, &suspended, Some(3), LATE), "Suspended"), ("True", "Suspended"));
    assert_eq!(said(&first(&running()), "Suspended"), ("False", "NotSuspended"), "it never was");
}

#[test]
fn an_obstacle_is_told_of_a_job_that_is_done_too() {
    let facts = Facts { stalled: Some(failure("Unschedulable")), ..complete() };
    let told = first(&facts);
    assert_eq!((said(&told, "Stalled"), said(&told, "Complete")), (("True", "Unschedulable"), ("True", "Complete")));
}
