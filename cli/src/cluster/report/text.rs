//! Objects of the cluster in, text that people read out. Pure.

use super::scrub;
use api::geometry::human_bytes;
use crds::v1alpha1::ArrayJobStatus;
use k8s_openapi::api::core::v1::{Event, Pod};
use k8s_openapi::jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

/// As YAML.
pub(super) fn yaml(value: &Value) -> String {
    serde_saphyr::to_string(value).unwrap_or_else(|error| format!("# cannot be written as YAML: {error}\n"))
}

/// Objects as documents of one YAML file.
pub(super) fn yaml_of(objects: &[impl Serialize]) -> String {
    let one = |object| {
        let mut value = serde_json::to_value(object).unwrap_or_default();
        scrub::tidy(&mut value);
        yaml(&value)
    };
    objects.iter().map(one).collect::<Vec<_>>().join("---\n")
}

/// What was planned.
pub(super) fn plan(status: Option<&ArrayJobStatus>) -> String {
    let Some(plan) = status.and_then(|status| status.plan.as_ref()) else {
        return "There is no plan: the operator has not accepted the manifest yet; status.yaml may say why.\n".into();
    };
    let each = |bytes: u64| human_bytes(bytes);
    format!(
        "{}\n\nof generation      {}\nservers            {}, {} compute threads each\nstorage            {}\nmemory at most     {} of {} on each server\n\
         scratch disk       {} on each server\nframes             {} decoded\nbetween servers    {}\narrays kept        {}\nfingerprint        {}\n",
        plan.summary,
        plan.generation,
        plan.servers,
        plan.threads,
        plan.storage,
        each(plan.peak_bytes),
        each(plan.memory_limit_bytes),
        each(plan.scratch_bytes),
        each(plan.frame_bytes),
        each(plan.wire_bytes),
        plan.keep.join(", "),
        plan.fingerprint,
    )
}

/// Whether an event is about the job or one of its pods, those that are gone included.
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

/// Events by their time, a line each.
pub(super) fn events(events: &[Event]) -> String {
    if events.is_empty() {
        return "There are no events; clusters forget them after an hour or so.\n".into();
    }
    let mut lines: Vec<(Option<Timestamp>, String)> = events.iter().map(|event| (time(event), event_line(event))).collect();
    lines.sort();
    lines.into_iter().map(|(_, line)| line).collect()
}

/// When it happened last.
fn time(event: &Event) -> Option<Timestamp> {
    let series = event.series.as_ref().and_then(|series| series.last_observed_time.as_ref()).map(|time| time.0);
    let last = event.last_timestamp.as_ref().map(|time| time.0);
    let at = event.event_time.as_ref().map(|time| time.0);
    let made = event.metadata.creation_timestamp.as_ref().map(|time| time.0);
    series.or(last).or(at).or(made)
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
        // A line each, whatever the message.
        word(&event.message).replace('\n', " "),
    )
}

/// Whether there is somebody to ask.
pub(super) fn is_running(pod: &Pod) -> bool {
    pod.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Running")
}

/// The containers that ever ran, and whether they ran before.
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
    fn events_of_the_job_and_of_its_pods_are_told_in_order() {
        let at = |kind: &str, name: &str| concerns(&event(kind, name, &json!({})), "stack", &["odd".into()]);
        assert!(at("ArrayJob", "stack") && at("Pod", "stack-0") && at("Pod", "stack-12") && at("Pod", "odd"));
        assert!(
            !at("ArrayJob", "stack-0") && !at("Pod", "stack") && !at("Pod", "stack-a-0") && !at("Pod", "stack-") && !at("Job", "stack")
        );
        let told = events(&[
            event("Pod", "late", &json!({"eventTime": "2026-01-01T00:00:02.000000Z"})),
            event("Pod", "early", &json!({"lastTimestamp": "2026-01-01T00:00:01Z"})),
        ]);
        assert_eq!(
            told,
            "2026-01-01T00:00:01Z  Warning  Pod/early  R  two lines (3 times)\n2026-01-01T00:00:02Z  Warning  Pod/late  R  two lines (3 times)\n"
        );
        assert!(events(&[]).contains("no events"));
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
    fn a_plan_is_readable_and_its_absence_too() {
        let status: ArrayJobStatus =
            serde_json::from_value(json!({"plan": {"summary": "2 servers", "servers": 2, "peakBytes": 1 << 30, "keep": ["power"]}}))
                .unwrap();
        let text = plan(Some(&status));
        assert!(text.starts_with("2 servers\n") && text.contains("1 GiB") || text.contains("1.0 GiB"), "{text}");
        assert!(plan(None).contains("status.yaml"));
        assert!(yaml_of(&[json!({"metadata": {"managedFields": []}}), json!({"a": 1})]).contains("---\n"));
    }
}
