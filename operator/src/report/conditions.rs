//! The conditions of an ArrayJob's status. Pure.
//!
//! `Complete`, `Failed` and `Suspended` have the meaning of the conditions of a Kubernetes Job. `Finished` is true if one of the first two
//! is true, so that `kubectl wait` needs one condition. `Ready`: every server responds. `Progressing`: work continues. `Stalled`: something
//! blocks the work.

use api::phase::Failure;
use crds::v1alpha1::status::Condition;

/// The facts from which the conditions are computed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// The message of a complete job or the failure of a failed job; `None` while the job continues.
    pub ended: Option<Result<String, Failure>>,
    /// Whether the job is suspended.
    pub suspended: bool,
    /// State of `Ready`; `None` if no servers run.
    pub ready: Option<ConditionState>,
    /// State of `Progressing`.
    pub working: Option<ConditionState>,
    /// What blocks the work.
    pub stalled: Option<Failure>,
}

/// Status, reason and message of a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConditionState {
    /// The status.
    pub is_true: bool,
    /// The reason, one CamelCase word.
    pub reason: String,
    /// The message, one sentence.
    pub message: String,
}

impl ConditionState {
    /// A condition with status True.
    pub fn true_because(reason: &str, message: impl Into<String>) -> Self {
        Self { is_true: true, reason: reason.to_owned(), message: message.into() }
    }

    /// A condition with status False.
    pub fn false_because(reason: &str, message: impl Into<String>) -> Self {
        Self { is_true: false, reason: reason.to_owned(), message: message.into() }
    }
}

/// All conditions after `before`. The transition time of a condition changes with its status only. An ended job stays ended.
pub fn conditions(before: &[Condition], facts: &Facts, generation: Option<i64>, now: &str) -> Vec<Condition> {
    let ended = facts.ended.clone().or_else(|| ended(before));
    let complete = match &ended {
        Some(Ok(message)) => ConditionState::true_because("Complete", message.clone()),
        Some(Err(failure)) => ConditionState::false_because(&failure.reason, "the job failed"),
        None => ConditionState::false_because("NotFinished", "the job is not finished"),
    };
    let failed = match &ended {
        Some(Err(failure)) => ConditionState::true_because(&failure.reason, failure.message.clone()),
        _ => ConditionState::false_because("NotFailed", "no permanent failure occurred"),
    };
    let finished = match &ended {
        Some(Ok(message)) => ConditionState::true_because("Complete", message.clone()),
        Some(Err(failure)) => ConditionState::true_because("Failed", format!("{}: {}", failure.reason, failure.message)),
        None => ConditionState::false_because("NotFinished", "the job is not finished"),
    };
    let suspended = if facts.suspended {
        ConditionState::true_because("Suspended", "no servers run; set suspend to false to restart the job")
    } else if before.iter().any(|condition| condition.type_ == "Suspended" && condition.status == "True") {
        ConditionState::false_because("Resumed", "the job continues")
    } else {
        ConditionState::false_because("NotSuspended", "the job may run")
    };
    let ready = facts.ready.clone().unwrap_or_else(|| ConditionState::false_because("NoServers", "no servers run"));
    let progressing = match (&ended, &facts.working) {
        (Some(Ok(_)), _) => ConditionState::false_because("Complete", "all work is done"),
        (Some(Err(failure)), _) => ConditionState::false_because(&failure.reason, failure.message.clone()),
        (None, Some(working)) => working.clone(),
        (None, None) if facts.suspended => ConditionState::false_because("Suspended", "no servers run"),
        (None, None) => ConditionState::false_because("Pending", "the job has not started"),
    };
    let stalled = match (&ended, &facts.stalled) {
        (_, Some(failure)) => ConditionState::true_because(&failure.reason, failure.message.clone()),
        (Some(Err(failure)), None) => ConditionState::true_because(&failure.reason, failure.message.clone()),
        _ => ConditionState::false_because("NotStalled", "nothing blocks the job"),
    };
    [
        ("Complete", complete),
        ("Failed", failed),
        ("Finished", finished),
        ("Suspended", suspended),
        ("Ready", ready),
        ("Progressing", progressing),
        ("Stalled", stalled),
    ]
    .into_iter()
    .map(|(type_, state)| condition(before, type_, state, generation, now))
    .collect()
}

/// The end of the job according to its conditions; `None` while the job continues.
pub fn ended(conditions: &[Condition]) -> Option<Result<String, Failure>> {
    conditions.iter().find_map(|condition| match (condition.type_.as_str(), condition.status.as_str()) {
        ("Complete", "True") => Some(Ok(condition.message.clone())),
        ("Failed", "True") => Some(Err(Failure { reason: condition.reason.clone(), message: condition.message.clone() })),
        _ => None,
    })
}

fn condition(before: &[Condition], type_: &str, state: ConditionState, generation: Option<i64>, now: &str) -> Condition {
    let status = if state.is_true { "True" } else { "False" };
    let since = before.iter().find(|condition| condition.type_ == type_ && condition.status == status);
    let mut reason = state.reason;
    // Keep `Resumed` until the status changes.
    if type_ == "Suspended" && reason == "NotSuspended" && since.is_some_and(|condition| condition.reason == "Resumed") {
        reason = "Resumed".to_owned();
    }
    Condition {
        type_: type_.to_owned(),
        status: status.to_owned(),
        reason,
        message: state.message,
        last_transition_time: since.map_or_else(|| now.to_owned(), |condition| condition.last_transition_time.clone()),
        observed_generation: generation,
    }
}

#[cfg(test)]
mod tests;
