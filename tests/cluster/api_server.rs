//! An API server that is away while a job runs.

use crate::common::{QUICK_MOVIE, SERVERS, SLOW_MOVIE, STATUS_TIMEOUT, TIMEOUT, losses, slow_job, slow_slices};
use std::time::Instant;
use tests::cluster::node::{self, StoppedApiServer};
use tests::cluster::{Stage, seconds, until};
use tests::fault_rows::record;

#[test]
fn a_job_continues_while_the_api_server_is_away_for_a_minute() {
    const NAME: &str = "a_job_continues_while_the_api_server_is_away_for_a_minute";
    // The operator may lose its Lease, and then starts again.
    let stage = Stage::new("no-api").expecting(&["retried", "timed out", "Lease", "lease", "watch", "error"]);
    let source = stage.movie(&SLOW_MOVIE);
    let job = stage.start("alone", &slow_job(&source.url));
    let pods = job.until_started(SERVERS, STATUS_TIMEOUT);
    job.until_in_phase("Load", 0, TIMEOUT);
    stage.operator.allow_restart();
    let Some(stopped) = StoppedApiServer::new() else {
        node::skip(NAME, "the node of the API server is not a local container");
        return stage.end();
    };
    // The duration of the fault.
    std::thread::sleep(seconds(60));
    drop(stopped);
    let back = Instant::now();
    until("the API server responds", seconds(60), || if job.object().is_null() { Err(String::new()) } else { Ok(()) });
    job.must_complete(TIMEOUT);
    let recovery = back.elapsed();
    assert!(recovery < seconds(90), "the job ended {recovery:?} after the return of the API server");
    slow_slices().must_equal(&job.reader());
    slow_slices().must_be_loaded_once(&job, SERVERS);
    assert_eq!((job.pods(), losses(&job)), (pods, [0, 0, 0]), "pods and losses");
    stage.operator.must_become_ready();
    let injected = "SIGSTOP to the API server for 60 s; recovered after its return";
    record("The API server is away", injected, "same bytes, no server replaced; the job is complete", recovery);
    stage.end();
    // Controllers and scheduler of the cluster lose their Leases too. The next test starts when they work again.
    let next = Stage::new("api-is-back");
    next.movie(&QUICK_MOVIE);
    next.end();
}
