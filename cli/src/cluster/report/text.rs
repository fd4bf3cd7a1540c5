//! Texts of a report from objects of the cluster. Pure.

use super::scrub;
use api::geometry::human_bytes;
use crds::v1alpha1::ArrayJobStatus;
use k8s_openapi::api::core::v1::{Event, Pod};
use k8s_openapi::jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

/// The value as YAML.
pub(super) fn yaml(value: &Value) -> String {
    serde_saphyr::to_string(value).unwrap_or_else(|error| format!("# cannot write this as YAML: {error}\n"))
}

/// The objects as documents of one YAML file, without secrets.
pub(super) fn yaml_of(objects: &[impl Serialize]) -> String {
    let one = |object| {
        let mut value = serde_json::to_value(object).unwrap_or_default();
        scrub::tidy(&mut value);
        yaml(&value)
    };
    objects.iter().map(one).collect::<Vec<_>>().join("---\n")
}

/// The plan of a status.
pub(super) fn plan(status: Option<&ArrayJobStatus>) -> String {
    let Some(plan) = status.and_then(|status| status.plan.as_ref()) else {
        return "No plan: the operator has not accepted the manifest yet; status.yaml may state the reason.\n".into();
    };
    format!(
        "{}\n\nof generation      {}\nservers            {}, {} compute threads each\nstorage            {}\nmemory at most     {} of {} on each server\n\
         scratch disk       {} on each server\nframes             {} decoded\nbetween servers    {}\narrays kept        {}\nfingerprint        {}\n",
        plan.summary,
        plan.generation,
        plan.servers,
        plan.threads,
        plan.storage,
        human_bytes(plan.peak_bytes),
        human_bytes(plan.memory_limit_bytes),
        human_bytes(plan.scratch_bytes),
        human_bytes(plan.frame_bytes),
        human_bytes(plan.wire_bytes),
        plan.keep.join(", "),
        plan.fingerprint,
    )
}

/// Whether an event is about the job or one of its pods, deleted pods included.
pub(super) fn concerns(event: &Event, job: &str, pods: &[String]) -> bool {
    let about = &event.involved_object;
    let Some(name) = about.name.as_deref() else { return false };
    match about.kind.as_deref() {
        Some("ArrayJob") => name == job,
        Some("Pod") => {
            let index = name.strip_prefix(job).and_then(|rest| rest.strip_prefix('-'));
            pods.iter().any(|pod| pod == name)
                || index.is_some_and(|index| !index.is_empty() && index.bytes().all(|byte| byte.is_ascii_digit()))
        }
        _ => false,
    }
}

/// Events by time, one line each.
pub(super) fn events(events: &[Event]) -> String {
    if events.is_empty() {
        return "No events; a cluster keeps events for about one hour.\n".into();
    }
    let mut lines: Vec<(Option<Timestamp>, String)> = events.iter().map(|event| (time(event), event_line(event))).collect();
    lines.sort();
    lines.into_iter().map(|(_, line)| line).collect()
}

/// Time of the last occurrence.
fn time(event: &Event) -> Option<Timestamp> {
    let series = event.series.as_ref().and_then(|series| series.last_observed_time.as_ref()).map(|time| time.0);
    let last = event.last_timestamp.as_ref().map(|time| time.0);
    let at = event.event_time.as_ref().map(|time| time.0);
    let created = event.metadata.creation_timestamp.as_ref().map(|time| time.0);
    series.or(last).or(at).or(created)
}

fn event_line(event: &Event) -> String {
    let word = |text: &Option<String>| text.clone().unwrap_or_default();
    let count = event.series.as_ref().and_then(|series| series.count).or(event.count).unwrap_or(1);
    let times = if count > 1 { format!(" ({count} times)") } else { String::new() };
    format!(
        "{}  {:<7}  {}/{}  {}  {}{times}\n",
        time(event).map_or_else(|| "?".into(), |time| time.to_string()),
        word(&event.type_),
        word(&event.involved_object.kind),
        word(&event.involved_object.name),
        word(&event.reason),
        // A message may have several lines.
        word(&event.message).replace('\n', " "),
    )
}

/// Whether the pod's phase is Running.
pub(super) fn is_running(pod: &Pod) -> bool {
    pod.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Running")
}

/// The containers that have run, and whether each one restarted.
pub(super) fn containers(pod: &Pod) -> Vec<(String, bool)> {
    let Some(status) = &pod.status else { return Vec::new() };
    let statuses = status.init_container_statuses.iter().flatten().chain(status.container_statuses.iter().flatten());
    statuses
        .filter(|container| {
            let state = container.state.as_ref();
            container.restart_count > 0 || state.is_some_and(|state| state.running.is_some() || state.terminated.is_some())
        })
        .map(|container| (container.name.clone(), container.restart_count > 0))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn event(kind: &str, name: &str, time: &Value) -> Event {
        let mut event = json!({"metadata": {"name": "e"}, "involvedObject": {"kind": kind, "name": name}, "reason": "R", "type": "Warning",
            "message": "two\nlines", "count": 3});
        event.as_object_mut().unwrap().extend(time.as_object().unwrap().clone());
        serde_json::from_value(event).unwrap()
    }

    #[test]
    fn events_of_the_job_and_its_pods_are_sorted_by_time() {
        let at = |kind: &str, name: &str| concerns(&event(kind, name, &json!({})), "stack", &["odd".into()]);
        assert!(at("ArrayJob", "stack") && at("Pod", "stack-0") && at("Pod", "stack-12") && at("Pod", "odd"));
        assert!(
            !at("ArrayJob", "stack-0") && !at("Pod", "stack") && !at("Pod", "stack-a-0") && !at("Pod", "stack-") && !at("Job", "stack")
        );
        let text = events(&[
            event("Pod", "late", &json!({"eventTime": "2026-01-01T00:00:02.000000Z"})),
            event("Pod", "early", &json!({"lastTimestamp": "2026-01-01T00:00:01Z"})),
        ]);
        assert_eq!(
            text,
            "2026-01-01T00:00:01Z  Warning  Pod/early  R  two lines (3 times)\n2026-01-01T00:00:02Z  Warning  Pod/late  R  two lines (3 times)\n"
        );
        assert!(events(&[]).contains("No events"));
    }

    #[test]
    fn containers_that_ran_have_logs() {
        let pod: Pod = serde_json::from_value(json!({"status": {"phase": "Running",
            "initContainerStatuses": [{"name": "first", "image": "", "imageID": "", "ready": true, "restartCount": 0,
                "state": {"terminated": {"exitCode": 0}}}],
            "containerStatuses": [
                {"name": "server", "image": "", "imageID": "", "ready": true, "restartCount": 2, "state": {"waiting": {}}},
                {"name": "never", "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": {"waiting": {}}}]}}))
        .unwrap();
        assert_eq!(containers(&pod), [("first".to_owned(), false), ("server".to_owned(), true)]);
        assert!(is_running(&pod) && !is_running(&Pod::default()) && containers(&Pod::default()).is_empty());
    }

    #[test]
    fn a_missing_plan_has_a_text_too() {
        let status: ArrayJobStatus =
            serde_json::from_value(json!({"plan": {"summary": "2 servers", "servers": 2, "peakBytes": 1 << 30, "keep": ["power"]}}))
                .unwrap();
        let text = plan(Some(&status));
        assert!(text.starts_with("2 servers\n") && text.contains("1 GiB") || text.contains("1.0 GiB"), "{text}");
        assert!(plan(None).contains("status.yaml"));
        assert!(yaml_of(&[json!({"metadata": {"managedFields": []}}), json!({"a": 1})]).contains("---\n"));
    }
}
