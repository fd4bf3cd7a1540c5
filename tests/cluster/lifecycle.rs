//! Stages of a job's life: suspend and resume, expiry, a probed frame shape, early deletion.

use crate::common::{QUICK_MOVIE, SERVERS, SLOW_MOVIE, STATUS_TIMEOUT, TIMEOUT, losses, quick_job, quick_slices, slow_job, slow_slices};
use serde_json::json;
use tests::cluster::{Applied, Stage, seconds, until};

fn until_no_pods(job: &Applied<'_>) {
    until(&format!("{} has no pods", job.name), seconds(20), || {
        let pods = job.pods();
        if pods.is_empty() { Ok(()) } else { Err(format!("{pods:?}")) }
    });
}

#[test]
fn a_suspended_job_has_no_servers_and_starts_when_resumed() {
    let stage = Stage::new("suspend");
    let source = stage.movie(&SLOW_MOVIE);
    // Suspended from the start, as a queueing controller creates jobs.
    let job = stage.start("pausing", &slow_job(&source.url).set("suspend", json!(true)));
    job.until_is("Suspended", STATUS_TIMEOUT);
    assert!(job.children().is_empty() && job.status()["startTime"].is_null(), "{:#}", job.status());
    job.patch(&json!({"suspend": false})).must_succeed();
    job.until_in_phase("Load", 0, TIMEOUT);

    job.patch(&json!({"suspend": true})).must_succeed();
    job.until_is("Suspended", seconds(10));
    until_no_pods(&job);
    let [complete, failed, finished, ready] = ["Complete", "Failed", "Finished", "Ready"].map(|type_| job.condition(type_).is);
    assert!(!complete && !failed && !finished && !ready, "{:#}", job.status());
    assert_eq!(job.status()["phase"], "Suspended");

    job.patch(&json!({"suspend": false})).must_succeed();
    job.must_complete(TIMEOUT);
    assert_eq!((job.condition("Suspended").is, job.condition("Suspended").reason.as_str()), (false, "Resumed"));
    slow_slices().must_equal(&job.reader());
    slow_slices().must_be_loaded_once(&job, SERVERS);
    assert_eq!(losses(&job), [0, 0, 0], "losses after suspension");
    let events = job.events();
    let count_of = |reason: &str| events.iter().filter(|(found, _)| found == reason).map(|(_, count)| count).sum::<u64>();
    assert_eq!(["Suspended", "Resumed", "Complete"].map(count_of), [2, 2, 1], "{events:?}");
    stage.end();
}

#[test]
fn servers_of_a_finished_job_expire_and_the_job_stays() {
    let stage = Stage::new("ttl");
    let source = stage.movie(&QUICK_MOVIE);
    let job = stage.start("brief", &quick_job(&source.url).set("ttlSecondsAfterFinished", json!(5)));
    job.must_complete(TIMEOUT);
    assert_eq!(job.pods().len(), 2, "servers at completion");
    until_no_pods(&job);
    let ready = job.condition("Ready");
    assert_eq!((ready.is, ready.reason.as_str()), (false, "Expired"), "{}", ready.message);
    assert!(job.condition("Complete").is && job.condition("Finished").is, "{:#}", job.status());
    assert_eq!(losses(&job), [0, 0, 0], "losses after expiry");
    job.delete();
    stage.end();
}

#[test]
fn a_job_without_a_frame_shape_probes_the_first_frame() {
    let stage = Stage::new("probe");
    let source = stage.movie(&QUICK_MOVIE);
    let mut manifest: serde_json::Value = serde_json::from_str(&quick_job(&source.url).manifest("probed")).unwrap();
    manifest["spec"]["source"].as_object_mut().unwrap().remove("frame");
    stage.apply(&manifest);
    let job = stage.job("probed");
    job.must_complete(TIMEOUT);
    assert_eq!(job.status()["frame"], json!({"height": 512, "width": 512, "dtype": "uint8"}));
    quick_slices().must_equal(&job.reader());
    assert_eq!(losses(&job), [0, 0, 0], "losses after the probe");
    stage.end();
}

#[test]
fn a_job_deleted_while_running_leaves_nothing() {
    let stage = Stage::new("deleted");
    let source = stage.movie(&SLOW_MOVIE);
    let job = stage.start("short-lived", &slow_job(&source.url));
    job.until_in_phase("Load", 0, TIMEOUT);
    assert_eq!(job.children().len(), SERVERS + 3, "{:?}", job.children());
    job.delete();
    // A new job with the same name does not inherit anything.
    let again = stage.start("short-lived", &slow_job(&source.url));
    again.until_in_phase("Load", 0, TIMEOUT);
    assert_eq!(losses(&again), [0, 0, 0]);
    again.delete();
    stage.end();
}
