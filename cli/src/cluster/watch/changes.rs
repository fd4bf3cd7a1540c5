//! The difference of two statuses in words, and the summary and verdict of one status. Pure.

use crds::v1alpha1::ArrayJobStatus;
use crds::v1alpha1::status::{Condition, Failures, LastFailure};
use serde_json::{Value, json};

/// The changes from `before` to `now`, one sentence each.
pub(super) fn changes(before: Option<&ArrayJobStatus>, now: &ArrayJobStatus) -> Vec<String> {
    let nothing = ArrayJobStatus::default();
    let before = before.unwrap_or(&nothing);
    let mut changes = Vec::new();
    if let Some(plan) = now.plan.as_ref().filter(|plan| before.plan.as_ref().is_none_or(|old| old.fingerprint != plan.fingerprint)) {
        changes.push(format!("planned: {}", plan.summary));
    }
    losses(before, now, &mut changes);
    if let Some(phase) = now.phase.as_ref().filter(|phase| before.phase.as_ref() != Some(phase)) {
        changes.push(match reason(now, phase) {
            Some(reason) => format!("{phase}: {reason}"),
            None => phase.clone(),
        });
    }
    match (true_condition(before, "Stalled"), true_condition(now, "Stalled")) {
        (old, Some(stalled)) if old.is_none_or(|old| (&old.reason, &old.message) != (&stalled.reason, &stalled.message)) => {
            changes.push(format!("stalled: {}", sentence(stalled)));
        }
        (Some(_), None) => changes.push("no longer stalled".into()),
        _ => {}
    }
    let blank = |status: &ArrayJobStatus| status.frames_blank_count.unwrap_or(status.frames_blank.len() as u64);
    if blank(now) > blank(before) {
        let first = now.frames_blank.first().map(|frame| format!(", the first is {frame}")).unwrap_or_default();
        changes.push(format!("{} frames are blank, because fetching or decoding failed{first}", blank(now)));
    }
    let uncentered = |status: &ArrayJobStatus| status.frames_without_centroid_count.unwrap_or(0);
    if uncentered(now) > uncentered(before) {
        let first = now.frames_without_centroid.first().map(|frame| format!(", the first is {frame}")).unwrap_or_default();
        changes.push(format!("{} frames have no centroid{first}", uncentered(now)));
    }
    changes
}

/// Lost servers and restarts.
fn losses(before: &ArrayJobStatus, now: &ArrayJobStatus, changes: &mut Vec<String>) {
    let lost = |failures: &Failures| u64::from(failures.counted) + u64::from(failures.uncounted);
    let of = |status: &ArrayJobStatus| status.failures.as_ref().map(lost).unwrap_or_default();
    let restarts = |status: &ArrayJobStatus| status.servers.as_ref().map_or(0, |servers| servers.restarts);
    if of(now) > of(before) {
        let last = now.failures.as_ref().and_then(|failures| failures.last.as_ref());
        let more = of(now) - of(before);
        let which = last.map_or_else(|| "a server".to_owned(), describe);
        let lost = if more > 1 { format!("{more} servers were lost, the last is {which}") } else { format!("lost {which}") };
        changes.push(format!("{lost}; replacements start, the other servers keep their share"));
    } else if restarts(now) > restarts(before) {
        changes.push(format!("server restarts so far: {}", restarts(now)));
    }
}

fn describe(last: &LastFailure) -> String {
    let code = last.exit_code.map(|code| format!(", exit code {code}")).unwrap_or_default();
    let node = last.node.as_ref().map(|node| format!(" on {node}")).unwrap_or_default();
    let message = if last.message.is_empty() { String::new() } else { format!(": {}", last.message) };
    format!("server {}{node} ({}{code}{message})", last.server, last.reason)
}

/// The message of the condition that a phase summarizes.
fn reason(now: &ArrayJobStatus, phase: &str) -> Option<String> {
    let condition = match phase {
        "Complete" | "Failed" | "Suspended" => true_condition(now, phase),
        // `changes` has a sentence of its own about Stalled.
        _ => now.conditions.iter().find(|condition| condition.type_ == "Progressing"),
    }?;
    Some(sentence(condition))
}

fn sentence(condition: &Condition) -> String {
    match (condition.reason.as_str(), condition.message.as_str()) {
        (reason, "") => reason.to_owned(),
        (reason, message) => format!("{message} ({reason})"),
    }
}

/// The condition of this type, if its status is True.
fn true_condition<'a>(status: &'a ArrayJobStatus, name: &str) -> Option<&'a Condition> {
    status.conditions.iter().find(|condition| condition.type_ == name && condition.status == "True")
}

/// The end of the job: success, or the failure's (reason, message); none while the job works.
pub(super) fn verdict(status: &ArrayJobStatus) -> Option<Result<(), (String, String)>> {
    if let Some(failed) = true_condition(status, "Failed") {
        return Some(Err((failed.reason.clone(), failed.message.clone())));
    }
    true_condition(status, "Complete").map(|_| Ok(()))
}

/// The status in JSON progress, without the progress of phases.
pub(super) fn summary(status: &ArrayJobStatus) -> Value {
    let conditions: Vec<Value> = status
        .conditions
        .iter()
        .filter(|condition| condition.status == "True")
        .map(|condition| json!({"type": condition.type_, "reason": condition.reason, "message": condition.message}))
        .collect();
    json!({
        "phase": status.phase, "conditions": conditions, "servers": status.servers, "failures": status.failures,
        "frames_blank": status.frames_blank_count,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(value: Value) -> ArrayJobStatus {
        serde_json::from_value(value).unwrap()
    }

    fn condition(type_: &str, reason: &str, message: &str) -> Value {
        json!({"type": type_, "status": "True", "reason": reason, "message": message, "lastTransitionTime": "2026-01-01T00:00:00Z"})
    }

    #[test]
    fn each_change_is_printed_once() {
        let first = status(json!({"phase": "Starting", "plan": {"fingerprint": "a", "summary": "2 servers"},
            "conditions": [condition("Progressing", "Starting", "1/2 servers are up")]}));
        assert_eq!(changes(None, &first), ["planned: 2 servers", "Starting: 1/2 servers are up (Starting)"]);
        assert!(changes(Some(&first), &first).is_empty());

        let mut second = first.clone();
        second.conditions = status(json!({"conditions": [condition("Stalled", "Unschedulable", "0/1 nodes have 8Gi")]})).conditions;
        assert_eq!(changes(Some(&first), &second), ["stalled: 0/1 nodes have 8Gi (Unschedulable)"]);
        assert_eq!(changes(Some(&second), &first), ["no longer stalled"]);

        let third = status(json!({"phase": "Complete", "plan": {"fingerprint": "a"}, "framesBlank": [7], "framesBlankCount": 3,
            "framesWithoutCentroid": [5], "framesWithoutCentroidCount": 1,
            "conditions": [condition("Complete", "Computed", "")]}));
        assert_eq!(
            changes(Some(&first), &third),
            [
                "Complete: Computed",
                "3 frames are blank, because fetching or decoding failed, the first is 7",
                "1 frames have no centroid, the first is 5"
            ]
        );
    }

    #[test]
    fn lost_servers_are_printed_with_their_reason() {
        let mut before = status(json!({"phase": "Running"}));
        let now = status(json!({"phase": "Running", "servers": {"restarts": 1}, "failures": {"counted": 1, "last": {
            "server": "j-1", "reason": "OOMKilled", "exitCode": 137, "node": "n2", "message": "", "at": "2026-01-01T00:00:00Z"}}}));
        assert_eq!(
            changes(Some(&before), &now),
            ["lost server j-1 on n2 (OOMKilled, exit code 137); replacements start, the other servers keep their share"]
        );
        let more = status(json!({"phase": "Running", "servers": {"restarts": 3}, "failures": {"counted": 1, "uncounted": 2}}));
        assert!(changes(Some(&now), &more)[0].starts_with("2 servers were lost, the last is a server"));
        before.failures = now.failures.clone();
        assert_eq!(changes(Some(&before), &now), ["server restarts so far: 1"]);
    }

    #[test]
    fn the_conditions_state_the_verdict() {
        assert_eq!(verdict(&status(json!({"phase": "Running", "conditions": [condition("Progressing", "r", "m")]}))), None);
        assert_eq!(verdict(&status(json!({"conditions": [condition("Complete", "Computed", "")]}))), Some(Ok(())));
        assert_eq!(
            verdict(&status(json!({"conditions": [condition("Finished", "x", "y"), condition("Failed", "OOMKilled", "more memory")]}))),
            Some(Err(("OOMKilled".into(), "more memory".into())))
        );
    }
}
