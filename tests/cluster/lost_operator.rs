//! The operator is not in the data path: after a loss at any moment, a new operator continues from the observed state.

use crate::common::{SERVERS, SLOW_MOVIE, STATUS_TIMEOUT, TIMEOUT, losses, slow_job, slow_slices};
use std::time::Instant;
use tests::cluster::operator::Operator;
use tests::cluster::{Deletion, Stage};
use tests::fault_rows::record;

/// Ends the operator in one phase, and again in a later phase.
fn check(name: &str, first: (&str, fn(&Operator)), then: (&str, fn(&Operator))) {
    let stage = Stage::new(name).expecting(&["retried"]);
    let source = stage.movie(&SLOW_MOVIE);
    let job = stage.start("alone", &slow_job(&source.url));
    let pods = job.until_started(SERVERS, STATUS_TIMEOUT);
    for (phase, disturb) in [first, then] {
        job.until_in_phase(phase, 1, TIMEOUT);
        disturb(&stage.operator);
    }
    let fault = Instant::now();
    job.must_complete(TIMEOUT);
    let recovery = fault.elapsed();
    stage.operator.must_become_ready();
    slow_slices().must_equal(&job.reader());
    slow_slices().must_be_loaded_once(&job, SERVERS);
    assert_eq!((job.pods(), losses(&job)), (pods, [0, 0, 0]), "pods and losses");
    let injected = format!("its pod is deleted or its process killed in {} and in {}", first.0, then.0);
    record("The operator is lost twice", &injected, "same bytes, no server replaced; the job is complete", recovery);
    stage.end();
}

#[test]
fn a_job_survives_an_operator_deleted_in_load_and_in_rechunk() {
    check("operator-deleted", ("Load", Operator::delete_pod), ("Rechunk", Operator::delete_pod));
}

#[test]
fn a_job_survives_an_operator_killed_in_recenter_and_deleted_in_fft() {
    check("operator-killed", ("Recenter", Operator::crash), ("Fft", Operator::delete_pod));
}

#[test]
fn a_job_survives_the_loss_of_the_operator_and_a_server() {
    let stage = Stage::new("operator-and-server").expecting(&["retried", "server lost"]);
    let source = stage.movie(&SLOW_MOVIE);
    let job = stage.start("alone", &slow_job(&source.url));
    let pods = job.until_started(SERVERS, STATUS_TIMEOUT);
    job.until_in_phase("Load", 1, TIMEOUT);
    stage.operator.delete_pod();
    job.delete_pod(1, Deletion::Forced);
    job.must_complete(TIMEOUT);
    slow_slices().must_equal(&job.reader());
    slow_slices().must_be_loaded_once(&job, SERVERS);
    let now = job.pods();
    assert_eq!((&now[&0], &now[&2]), (&pods[&0], &pods[&2]), "surviving pods");
    assert_eq!(losses(&job), [0, 1, 1]);
    stage.operator.must_become_ready();
    stage.end();
}
