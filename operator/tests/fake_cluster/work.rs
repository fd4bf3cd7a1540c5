//! Whole jobs, with fake chunk servers. Sockets and clock are real.

use crate::api_server::Cluster;
use crate::fake_servers::{FakeServers, digest_of, percent};
use crate::operator::Operator;
use api::geometry::{Dtype, FrameSpec};
use api::job::ArrayLayout;
use api::phase::PhaseProgress;
use api::wire::Problem;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::sleep;

const STATUS: &str = "patch arrayjobs/status";

fn begin(more: &Value) -> (Cluster, FakeServers, Operator) {
    let cluster = Cluster::default();
    let servers = FakeServers::start(&cluster);
    cluster.apply(more);
    let operator = Operator::start(&cluster);
    (cluster, servers, operator)
}

/// A job whose servers have completed a part of their work, and wait.
async fn half_done(more: &Value) -> (Cluster, FakeServers, Operator) {
    let (cluster, servers, operator) = begin(more);
    servers.allow(12);
    cluster.until("half done", |cluster| percent(cluster) >= 40).await;
    (cluster, servers, operator)
}

#[tokio::test]
async fn a_complete_job_has_conditions_events_and_monotonic_progress() {
    let (cluster, servers, _operator) = begin(&json!({}));
    cluster.until_phase("Complete").await;
    let status = cluster.status();
    assert_eq!(status.progress.as_ref().map(|progress| (progress.percent.as_str(), progress.step.as_str())), Some(("100%", "Done")));
    assert!(status.phases.iter().all(|phase| phase.state == "Complete" && phase.done == phase.total), "{:?}", status.phases);
    assert!(status.completion_time.is_some() && status.failures.is_none());
    for (type_, expected) in [("Complete", "True"), ("Finished", "True"), ("Failed", "False"), ("Ready", "True"), ("Stalled", "False")] {
        assert_eq!(cluster.condition(type_).0, expected, "{type_}");
    }
    assert_eq!(cluster.events(), ["Planned", "ServersReady", "Complete"]);
    assert_eq!(servers.boots().len(), 3, "servers continue to serve");
    let writes = cluster.requests(STATUS);
    let shortest = writes.windows(2).map(|pair| pair[1].at - pair[0].at).min().unwrap();
    assert!(shortest >= Duration::from_millis(999), "{shortest:?}");
    let percents: Vec<u64> =
        writes.iter().filter_map(|w| w.body["status"]["progress"]["percent"].as_str()?.trim_end_matches('%').parse().ok()).collect();
    assert!(percents.is_sorted() && percents.len() >= 2, "{percents:?}");
    sleep(Duration::from_secs(3)).await;
    assert_eq!(cluster.requests(STATUS).len(), writes.len(), "no write after the end");
}

#[tokio::test]
async fn a_killed_server_is_replaced_and_the_other_servers_keep_their_data() {
    let (cluster, servers, _operator) = half_done(&json!({})).await;
    let before = servers.boots();
    servers.kill("stack-1");
    cluster.until_phase("Recovering").await;
    servers.allow(u64::MAX);
    cluster.until_phase("Complete").await;
    let after = servers.boots();
    assert_eq!(after.iter().filter(|boot| before.contains(boot)).count(), 2);
    let failures = cluster.status().failures.unwrap();
    assert_eq!((failures.counted, failures.uncounted), (1, 0));
    let last = failures.last.unwrap();
    assert_eq!((last.server.as_str(), last.reason.as_str(), last.exit_code), ("stack-1", "OOMKilled", Some(137)));
    assert_eq!(cluster.events(), ["Planned", "ServersReady", "ServerLost", "ServersReady", "Complete"]);
    assert_eq!(cluster.requests("create pods").len(), 4);
}

#[tokio::test]
async fn a_replaced_server_gets_the_digests_of_its_frames_from_an_operator_that_started_after_the_loss() {
    let (cluster, servers, operator) = half_done(&json!({})).await;
    let expected = |pod| servers.server(pod).lock().expected.clone();
    assert_eq!(expected("stack-1"), [], "nothing was loaded before the first assignment");
    drop(operator);
    servers.kill("stack-1");
    let _operator = Operator::start(&cluster);
    servers.allow(u64::MAX);
    cluster.until_phase("Complete").await;
    assert_eq!(expected("stack-0"), [], "a server that keeps its frames fetches none again");
    let again = expected("stack-1");
    assert!(!again.is_empty() && again.iter().all(|each| *each == digest_of(each.frame)), "{again:?}");
    assert!(again.windows(2).all(|pair| pair[0].frame + 1 == pair[1].frame), "the frames of one server: {again:?}");
}

#[tokio::test]
async fn a_restarted_operator_continues_with_the_same_servers() {
    let (cluster, servers, operator) = half_done(&json!({})).await;
    let before = servers.boots();
    drop(operator);
    let _operator = Operator::start(&cluster);
    servers.allow(u64::MAX);
    cluster.until_phase("Complete").await;
    assert_eq!((servers.boots(), cluster.requests("create pods").len()), (before, 3));
    assert_eq!(cluster.events(), ["Planned", "ServersReady", "Complete"], "no event is repeated");
}

#[tokio::test]
async fn a_failure_of_a_server_fails_the_job_with_its_message() {
    let (cluster, servers, _operator) = half_done(&json!({})).await;
    servers.server("stack-2").fail("SourceUnavailable", "cannot fetch frame 77: HTTP 404");
    cluster.until_phase("Failed").await;
    assert_eq!(cluster.condition("Failed").1, "SourceUnavailable");
    assert_eq!(cluster.message("Failed"), "cannot fetch frame 77: HTTP 404 (server 2)");
    cluster.until_pods(0).await;
    assert_eq!(cluster.events().last().map(String::as_str), Some("SourceUnavailable"));
}

#[tokio::test]
async fn a_probed_frame_is_the_input_of_the_plan() {
    let cluster = Cluster::default();
    let servers = FakeServers::start(&cluster);
    servers.first_frame(Ok(FrameSpec { height: 33, width: 44, dtype: Dtype::Uint16 }));
    cluster.apply(&json!({"source": {"images": {"urlTemplate": "http://images.invalid/{index}", "count": 100}}}));
    let _operator = Operator::start(&cluster);
    cluster.until_phase("Complete").await;
    assert_eq!(serde_json::to_value(cluster.status().frame).unwrap(), json!({"height": 33, "width": 44, "dtype": "uint16"}));
    assert!(cluster.status().plan.unwrap().summary.starts_with("100 × 33×44 uint16, 3 servers"));
    assert_eq!(cluster.requests("create pods").len(), 3, "the server of the probe continues with its share");
}

#[tokio::test]
async fn a_probed_array_gives_the_number_of_frames() {
    let cluster = Cluster::default();
    let servers = FakeServers::start(&cluster);
    servers.array(ArrayLayout { shape: [500, 33, 44], dtype: Dtype::Uint16, chunks: [50, 33, 44], parts: [1, 11, 44] });
    cluster.apply(&json!({"source": {"zarr": {"url": "s3://bucket/stack.zarr", "array": "0", "start": 200}}}));
    let _operator = Operator::start(&cluster);
    cluster.until_phase("Complete").await;
    let status = cluster.status();
    assert_eq!(serde_json::to_value(status.frame).unwrap(), json!({"height": 33, "width": 44, "dtype": "uint16"}));
    let array = json!({"shape": [500, 33, 44], "dtype": "uint16", "chunks": [50, 33, 44], "parts": [1, 11, 44]});
    assert_eq!(serde_json::to_value(status.array).unwrap(), array);
    assert!(status.plan.unwrap().summary.starts_with("300 × 33×44 uint16, 3 servers"));
    assert_eq!(cluster.requests("create pods").len(), 3, "the server of the probe continues with its share");
}

#[tokio::test]
async fn an_array_with_too_few_frames_fails_the_job() {
    let cluster = Cluster::default();
    let servers = FakeServers::start(&cluster);
    servers.array(ArrayLayout { shape: [500, 33, 44], dtype: Dtype::Uint16, chunks: [50, 33, 44], parts: [50, 33, 44] });
    cluster.apply(&json!({"source": {"zarr": {"url": "s3://bucket/stack.zarr", "start": 200, "count": 301}}}));
    let _operator = Operator::start(&cluster);
    cluster.until_phase("Failed").await;
    assert_eq!(cluster.condition("Failed").1, "InvalidSpec");
    let message = cluster.message("Failed");
    assert!(message.contains("spec.source.zarr.count: must be from 1 to 300, because the array has 500 frames; found 301"), "{message}");
    cluster.until_pods(0).await;
}

#[tokio::test]
async fn a_first_frame_that_cannot_be_fetched_fails_the_job() {
    let cluster = Cluster::default();
    let servers = FakeServers::start(&cluster);
    servers.first_frame(Err(Problem { error: "cannot fetch frame 0: HTTP 404".into(), reason: Some("SourceUnavailable".into()) }));
    cluster.apply(&json!({"source": {"images": {"urlTemplate": "http://images.invalid/{index}", "count": 100}}}));
    let _operator = Operator::start(&cluster);
    cluster.until_phase("Failed").await;
    assert_eq!(
        (cluster.condition("Failed").1.as_str(), cluster.message("Failed").as_str()),
        ("SourceUnavailable", "cannot fetch frame 0: HTTP 404")
    );
    cluster.until_pods(0).await;
    assert_eq!(cluster.requests("create pods").len(), 1);
}

#[tokio::test]
async fn a_complete_job_replaces_a_lost_server() {
    let (cluster, servers, _operator) = begin(&json!({"backoffLimit": 0}));
    cluster.until_phase("Complete").await;
    let end = cluster.status();
    cluster.delete("pods", "stack-0");
    cluster.until("not ready", |cluster| cluster.condition("Ready").0 == "False").await;
    cluster.until("ready again", |cluster| cluster.condition("Ready").0 == "True").await;
    let after = cluster.status();
    assert_eq!((after.phase.as_deref(), &after.completion_time, &after.progress), (Some("Complete"), &end.completion_time, &end.progress));
    assert_eq!(after.failures.map(|failures| (failures.counted, failures.uncounted)), Some((0, 1)));
    cluster.until("computed again", |_| servers.server("stack-0").lock().progress.phases.iter().all(PhaseProgress::complete)).await;
    assert_eq!(cluster.events().iter().filter(|reason| *reason == "Complete").count(), 1);
}

#[tokio::test]
async fn the_start_deadline_does_not_apply_to_a_lost_server() {
    let (cluster, servers, operator) = half_done(&json!({"servers": {"replicas": 1}, "startDeadlineSeconds": 3600})).await;
    drop(operator);
    cluster.edit("arrayjobs", "stack", |job| job["status"]["startTime"] = json!("2026-01-01T00:00:00Z"));
    let _operator = Operator::start(&cluster);
    servers.kill("stack-0");
    cluster.until_phase("Recovering").await;
    servers.allow(u64::MAX);
    cluster.until("ended", |cluster| ["Complete", "Failed"].contains(&cluster.phase().as_str())).await;
    assert_eq!((cluster.phase().as_str(), cluster.message("Failed").as_str()), ("Complete", "no permanent failure occurred"));
}

#[tokio::test]
async fn servers_without_progress_cause_no_writes() {
    let (cluster, servers, _operator) = half_done(&json!({})).await;
    sleep(Duration::from_millis(2100)).await;
    let before = cluster.requests(STATUS).len();
    sleep(Duration::from_secs(3)).await;
    assert_eq!(cluster.requests(STATUS).len(), before);
    servers.allow(u64::MAX);
    cluster.until_phase("Complete").await;
}
