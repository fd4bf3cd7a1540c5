//! The conditions of an ArrayJob's status. Pure.
//!
//! `Complete`, `Failed` and `Suspended` mean what a batch Job's do; `Finished` is either of the first two, for one-line waits;
//! `Ready` says whether every server answers, `Progressing` whether work goes on, `Stalled` what keeps it from going on.

use api::phase::Failure;
use crds::v1alpha1::status::Condition;

/// What is true of the job now.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// How it ended, once it has.
    pub ended: Option<Result<String, Failure>>,
    /// Whether it is suspended.
    pub suspended: bool,
    /// Whether every server answers, and in which words.
    pub ready: Option<Said>,
    /// What is being worked on: a reason and a sentence.
    pub working: Option<Said>,
    /// What keeps it from going on.
    pub stalled: Option<Failure>,
}

/// A state with its reason and sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Whether it is so.
    pub is: bool,
    /// One word.
    pub reason: String,
    /// One sentence.
    pub message: String,
}

impl Said {
    /// It is so.
    pub fn yes(reason: &str, message: impl Into<String>) -> Self {
        Self { is: true, reason: reason.to_owned(), message: message.into() }
    }

    /// It is not so.
    pub fn no(reason: &str, message: impl Into<String>) -> Self {
        Self { is: false, reason: reason.to_owned(), message: message.into() }
    }
}

/// All conditions, after those of `before`: times of transition stay while a status stays, and what has ended stays ended.
pub fn conditions(before: &[Condition], facts: &Facts, generation: Option<i64>, now: &str) -> Vec<Condition> {
    let ended = facts.ended.clone().or_else(|| ended(before));
    let complete = match &ended {
        Some(Ok(message)) => Said::yes("Complete", message.clone()),
        Some(Err(failure)) => Said::no(&failure.reason, "the job failed"),
        None => Said::no("NotFinished", "the job is not finished"),
    };
    let failed = match &ended {
        Some(Err(failure)) => Said::yes(&failure.reason, failure.message.clone()),
        _ => Said::no("NotFailed", "nothing has failed for good"),
    };
    let finished = match &ended {
        Some(Ok(message)) => Said::yes("Complete", message.clone()),
        Some(Err(failure)) => Said::yes("Failed", format!("{}: {}", failure.reason, failure.message)),
        None => Said::no("NotFinished", "the job is not finished"),
    };
    let suspended = if facts.suspended {
        Said::yes("Suspended", "no servers run; set suspend to false to begin again")
    } else if before.iter().any(|condition| condition.type_ == "Suspended" && condition.status == "True") {
        Said::no("Resumed", "the job goes on")
    } else {
        Said::no("NotSuspended", "the job may run")
    };
    let ready = facts.ready.clone().unwrap_or_else(|| Said::no("NoServers", "no servers run"));
    let progressing = match (&ended, &facts.working) {
        (Some(Ok(_)), _) => Said::no("Complete", "nothing is left to do"),
        (Some(Err(failure)), _) => Said::no(&failure.reason, failure.message.clone()),
        (None, Some(working)) => working.clone(),
        (None, None) if facts.suspended => Said::no("Suspended", "no servers run"),
        (None, None) => Said::no("Pending", "not started yet"),
    };
    let stalled = match (&ended, &facts.stalled) {
        (_, Some(failure)) => Said::yes(&failure.reason, failure.message.clone()),
        (Some(Err(failure)), None) => Said::yes(&failure.reason, failure.message.clone()),
        _ => Said::no("NotStalled", "nothing stands in the way"),
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
    .map(|(type_, said)| condition(before, type_, said, generation, now))
    .collect()
}

/// How the job ended, as its conditions say.
pub fn ended(conditions: &[Condition]) -> Option<Result<String, Failure>> {
    conditions.iter().find_map(|condition| match (condition.type_.as_str(), condition.status.as_str()) {
        ("Complete", "True") => Some(Ok(condition.message.clone())),
        ("Failed", "True") => Some(Err(Failure { reason: condition.reason.clone(), message: condition.message.clone() })),
        _ => None,
    })
}

fn condition(before: &[Condition], type_: &str, said: Said, generation: Option<i64>, now: &str) -> Condition {
    let status = if said.is { "True" } else { "False" };
    let since = before.iter().find(|condition| condition.type_ == type_ && condition.status == status);
    let mut reason = said.reason;
    // A cause's end keeps its word while nothing new is to be said.
    if type_ == "Suspended" && reason == "NotSuspended" && since.is_some_and(|condition| condition.reason == "Resumed") {
        reason = "Resumed".to_owned();
    }
    Condition {
        type_: type_.to_owned(),
        status: status.to_owned(),
        reason,
        message: said.message,
        last_transition_time: since.map_or_else(|| now.to_owned(), |condition| condition.last_transition_time.clone()),
        observed_generation: generation,
    }
}

#[cfg(test)]
mod tests;
