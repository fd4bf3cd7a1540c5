//! The operator is not in the data path: lost at any moment, it comes back, looks, and goes on where things stand.

use crate::common::{PATIENCE, SERVERS, SLOW_MOVIE, SOON, losses, slow_job, slow_slices};
use tests::cluster::operator::Operator;
use tests::cluster::{HowLost, Stage};

/// Disturbs the operator in one phase, and again in a later one.
fn check(name: &str, first: (&str, fn(&Operator)), then: (&str, fn(&Operator))) {
    let stage = Stage::new(name).expecting(&["retried"]);
    let source = stage.movie(&SLOW_MOVIE);
    let job = stage.start("alone", &slow_job(&source.url));
    let pods = job.until_started(SERVERS, SOON);
    for (phase, disturb) in [first, then] {
        job.until_at(phase, 1, PATIENCE);
        disturb(&stage.operator);
    }
    job.must_complete(PATIENCE);
    stage.operator.must_come_back();
    slow_slices().must_equal(&job.reader());
    slow_slices().must_be_loaded_once(&job, SERVERS);
    assert_eq!((job.pods(), losses(&job)), (pods, [0, 0, 0]), "servers were disturbed");
    stage.end();
}

#[test]
fn an_operator_deleted_in_load_and_the_next_one_in_rechunk() {
    check("operator-deleted", ("Load", Operator::lose), ("Rechunk", Operator::lose));
}

#[test]
fn an_operator_killed_in_recenter_and_deleted_in_fft() {
    check("operator-killed", ("Recenter", Operator::crash), ("Fft", Operator::lose));
}

#[test]
fn an_operator_lost_together_with_a_server() {
    let stage = Stage::new("operator-and-server").expecting(&["retried", "server lost"]);
    let source = stage.movie(&SLOW_MOVIE);
    let job = stage.start("alone", &slow_job(&source.url));
    let pods = job.until_started(SERVERS, SOON);
    job.until_at("Load", 1, PATIENCE);
    stage.operator.lose();
    job.lose(1, HowLost::Forced);
    job.must_complete(PATIENCE);
    slow_slices().must_equal(&job.reader());
    slow_slices().must_be_loaded_once(&job, SERVERS);
    let now = job.pods();
    assert_eq!((&now[&0], &now[&2]), (&pods[&0], &pods[&2]), "survivors were disturbed");
    assert_eq!(losses(&job), [0, 1, 1]);
    stage.operator.must_come_back();
    stage.end();
}
