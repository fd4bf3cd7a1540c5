//! A job whose frames are an array of a Zarr store.

use super::source::FrameServer;
use super::support::{Cluster, HttpResponse, job};
use super::tasks::{Record, Tasks};
use crate::source::zarr::tests::store_server::StoreServer;
use crate::source::zarr::tests::{SHAPE, sharded, v3, value, write};
use api::geometry::{Dtype, FrameSpec};
use api::job::{Job, OnError, Recenter, Source, Zarr};
use api::phase::reason;
use api::wire::{ProbeRequest, Probed, route};
use axum::http::StatusCode;

const FRAME: FrameSpec = FrameSpec { height: SHAPE[1], width: SHAPE[2], dtype: Dtype::Uint16 };
/// The first frame of the job; the job skips two frames of the array.
const START: usize = 2;

fn pixels(frame: usize) -> Vec<u8> {
    let pixels = (0..FRAME.pixels()).map(|pixel| value(START + frame, pixel / FRAME.width, pixel % FRAME.width));
    pixels.flat_map(u16::to_le_bytes).collect()
}

async fn probe(cluster: &Cluster, source: &Source) -> HttpResponse {
    let body = serde_json::to_vec(&ProbeRequest { source: source.clone(), frames: 1 }).unwrap();
    cluster.command(0, |client, url| client.post(url + route::PROBE).header("content-type", "application/json").body(body)).await
}

/// A job on the array of the store, probed as the operator does.
async fn job_over(cluster: &Cluster, store: &StoreServer) -> Job {
    let zarr = Zarr { url: store.url(), array: "a".into(), start: START, layout: None, min_bytes_per_second: 0 };
    let probed: Probed = probe(cluster, &Source::Zarr(zarr.clone())).await.json();
    assert_eq!(probed.frame, FRAME);
    let source = Source::Zarr(Zarr { layout: probed.array, ..zarr });
    // All other fields are those of a job on images.
    let images = FrameServer::start().await;
    Job { source, frames: SHAPE[0] - START, frame: FRAME, slab_frames: 3, ..job(&images) }
}

async fn store() -> (tempfile::TempDir, StoreServer) {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("a"), &v3([4, 4, 6], sharded([2, 2, 3])));
    let store = StoreServer::start(folder.path().to_owned(), true).await;
    (folder, store)
}

#[tokio::test]
async fn an_array_is_probed_loaded_by_all_servers_and_peeked() {
    let (_folder, store) = store().await;
    let cluster = Cluster::start(2, &[]);
    let job = job_over(&cluster, &store).await;
    cluster.assign(&job).await;
    cluster.until_computed().await;
    let stack: Vec<u8> = (0..job.frames).flat_map(pixels).collect();
    for server in 0..2 {
        assert!(cluster.read(server, "/slice/raw?format=raw").await.body == stack, "server {server} returns other frames than the store");
        let load = cluster.progress(server).await.phases.remove(0);
        assert!(load.bytes > 0 && load.retries == 0, "{load:?}");
        let tasks = Tasks::request(&cluster, 0, server, "").await;
        let own = cluster.workers[server].share().unwrap().frames();
        assert_eq!(tasks.items("decode"), own.clone().collect());
        // Each request is recorded with the first frame of its piece. No request fetches frames of another server.
        let fetched = tasks.items("load");
        assert!(fetched.contains(&own.start) && fetched.iter().all(|frame| *frame == 0 || own.contains(frame)), "{fetched:?} of {own:?}");
        let bytes: f64 = tasks.of_kind("load").map(Record::size).sum();
        assert!(bytes >= load.bytes as f64 && bytes < load.bytes as f64 + 1e4, "{bytes} of {} plus metadata", load.bytes);
    }
    let peeked = cluster.read(0, &format!("{}/8?format=npy", route::PEEK)).await;
    assert!(peeked.status == 200 && peeked.body.ends_with(&pixels(8)), "{}", peeked.text());
    assert_eq!(cluster.read(0, &format!("{}/9", route::PEEK)).await.status, 404);
}

#[tokio::test]
async fn frames_of_an_unavailable_chunk_are_blank_or_fail_the_job() {
    let (_folder, store) = store().await;
    // Frames 4 to 7 of the array are 2 to 5 of the job.
    store.refuse("c/1/1/0", &[StatusCode::FORBIDDEN]);
    for on_error in [OnError::Blank, OnError::Fail] {
        let cluster = Cluster::start(1, &[]);
        let recenter = Some(Recenter { crop: [3, 4], method: api::job::Method::Centroid, threshold: None });
        let job = Job { on_error, recenter, uid: format!("{on_error:?}"), ..job_over(&cluster, &store).await };
        cluster.assign(&job).await;
        if on_error == OnError::Fail {
            let failure = cluster.until(0, |progress| progress.failure.is_some()).await.failure.unwrap();
            assert_eq!(failure.reason, reason::SOURCE_UNAVAILABLE);
            assert!(failure.message.contains("cannot fetch frame 2") && failure.message.contains("403 Forbidden"), "{}", failure.message);
            continue;
        }
        cluster.until_computed().await;
        assert_eq!(cluster.progress(0).await.blank, [2, 3, 4, 5]);
        let tasks = Tasks::request(&cluster, 0, 0, "").await;
        let marks = tasks.header["marks"].as_array().unwrap();
        let blank: Vec<_> = marks.iter().filter(|mark| mark["kind"] == "blank").collect();
        assert_eq!(blank.iter().map(|mark| mark["count"].as_u64().unwrap()).sum::<u64>(), 4, "{marks:?}");
        let text = blank[0]["text"].as_str().unwrap();
        assert!(text.starts_with("frame 2 is blank: ") && text.contains("403 Forbidden"), "{text}");
        let blank = vec![0; FRAME.bytes()];
        let stack: Vec<u8> = (0..job.frames).flat_map(|t| if (2..6).contains(&t) { blank.clone() } else { pixels(t) }).collect();
        assert!(cluster.read(0, "/slice/raw?format=raw").await.body == stack);
    }
}

#[tokio::test]
async fn a_changed_array_fails_the_job() {
    let (folder, store) = store().await;
    let cluster = Cluster::start(1, &[]);
    let job = job_over(&cluster, &store).await;
    write(&folder.path().join("a"), &v3([2, 4, 6], sharded([2, 2, 3])));
    cluster.assign(&job).await;
    let failure = cluster.until(0, |progress| progress.failure.is_some()).await.failure.unwrap();
    assert!(failure.message.contains("has changed since the job was planned"), "{}", failure.message);
    store.refuse("zarr.json", &[StatusCode::NOT_FOUND]);
    let (status, why, error) = probe(&cluster, &job.source).await.problem();
    assert_eq!((status, why.as_deref()), (422, Some(reason::SOURCE_UNAVAILABLE)));
    assert!(error.contains("/a is not a Zarr array"), "{error}");
}
