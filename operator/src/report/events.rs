//! The events between two consecutive statuses. Each change gives one event, because the second status is the first of the next pair. Pure.

use crds::ArrayJobStatus;
use crds::v1alpha1::status::Condition;

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobEvent {
    /// Whether the event is a warning.
    pub warning: bool,
    /// The reason, one CamelCase word.
    pub reason: String,
    /// The action of the operator.
    pub action: &'static str,
    /// The note, one sentence.
    pub note: String,
}

/// Longest note, in bytes. The API server refuses notes of more than 1024 bytes.
const MAX_NOTE_BYTES: usize = 1000;

/// The events between two statuses.
pub fn between(before: &ArrayJobStatus, after: &ArrayJobStatus) -> Vec<JobEvent> {
    let mut events = Vec::new();
    let mut push = |warning, reason: &str, action, note: String| {
        let end = note.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(|&end| end <= MAX_NOTE_BYTES).last().unwrap_or(0);
        events.push(JobEvent { warning, reason: reason.to_owned(), action, note: note[..end].to_owned() });
    };
    if let (None, Some(plan)) = (&before.plan, &after.plan) {
        push(false, "Planned", "Plan", plan.summary.clone());
    }
    let restarts = |status: &ArrayJobStatus| status.failures.as_ref().map_or(0, |failures| failures.counted + failures.uncounted);
    if restarts(after) > restarts(before)
        && let Some(last) = after.failures.as_ref().and_then(|failures| failures.last.as_ref())
    {
        push(
            true,
            "ServerLost",
            "Replace",
            format!("{} was lost and is being replaced; the other servers keep their data ({})", last.server, last.message),
        );
    }
    for condition in &after.conditions {
        let was = before.conditions.iter().find(|was| was.type_ == condition.type_);
        let became = |status: &str| condition.status == status && was.is_none_or(|was| was.status != status);
        let other_reason = was.is_some_and(|was: &Condition| was.reason != condition.reason);
        match condition.type_.as_str() {
            "Complete" if became("True") => push(false, "Complete", "Finish", condition.message.clone()),
            "Failed" if became("True") => push(true, &condition.reason, "Fail", condition.message.clone()),
            "Suspended" if became("True") => push(false, "Suspended", "Suspend", condition.message.clone()),
            "Suspended" if was.is_some() && became("False") => push(false, "Resumed", "Resume", condition.message.clone()),
            "Ready" if became("True") => push(false, "ServersReady", "Start", condition.message.clone()),
            "Stalled" if condition.status == "True" && (became("True") || other_reason) && !failed(after) => {
                push(true, &condition.reason, "Wait", condition.message.clone());
            }
            _ => {}
        }
    }
    events
}

fn failed(status: &ArrayJobStatus) -> bool {
    status.conditions.iter().any(|condition| condition.type_ == "Failed" && condition.status == "True")
}

#[cfg(test)]
mod tests;
