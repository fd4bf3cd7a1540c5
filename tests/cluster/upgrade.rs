//! An upgrade of the operator during a job: the new operator finds a plan that another version recorded.

use crate::common::{SERVERS, SLOW_MOVIE, STATUS_TIMEOUT, TIMEOUT, losses, slow_job, slow_slices};
use serde_json::json;
use tests::cluster::Stage;

/// The status contains the fingerprint and the summary of an operator without plan versions.
#[test]
fn an_upgraded_operator_adopts_the_plan_of_an_earlier_version_and_restarts_nothing() {
    let stage = Stage::new("older-plan").expecting(&["tried again"]);
    let source = stage.movie(&SLOW_MOVIE);
    let job = stage.start("alone", &slow_job(&source.url));
    let pods = job.until_started(SERVERS, STATUS_TIMEOUT);
    job.until_in_phase("Load", 1, TIMEOUT);
    stage.operator.scale(0);
    let identity = job.status()["plan"]["fingerprint"].clone();
    assert!(identity.as_str().is_some_and(|identity| identity.starts_with("v1-")), "{identity}");
    job.patch_status(&json!({"plan": {"fingerprint": "0123456789abcdef", "summary": "3 servers, in other words"}}));
    stage.operator.scale(1);
    job.must_complete(TIMEOUT);
    let plan = job.status()["plan"].clone();
    assert_eq!(plan["fingerprint"], identity, "the adopted plan has the new fingerprint: {plan}");
    assert_eq!(plan["summary"], "3 servers, in other words", "the record of the plan stays, except for the form of its identity");
    slow_slices().must_equal(&job.reader());
    slow_slices().must_be_loaded_once(&job, SERVERS);
    assert_eq!((job.pods(), losses(&job)), (pods, [0, 0, 0]), "pods and losses");
    stage.end();
}
