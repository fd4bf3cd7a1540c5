//! Readers of what is not there yet: held while it is computed or recovered, told when it never will be.

use super::source::{FrameServer, SECRET};
use super::support::{Cluster, FRAMES, job, source_of};
use crate::results::{Deadline, Error, read, region};
use api::job::{Job, Source};
use api::phase::{PhaseProgress, reason};
use api::selection::Selection;
use formats::aspect::Aspect;
use std::time::Duration;
use tokio::time::Instant;

/// The first frame is server 0's, the last one server 1's.
const OWN: &str = "/arrays.zarr/raw@1,-1,-1/c/0/0/0";
const PEERS: &str = "/arrays.zarr/raw@1,-1,-1/c/22/0/0";
/// Put together from both.
const SHARED: &str = "/arrays.zarr/power/c/0/0/0";
const SUMS: &str = "/arrays.zarr/raw_mean_frame/c/0/0";

/// Two servers whose source does not answer.
async fn waiting() -> (Cluster, FrameServer, Job) {
    let (frames, cluster) = (FrameServer::start().await, Cluster::start(2, &[("X-Api-Key", SECRET)]));
    frames.set_down(true);
    let mut job = job(&frames);
    job.outputs = vec![];
    cluster.assign(&job).await;
    (cluster, frames, job)
}

#[tokio::test]
async fn a_reader_is_held_until_it_is_computed() {
    let (cluster, frames, _) = waiting().await;
    // What is said of a chunk, and what the reader has, needs no chunk.
    let head = cluster.request_head(0, PEERS).await;
    assert_eq!((head.status, head.header("content-length")), (200, "12000"));
    let tag = head.header("etag").to_owned();
    assert_eq!(cluster.ask(0, PEERS, |request| request.header("if-none-match", &tag)).await.status, 304);
    assert_eq!(cluster.ask(0, PEERS, |request| request.header("range", "bytes=12000-")).await.status, 416);

    let reading = futures_util::future::join_all([OWN, PEERS, SHARED, SUMS, "/slice/raw?format=raw"].map(|path| cluster.read(0, path)));
    let (answers, ()) = tokio::join!(reading, async { frames.set_down(false) });
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [200; 5]);
    let expected = super::source::pixels(100 + 2 * (FRAMES - 1));
    assert!(answers[1].body == expected && answers[4].body.ends_with(&expected));
}

#[tokio::test]
async fn a_reader_whose_patience_ends_is_told_to_come_back() {
    let (cluster, _frames, _) = waiting().await;
    let worker = &cluster.workers[0];
    let share = worker.share().unwrap();
    let raw = share.array("raw").unwrap();
    for time in [0..1, 22..23] {
        let deadline = Deadline::after(Duration::from_millis(20));
        let error =
            region(&worker.client, &share, raw, Aspect::Value, &[time, 0..120, 0..100], &[1, 120, 100], deadline).await.unwrap_err();
        assert!(matches!(error, Error::Late), "{error}");
    }
}

#[tokio::test]
async fn a_reader_is_held_while_a_server_is_replaced() {
    let (frames, cluster) = (FrameServer::start().await, Cluster::start(2, &[("X-Api-Key", SECRET)]));
    let job = job(&frames);
    // Server 0 does not know yet where server 1 is.
    let mut peers = cluster.table();
    peers[1] = None;
    cluster.assign_among(&job, peers.clone()).await;
    cluster.until(0, |progress| progress.phases.first().is_some_and(PhaseProgress::complete)).await;
    // Somebody was there, with another boot id: its refusal passes.
    peers[1] = cluster.table()[1].clone().map(|peer| api::wire::Peer { boot: api::phase::BootId("before".into()), ..peer });
    let reading = futures_util::future::join_all([PEERS, SHARED, SUMS].map(|path| cluster.read(0, path)));
    let (answers, _) = tokio::join!(reading, async {
        cluster.assign_among(&job, peers).await;
        cluster.assign(&job).await
    });
    assert_eq!(answers.iter().map(|answer| answer.status).collect::<Vec<_>>(), [200; 3]);
    assert!(answers[0].body == super::source::pixels(100 + 2 * (FRAMES - 1)));
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
async fn a_reader_of_what_has_failed_is_told_why_at_once() {
    let (frames, cluster) = (FrameServer::start().await, Cluster::start(2, &[("X-Api-Key", SECRET)]));
    // It takes connections and never says a word.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let source = source_of(format!("http://{}/{{index}}", silent.local_addr().unwrap()));
    cluster.assign(&Job { source: Source::Images(source), ..job(&frames) }).await;
    let worker = &cluster.workers[1];
    worker.fail(&worker.share().unwrap(), reason::SOURCE_UNAVAILABLE, "the lens cap is on".into());
    let start = Instant::now();
    // Server 1 says so itself; server 0 hears it from server 1, of its own chunks too.
    let asked = [(1, PEERS), (1, OWN), (0, PEERS), (0, SUMS), (0, "/slice/raw"), (0, OWN), (0, SHARED)];
    let answers = futures_util::future::join_all(asked.map(|(server, path)| cluster.read(server, path))).await;
    for (answer, (server, path)) in answers.iter().zip(asked) {
        let (status, _, error) = answer.problem();
        assert!(status == 409 && error.contains("the lens cap is on"), "{server} {path}: {status} {error}");
        assert_eq!(answer.header("access-control-allow-origin"), "*");
    }
    assert!(start.elapsed() < Duration::from_secs(15), "they were held as if it could still come");
}

#[tokio::test]
async fn what_is_computed_is_read_whatever_fails_afterwards() {
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
async fn a_reader_of_a_job_that_is_replaced_lets_it_go() {
    let (cluster, frames, job) = waiting().await;
    let old = std::sync::Arc::downgrade(&cluster.workers[0].share().unwrap());
    let reading = cluster.read(0, OWN);
    let replace = async {
        // The reader holds the share: it has arrived.
        while old.strong_count() < 4 && cluster.workers[0].share().is_some_and(|share| std::sync::Arc::strong_count(&share) < 5) {
            tokio::task::yield_now().await;
        }
        frames.set_down(false);
        cluster.assign(&Job { generation: job.generation + 1, ..job }).await;
    };
    let (answer, ()) = tokio::join!(reading, replace);
    // Either it came before its job went, or it is told to come back; it is never given another job's frame under the old name.
    assert!(answer.status == 503 || answer.status == 200, "{}", answer.status);
    cluster.until_computed().await;
    assert_eq!(cluster.read(0, OWN).await.status, 200);
    assert!(old.upgrade().is_none(), "somebody keeps the old share");
}
