//! What happened between two statuses, as events: each once, because the second status is the first of the next pair. Pure.

use crds::ArrayJobStatus;
use crds::v1alpha1::status::Condition;

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    /// Whether somebody should look.
    pub warning: bool,
    /// One word.
    pub reason: String,
    /// What was done.
    pub action: &'static str,
    /// One sentence.
    pub note: String,
}

/// Longest note that the API takes, in bytes, with room to spare.
const LONGEST: usize = 1000;

/// The events between two statuses.
pub fn between(before: &ArrayJobStatus, after: &ArrayJobStatus) -> Vec<News> {
    let mut news = Vec::new();
    let mut tell = |warning, reason: &str, action, note: String| {
        let end = note.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(|&end| end <= LONGEST).last().unwrap_or(0);
        news.push(News { warning, reason: reason.to_owned(), action, note: note[..end].to_owned() });
    };
    if let (None, Some(plan)) = (&before.plan, &after.plan) {
        tell(false, "Planned", "Plan", plan.summary.clone());
    }
    let restarts = |status: &ArrayJobStatus| status.failures.as_ref().map_or(0, |failures| failures.counted + failures.uncounted);
    if restarts(after) > restarts(before)
        && let Some(last) = after.failures.as_ref().and_then(|failures| failures.last.as_ref())
    {
        tell(
            true,
            "ServerLost",
            "Replace",
            format!("{} was lost and is replaced; the others keep what they have ({})", last.server, last.message),
        );
    }
    for condition in &after.conditions {
        let was = before.conditions.iter().find(|was| was.type_ == condition.type_);
        let became = |status: &str| condition.status == status && was.is_none_or(|was| was.status != status);
        let other_reason = was.is_some_and(|was: &Condition| was.reason != condition.reason);
        match condition.type_.as_str() {
            "Complete" if became("True") => tell(false, "Complete", "Finish", condition.message.clone()),
            "Failed" if became("True") => tell(true, &condition.reason, "Fail", condition.message.clone()),
            "Suspended" if became("True") => tell(false, "Suspended", "Suspend", condition.message.clone()),
            "Suspended" if was.is_some() && became("False") => tell(false, "Resumed", "Resume", condition.message.clone()),
            "Ready" if became("True") => tell(false, "ServersReady", "Start", condition.message.clone()),
            "Stalled" if condition.status == "True" && (became("True") || other_reason) && !failed(after) => {
                tell(true, &condition.reason, "Wait", condition.message.clone());
            }
            _ => {}
        }
    }
    news
}

fn failed(status: &ArrayJobStatus) -> bool {
    status.conditions.iter().any(|condition| condition.type_ == "Failed" && condition.status == "True")
}

#[cfg(test)]
mod tests;
