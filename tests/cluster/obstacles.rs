//! An obstacle appears in the status within seconds, with a remedy. After the remedy, the job continues.

use crate::common::{QUICK_MOVIE, STATUS_TIMEOUT, TIMEOUT, quick_job, quick_slices, slow_job};
use serde_json::{Value, json};
use tests::cluster::{Applied, Stage, node, seconds, until};

fn must_contain(message: &str, words: &[&str]) {
    for word in words {
        assert!(message.contains(word), "no '{word}' in: {message}");
    }
}

/// Checks that the job completes and is no longer stalled.
fn must_recover(job: &Applied<'_>) {
    job.must_complete(TIMEOUT);
    assert!(!job.condition("Stalled").is, "{:?}", job.condition("Stalled"));
    quick_slices().must_equal(&job.reader());
}

#[test]
fn a_job_without_a_suitable_node_is_unschedulable() {
    let stage = Stage::new("unschedulable");
    let job = stage.start("nowhere", &quick_job("http://movie:8000/{index}.png").on_nodes("arrayjob.dev/no-such-node", "true"));
    must_contain(&job.must_stall("Unschedulable", STATUS_TIMEOUT), &["no node can run nowhere-", "servers.resources.requests", "node"]);
    assert!(!job.condition("Progressing").is, "Progressing of a stalled job");
    job.delete();
    stage.end();
}

#[test]
fn a_job_waits_until_the_quota_is_raised() {
    let stage = Stage::new("quota");
    let source = stage.movie(&QUICK_MOVIE);
    let quota =
        |pods: u32| json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "few"}, "spec": {"hard": {"pods": pods}}});
    stage.apply(&quota(2));
    until("the quota counts the pod of the movie", seconds(10), || {
        let used = stage.get("/api/v1", "resourcequotas/few")["status"]["used"]["pods"].clone();
        if used == "1" { Ok(()) } else { Err(used.to_string()) }
    });
    let job = stage.start("many", &quick_job(&source.url));
    must_contain(&job.must_stall("QuotaExceeded", STATUS_TIMEOUT), &["quota", "raise the quota", "fewer replicas"]);
    stage.apply(&quota(9));
    must_recover(&job);
    stage.end();
}

#[test]
fn a_missing_frame_or_an_unknown_host_fails_the_job() {
    let stage = Stage::new("no-source");
    let source = stage.movie(&QUICK_MOVIE);
    let missing = stage.start("missing", &quick_job(&source.url.replace("{index}", "no/{index}")));
    let nowhere = stage.start("nowhere", &quick_job("http://no-such-host.invalid/{index}.png"));
    must_contain(&missing.must_fail("SourceUnavailable", STATUS_TIMEOUT), &["404", "frame"]);
    must_contain(&nowhere.must_fail("SourceUnavailable", STATUS_TIMEOUT), &["no-such-host.invalid"]);
    stage.end();
}

#[test]
fn a_missing_source_or_secret_is_reported_until_it_exists() {
    let stage = Stage::new("missing");
    // The Service exists without a pod, and one job needs a missing Secret.
    let url = format!("http://movie.{}.svc:8000/{{index}}.png", stage.namespace);
    let spec = json!({"selector": {"app": "movie"}, "ports": [{"port": 8000}]});
    stage.apply(&json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "movie"}, "spec": spec}));
    let early = stage.start("early", &quick_job(&url));
    let private = stage.start("private", &quick_job(&url).secret("creds"));
    must_contain(&early.must_stall("SourceUnavailable", STATUS_TIMEOUT), &["movie"]);
    must_contain(&private.must_stall("ServerCannotStart", STATUS_TIMEOUT), &["Secret creds", "source.secretRef"]);
    let data = json!({"Authorization": "Bearer abc"});
    stage.apply(&json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "creds"}, "stringData": data}));
    stage.movie(&QUICK_MOVIE);
    must_recover(&early);
    must_recover(&private);
    stage.end();
}

#[test]
fn deadlines_fail_a_job() {
    let stage = Stage::new("deadlines");
    let source = stage.movie(&["--frames", "240", "--delay-ms", "5000"]);
    let start = quick_job(&source.url).on_nodes("arrayjob.dev/no-such-node", "true").set("startDeadlineSeconds", json!(3));
    let (start, active) =
        (stage.start("start", &start), stage.start("active", &slow_job(&source.url).set("activeDeadlineSeconds", json!(8))));
    must_contain(&start.must_fail("StartDeadlineExceeded", STATUS_TIMEOUT), &["3 s after the start", "Unschedulable"]);
    must_contain(&active.must_fail("DeadlineExceeded", STATUS_TIMEOUT), &["8 s", "activeDeadlineSeconds"]);
    for job in [&start, &active] {
        until("the pods of the failed job are deleted", seconds(30), || {
            let pods = job.pods();
            if pods.is_empty() { Ok(()) } else { Err(format!("{pods:?}")) }
        });
    }
    stage.end();
}

#[test]
fn repeated_failures_of_a_server_fail_the_job() {
    let stage = Stage::new("backoff").expecting(&["server lost"]);
    let source = stage.movie(&["--frames", "240", "--delay-ms", "5000"]);
    let job = stage.start("unlucky", &slow_job(&source.url).backoff_limit(1));
    job.until_ready(3, STATUS_TIMEOUT);
    if !node::is_local(&job.pods()[&0].node) {
        node::skip("repeated_failures_of_a_server_fail_the_job", "the node is not a local container");
        return stage.end();
    }
    job.kill(1);
    until("the killed server is replaced and ready", STATUS_TIMEOUT, || {
        let status = job.status();
        let (counted, ready) = (&status["failures"]["counted"], &status["servers"]["ready"]);
        if (counted, ready) == (&Value::from(1), &Value::from(3)) { Ok(()) } else { Err(format!("{counted} failures, {ready} ready")) }
    });
    job.kill(1);
    must_contain(&job.must_fail("BackoffLimitExceeded", STATUS_TIMEOUT), &["exit code 137", "after 1 restarts", "backoffLimit"]);
    let last = job.status()["failures"]["last"].clone();
    assert_eq!((&last["server"], &last["exitCode"]), (&"unlucky-1".into(), &137.into()), "{last}");
    stage.end();
}
