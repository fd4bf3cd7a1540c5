//! Reads of elements that are not computed yet: they wait for the computation or the recovery, or return the failure.

use super::source::{FrameServer, SECRET};
use super::support::{Cluster, FRAMES, job, source_of};
use crate::results::{Deadline, Error, read, read_region};
use api::job::{Job, Source};
use api::phase::{PhaseProgress, reason};
use api::selection::Selection;
use formats::aspect::Aspect;
use std::time::Duration;
use tokio::time::Instant;

/// Server 0 owns the first frame, server 1 the last.
const OWN: &str = "/arrays.zarr/raw@1,-1,-1/c/0/0/0";
const PEERS: &str = "/arrays.zarr/raw@1,-1,-1/c/22/0/0";
/// A chunk that is joined from both servers.
const SHARED: &str = "/arrays.zarr/power/c/0/0/0";
const SUMS: &str = "/arrays.zarr/raw_mean_frame/c/0/0";

/// Two servers whose source does not respond.
async fn waiting() -> (Cluster, FrameServer, Job) {
    let (frames, cluster) = (FrameServer::start().await, Cluster::start(2, &[("X-Api-Key", SECRET)]));
    frames.set_down(true);
    let mut job = job(&frames);
    job.outputs = vec![];
    cluster.assign(&job).await;
    (cluster, frames, job)
}

#[tokio::test]
async fn a_read_waits_until_the_elements_are_computed() {
    let (cluster, frames, _) = waiting().await;
    // Headers, 304 and 416 do not need the chunk.
    let head = cluster.request_head(0, PEERS).await;
    assert_eq!((head.status, head.header("content-length")), (200, "12000"));
    let tag = head.header("etag").to_owned();
    assert_eq!(cluster.read_with(0, PEERS, |request| request.header("if-none-match", &tag)).await.status, 304);
    assert_eq!(cluster.read_with(0, PEERS, |request| request.header("range", "bytes=12000-")).await.status, 416);

    let reading = futures_util::future::join_all([OWN, PEERS, SHARED, SUMS, "/slice/raw?format=raw"].map(|path| cluster.read(0, path)));
    let (responses, ()) = tokio::join!(reading, async { frames.set_down(false) });
    let statuses: Vec<u16> = responses.iter().map(|response| response.status).collect();
    assert_eq!(statuses, [200; 5]);
    let expected = super::source::pixels(100 + 2 * (FRAMES - 1));
    assert!(responses[1].body == expected && responses[4].body.ends_with(&expected));
}

#[tokio::test]
async fn a_read_ends_with_its_deadline() {
    let (cluster, _frames, _) = waiting().await;
    let worker = &cluster.workers[0];
    let share = worker.share().unwrap();
    let raw = share.array("raw").unwrap();
    for time in [0..1, 22..23] {
        let deadline = Deadline::after(Duration::from_millis(20));
        let error =
            read_region(&worker.client, &share, raw, Aspect::Value, &[time, 0..120, 0..100], &[1, 120, 100], deadline).await.unwrap_err();
        assert!(matches!(error, Error::Timeout), "{error}");
    }
}

#[tokio::test]
async fn a_read_waits_while_a_server_is_replaced() {
    let (frames, cluster) = (FrameServer::start().await, Cluster::start(2, &[("X-Api-Key", SECRET)]));
    let job = job(&frames);
    // Server 0 does not know the address of server 1 yet.
    let mut peers = cluster.table();
    peers[1] = None;
    cluster.assign_among(&job, peers.clone()).await;
    cluster.until(0, |progress| progress.phases.first().is_some_and(PhaseProgress::complete)).await;
    // At this address is a server with another boot id; its refusal is a transient error.
    peers[1] = cluster.table()[1].clone().map(|peer| api::wire::Peer { boot: api::phase::BootId("before".into()), ..peer });
    let reading = futures_util::future::join_all([PEERS, SHARED, SUMS].map(|path| cluster.read(0, path)));
    let (responses, _) = tokio::join!(reading, async {
        cluster.assign_among(&job, peers).await;
        cluster.assign(&job).await
    });
    assert_eq!(responses.iter().map(|response| response.status).collect::<Vec<_>>(), [200; 3]);
    assert!(responses[0].body == super::source::pixels(100 + 2 * (FRAMES - 1)));
}

#[tokio::test]
async fn an_output_retries_until_the_lost_server_is_back() {
    let (frames, cluster) = (FrameServer::start().await, Cluster::start(2, &[("X-Api-Key", SECRET)]));
    let job = job(&frames);
    let mut peers = cluster.table();
    peers[1] = None;
    cluster.assign_among(&job, peers).await;
    let (worker, all) = (&cluster.workers[0], Selection::parse("raw_mean_frame").unwrap());
    let share = worker.share().unwrap();
    let reading = read(&worker.client, &share, &all.array, &all.items, Deadline::NEVER);
    let (gathered, _) = tokio::join!(reading, async {
        cluster.until(0, |progress| progress.phases.first().is_some_and(PhaseProgress::complete)).await;
        cluster.assign(&job).await
    });
    let gathered = gathered.unwrap();
    assert_eq!(gathered.shape, [120, 100]);
    assert!(gathered.permit.is_none(), "an output uses the memory of the plan");
}

#[tokio::test]
async fn a_read_of_a_failed_job_returns_the_reason_early() {
    let (frames, cluster) = (FrameServer::start().await, Cluster::start(2, &[("X-Api-Key", SECRET)]));
    // A source that accepts connections and never responds.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let source = source_of(format!("http://{}/{{index}}", silent.local_addr().unwrap()));
    cluster.assign(&Job { source: Source::Images(source), ..job(&frames) }).await;
    let worker = &cluster.workers[1];
    worker.fail(&worker.share().unwrap(), reason::SOURCE_UNAVAILABLE, "the lens cap is on".into());
    let start = Instant::now();
    // Server 1 reports the failure itself. Server 0 receives the failure from server 1, also for chunks of server 0.
    let requests = [(1, PEERS), (1, OWN), (0, PEERS), (0, SUMS), (0, "/slice/raw"), (0, OWN), (0, SHARED)];
    let responses = futures_util::future::join_all(requests.map(|(server, path)| cluster.read(server, path))).await;
    for (response, (server, path)) in responses.iter().zip(requests) {
        let (status, _, error) = response.problem();
        assert!(status == 409 && error.contains("the lens cap is on"), "{server} {path}: {status} {error}");
        assert_eq!(response.header("access-control-allow-origin"), "*");
    }
    assert!(start.elapsed() < Duration::from_secs(15), "the reads waited although the job has failed");
}

#[tokio::test]
async fn computed_elements_are_readable_after_a_failure() {
    let (frames, cluster) = (FrameServer::start().await, Cluster::start(2, &[("X-Api-Key", SECRET)]));
    cluster.assign(&job(&frames)).await;
    cluster.until_computed().await;
    for worker in &cluster.workers {
        worker.fail(&worker.share().unwrap(), reason::OUTPUT_WRITE_FAILED, "the disk is full".into());
    }
    for path in [OWN, PEERS, SHARED, SUMS] {
        assert_eq!(cluster.read(0, path).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn a_read_of_a_replaced_job_frees_the_share() {
    let (cluster, frames, job) = waiting().await;
    let old = std::sync::Arc::downgrade(&cluster.workers[0].share().unwrap());
    let reading = cluster.read(0, OWN);
    let replace = async {
        // Waits until the read holds the share.
        while old.strong_count() < 4 && cluster.workers[0].share().is_some_and(|share| std::sync::Arc::strong_count(&share) < 5) {
            tokio::task::yield_now().await;
        }
        frames.set_down(false);
        cluster.assign(&Job { generation: job.generation + 1, ..job }).await;
    };
    let (response, ()) = tokio::join!(reading, replace);
    // The read completes before the replacement, or asks the reader to try again. It never returns a frame of the new job.
    assert!(response.status == 503 || response.status == 200, "{}", response.status);
    cluster.until_computed().await;
    assert_eq!(cluster.read(0, OWN).await.status, 200);
    assert!(old.upgrade().is_none(), "the old share is still in memory");
}
