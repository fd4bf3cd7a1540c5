//! Whole jobs, with chunk servers that answer. Their sockets are real, and so is the clock.

use crate::api_server::Cluster;
use crate::chunk_servers::{Machines, percent};
use crate::operator::Operator;
use api::geometry::{Dtype, FrameSpec};
use api::job::ArrayLayout;
use api::phase::PhaseProgress;
use api::wire::Problem;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::sleep;

const STATUS: &str = "patch arrayjobs/status";

fn begin(more: &Value) -> (Cluster, Machines, Operator) {
    let cluster = Cluster::default();
    let machines = Machines::start(&cluster);
    cluster.apply(more);
    let operator = Operator::start(&cluster);
    (cluster, machines, operator)
}

/// A job whose servers have done a part of their work, and wait.
async fn half_done(more: &Value) -> (Cluster, Machines, Operator) {
    let (cluster, machines, operator) = begin(more);
    machines.allow(12);
    cluster.until("half done", |cluster| percent(cluster) >= 40).await;
    (cluster, machines, operator)
}

#[tokio::test]
async fn a_job_is_done_and_its_story_told() {
    let (cluster, machines, _operator) = begin(&json!({}));
    cluster.until_phase("Complete").await;
    let status = cluster.status();
    assert_eq!(status.progress.as_ref().map(|progress| (progress.percent.as_str(), progress.step.as_str())), Some(("100%", "Done")));
    assert!(status.phases.iter().all(|phase| phase.state == "Complete" && phase.done == phase.total), "{:?}", status.phases);
    assert!(status.completion_time.is_some() && status.failures.is_none());
    for (type_, expected) in [("Complete", "True"), ("Finished", "True"), ("Failed", "False"), ("Ready", "True"), ("Stalled", "False")] {
        assert_eq!(cluster.condition(type_).0, expected, "{type_}");
    }
    assert_eq!(cluster.events(), ["Planned", "ServersReady", "Complete"]);
    assert_eq!(machines.boots().len(), 3, "servers go on serving");
    let writes = cluster.requests(STATUS);
    let closest = writes.windows(2).map(|pair| pair[1].at - pair[0].at).min().unwrap();
    assert!(closest >= Duration::from_millis(999), "{closest:?}");
    let percents: Vec<u64> =
        writes.iter().filter_map(|w| w.body["status"]["progress"]["percent"].as_str()?.trim_end_matches('%').parse().ok()).collect();
    assert!(percents.is_sorted() && percents.len() >= 2, "{percents:?}");
    sleep(Duration::from_secs(3)).await;
    assert_eq!(cluster.requests(STATUS).len(), writes.len(), "nothing changes any more");
}

#[tokio::test]
async fn a_server_that_is_killed_is_replaced_and_the_others_keep_what_they_have() {
    let (cluster, machines, _operator) = half_done(&json!({})).await;
    let before = machines.boots();
    machines.kill("stack-1");
    cluster.until_phase("Recovering").await;
    machines.allow(u64::MAX);
    cluster.until_phase("Complete").await;
    let after = machines.boots();
    assert_eq!(after.iter().filter(|boot| before.contains(boot)).count(), 2);
    let failures = cluster.status().failures.unwrap();
    assert_eq!((failures.counted, failures.uncounted), (1, 0));
    let last = failures.last.unwrap();
    assert_eq!((last.server.as_str(), last.reason.as_str(), last.exit_code), ("stack-1", "OOMKilled", Some(137)));
    assert_eq!(cluster.events(), ["Planned", "ServersReady", "ServerLost", "ServersReady", "Complete"]);
    assert_eq!(cluster.requests("create pods").len(), 4);
}

#[tokio::test]
async fn an_operator_that_starts_again_in_the_middle_goes_on_with_the_same_servers() {
    let (cluster, machines, operator) = half_done(&json!({})).await;
    let before = machines.boots();
    drop(operator);
    let _operator = Operator::start(&cluster);
    machines.allow(u64::MAX);
    cluster.until_phase("Complete").await;
    assert_eq!((machines.boots(), cluster.requests("create pods").len()), (before, 3));
    assert_eq!(cluster.events(), ["Planned", "ServersReady", "Complete"], "nothing is told twice");
}

#[tokio::test]
async fn what_a_server_cannot_do_fails_the_job_in_its_words() {
    let (cluster, machines, _operator) = half_done(&json!({})).await;
    machines.server("stack-2").fail("SourceUnavailable", "frame 77 cannot be had (HTTP 404)");
    cluster.until_phase("Failed").await;
    assert_eq!(cluster.condition("Failed").1, "SourceUnavailable");
    assert_eq!(cluster.message("Failed"), "frame 77 cannot be had (HTTP 404) (server 2)");
    cluster.until_pods(0).await;
    assert_eq!(cluster.events().last().map(String::as_str), Some("SourceUnavailable"));
}

#[tokio::test]
async fn a_frame_that_is_not_described_is_asked_for_and_the_plan_follows() {
    let cluster = Cluster::default();
    let machines = Machines::start(&cluster);
    machines.first_frame(Ok(FrameSpec { height: 33, width: 44, dtype: Dtype::Uint16 }));
    cluster.apply(&json!({"source": {"images": {"urlTemplate": "http://images.invalid/{index}", "count": 100}}}));
    let _operator = Operator::start(&cluster);
    cluster.until_phase("Complete").await;
    assert_eq!(serde_json::to_value(cluster.status().frame).unwrap(), json!({"height": 33, "width": 44, "dtype": "uint16"}));
    assert!(cluster.status().plan.unwrap().summary.starts_with("100 × 33×44 uint16, 3 servers"));
    assert_eq!(cluster.requests("create pods").len(), 3, "the server that looked works on");
}

#[tokio::test]
async fn an_array_is_looked_at_and_says_how_many_frames_there_are() {
    let cluster = Cluster::default();
    let machines = Machines::start(&cluster);
    machines.array(ArrayLayout { shape: [500, 33, 44], dtype: Dtype::Uint16, chunks: [50, 33, 44], parts: [1, 11, 44] });
    cluster.apply(&json!({"source": {"zarr": {"url": "s3://bucket/stack.zarr", "array": "0", "start": 200}}}));
    let _operator = Operator::start(&cluster);
    cluster.until_phase("Complete").await;
    let status = cluster.status();
    assert_eq!(serde_json::to_value(status.frame).unwrap(), json!({"height": 33, "width": 44, "dtype": "uint16"}));
    let array = json!({"shape": [500, 33, 44], "dtype": "uint16", "chunks": [50, 33, 44], "parts": [1, 11, 44]});
    assert_eq!(serde_json::to_value(status.array).unwrap(), array);
    assert!(status.plan.unwrap().summary.starts_with("300 × 33×44 uint16, 3 servers"));
    assert_eq!(cluster.requests("create pods").len(), 3, "the server that looked works on");
}

#[tokio::test]
async fn an_array_that_has_too_few_frames_fails_the_job() {
    let cluster = Cluster::default();
    let machines = Machines::start(&cluster);
    machines.array(ArrayLayout { shape: [500, 33, 44], dtype: Dtype::Uint16, chunks: [50, 33, 44], parts: [50, 33, 44] });
    cluster.apply(&json!({"source": {"zarr": {"url": "s3://bucket/stack.zarr", "start": 200, "count": 301}}}));
    let _operator = Operator::start(&cluster);
    cluster.until_phase("Failed").await;
    assert_eq!(cluster.condition("Failed").1, "InvalidSpec");
    let message = cluster.message("Failed");
    assert!(message.contains("spec.source.zarr.count: must be from 1 to 300, since the array has 500 frames; found 301"), "{message}");
    cluster.until_pods(0).await;
}

#[tokio::test]
async fn a_first_frame_that_cannot_be_had_fails_the_job() {
    let cluster = Cluster::default();
    let machines = Machines::start(&cluster);
    machines.first_frame(Err(Problem { error: "frame 0 cannot be used: HTTP 404".into(), reason: Some("SourceUnavailable".into()) }));
    cluster.apply(&json!({"source": {"images": {"urlTemplate": "http://images.invalid/{index}", "count": 100}}}));
    let _operator = Operator::start(&cluster);
    cluster.until_phase("Failed").await;
    assert_eq!(
        (cluster.condition("Failed").1.as_str(), cluster.message("Failed").as_str()),
        ("SourceUnavailable", "frame 0 cannot be used: HTTP 404")
    );
    cluster.until_pods(0).await;
    assert_eq!(cluster.requests("create pods").len(), 1);
}

#[tokio::test]
async fn results_stay_readable_when_a_server_is_lost_after_the_end() {
    let (cluster, machines, _operator) = begin(&json!({"backoffLimit": 0}));
    cluster.until_phase("Complete").await;
    let end = cluster.status();
    cluster.delete("pods", "stack-0");
    cluster.until("not ready", |cluster| cluster.condition("Ready").0 == "False").await;
    cluster.until("ready again", |cluster| cluster.condition("Ready").0 == "True").await;
    let after = cluster.status();
    assert_eq!((after.phase.as_deref(), &after.completion_time, &after.progress), (Some("Complete"), &end.completion_time, &end.progress));
    assert_eq!(after.failures.map(|failures| (failures.counted, failures.uncounted)), Some((0, 1)));
    cluster.until("computed again", |_| machines.server("stack-0").lock().progress.phases.iter().all(PhaseProgress::complete)).await;
    assert_eq!(cluster.events().iter().filter(|reason| *reason == "Complete").count(), 1);
}

#[tokio::test]
async fn a_job_whose_only_server_is_lost_long_after_its_start_is_not_late_for_its_start() {
    let (cluster, machines, operator) = half_done(&json!({"servers": {"replicas": 1}, "startDeadlineSeconds": 3600})).await;
    drop(operator);
    cluster.edit("arrayjobs", "stack", |job| job["status"]["startTime"] = json!("2026-01-01T00:00:00Z"));
    let _operator = Operator::start(&cluster);
    machines.kill("stack-0");
    cluster.until_phase("Recovering").await;
    machines.allow(u64::MAX);
    cluster.until("ended", |cluster| ["Complete", "Failed"].contains(&cluster.phase().as_str())).await;
    assert_eq!((cluster.phase().as_str(), cluster.message("Failed").as_str()), ("Complete", "nothing has failed for good"));
}

#[tokio::test]
async fn servers_that_work_and_get_no_further_cause_no_writes() {
    let (cluster, machines, _operator) = half_done(&json!({})).await;
    sleep(Duration::from_millis(2100)).await;
    let before = cluster.requests(STATUS).len();
    sleep(Duration::from_secs(3)).await;
    assert_eq!(cluster.requests(STATUS).len(), before);
    machines.allow(u64::MAX);
    cluster.until_phase("Complete").await;
}
