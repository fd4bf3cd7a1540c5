//! What stands in the way is said within seconds, with what to do about it; and once that is done the job goes on.

use crate::common::{PATIENCE, QUICK_MOVIE, SOON, quick_job, quick_slices, slow_job};
use serde_json::{Value, json};
use tests::cluster::{Applied, Stage, node, seconds, until};

fn must_say(message: &str, words: &[&str]) {
    for word in words {
        assert!(message.contains(word), "no '{word}' in: {message}");
    }
}

/// The job completes, and nothing stands in its way any more.
fn must_go_on(job: &Applied<'_>) {
    job.must_complete(PATIENCE);
    assert!(!job.condition("Stalled").is, "{:?}", job.condition("Stalled"));
    quick_slices().must_equal(&job.reader());
}

#[test]
fn no_node_takes_the_servers() {
    let stage = Stage::new("unschedulable");
    let job = stage.start("nowhere", &quick_job("http://movie:8000/{index}.png").on_nodes("arrayjob.dev/no-such-node", "true"));
    must_say(&job.must_stall("Unschedulable", SOON), &["no node can run nowhere-", "servers.resources.requests", "node"]);
    assert!(!job.condition("Progressing").is, "a stalled job progresses");
    job.delete();
    stage.end();
}

#[test]
fn the_quota_is_used_up_until_it_is_raised() {
    let stage = Stage::new("quota");
    let source = stage.movie(&QUICK_MOVIE);
    let quota =
        |pods: u32| json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "few"}, "spec": {"hard": {"pods": pods}}});
    stage.apply(&quota(2));
    until("the quota knows the movie", seconds(10), || {
        let used = stage.get("/api/v1", "resourcequotas/few")["status"]["used"]["pods"].clone();
        if used == "1" { Ok(()) } else { Err(used.to_string()) }
    });
    let job = stage.start("many", &quick_job(&source.url));
    must_say(&job.must_stall("QuotaExceeded", SOON), &["quota", "raise the quota", "fewer replicas"]);
    stage.apply(&quota(9));
    must_go_on(&job);
    stage.end();
}

#[test]
fn a_source_that_has_no_such_frames_or_is_nowhere_ends_the_job() {
    let stage = Stage::new("no-source");
    let source = stage.movie(&QUICK_MOVIE);
    let missing = stage.start("missing", &quick_job(&source.url.replace("{index}", "no/{index}")));
    let nowhere = stage.start("nowhere", &quick_job("http://no-such-host.invalid/{index}.png"));
    must_say(&missing.must_fail("SourceUnavailable", SOON), &["404", "frame"]);
    must_say(&nowhere.must_fail("SourceUnavailable", SOON), &["no-such-host.invalid"]);
    stage.end();
}

#[test]
fn what_is_missing_is_told_and_waited_for() {
    let stage = Stage::new("missing");
    // The Service is there, and nobody behind it; and one job needs a Secret.
    let url = format!("http://movie.{}.svc:8000/{{index}}.png", stage.namespace);
    let spec = json!({"selector": {"app": "movie"}, "ports": [{"port": 8000}]});
    stage.apply(&json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "movie"}, "spec": spec}));
    let early = stage.start("early", &quick_job(&url));
    let private = stage.start("private", &quick_job(&url).secret("creds"));
    must_say(&early.must_stall("SourceUnavailable", SOON), &["movie"]);
    must_say(&private.must_stall("ServerCannotStart", SOON), &["Secret creds", "source.secretRef"]);
    let data = json!({"Authorization": "Bearer abc"});
    stage.apply(&json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "creds"}, "stringData": data}));
    stage.movie(&QUICK_MOVIE);
    must_go_on(&early);
    must_go_on(&private);
    stage.end();
}

#[test]
fn deadlines_end_a_job() {
    let stage = Stage::new("deadlines");
    let source = stage.movie(&["--frames", "240", "--delay-ms", "5000"]);
    let start = quick_job(&source.url).on_nodes("arrayjob.dev/no-such-node", "true").set("startDeadlineSeconds", json!(3));
    let (start, active) =
        (stage.start("start", &start), stage.start("active", &slow_job(&source.url).set("activeDeadlineSeconds", json!(8))));
    must_say(&start.must_fail("StartDeadlineExceeded", SOON), &["3 s after the start", "Unschedulable"]);
    must_say(&active.must_fail("DeadlineExceeded", SOON), &["8 s", "activeDeadlineSeconds"]);
    for job in [&start, &active] {
        until("the failed job's pods are gone", seconds(30), || {
            let pods = job.pods();
            if pods.is_empty() { Ok(()) } else { Err(format!("{pods:?}")) }
        });
    }
    stage.end();
}

#[test]
fn a_server_that_ends_again_and_again_ends_the_job() {
    let stage = Stage::new("backoff").expecting(&["server lost"]);
    let source = stage.movie(&["--frames", "240", "--delay-ms", "5000"]);
    let job = stage.start("unlucky", &slow_job(&source.url).backoff_limit(1));
    job.until_up(3, SOON);
    if !node::is_here(&job.pods()[&0].node) {
        node::skip("a_server_that_ends_again_and_again_ends_the_job", "its node is no container of this machine");
        return stage.end();
    }
    job.kill(1);
    until("the killed server is replaced and up", SOON, || {
        let status = job.status();
        let (counted, ready) = (&status["failures"]["counted"], &status["servers"]["ready"]);
        if (counted, ready) == (&Value::from(1), &Value::from(3)) { Ok(()) } else { Err(format!("{counted} failures, {ready} ready")) }
    });
    job.kill(1);
    must_say(&job.must_fail("BackoffLimitExceeded", SOON), &["exit code 137", "after 1 restarts", "backoffLimit"]);
    let last = job.status()["failures"]["last"].clone();
    assert_eq!((&last["server"], &last["exitCode"]), (&"unlucky-1".into(), &137.into()), "{last}");
    stage.end();
}
