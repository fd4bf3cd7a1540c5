//! Preliminary results: the running mean, and values of each frame.

use super::source::{FrameServer, SECRET, pixels};
use super::support::{Cluster, FRAME, FRAMES, HttpResponse, job};
use api::job::{Job, Recenter, Reduction};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const CROP: [usize; 2] = [100, 80];

/// A response of a line of JSON and float32.
struct Floats {
    header: Value,
    values: Vec<f32>,
}

impl Floats {
    fn of(response: &HttpResponse, kind: &str) -> Self {
        assert_eq!((response.status, response.header("content-type")), (200, kind), "{}", response.text());
        let line = response.body.iter().position(|&byte| byte == b'\n').unwrap();
        assert_eq!((line + 1) % 8, 0);
        let values = response.body[line + 1..].chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect();
        Self { header: serde_json::from_slice(&response.body[..line]).unwrap(), values }
    }

    async fn preview(cluster: &Cluster, server: usize, of: &str) -> Self {
        Self::of(&cluster.read(server, &format!("/api/v1/preview/{of}")).await, "application/vnd.arrayjob.preview")
    }

    async fn traces(cluster: &Cluster, server: usize) -> Self {
        Self::of(&cluster.read(server, "/api/v1/traces").await, "application/vnd.arrayjob.traces")
    }

    /// The column `name` of traces.
    fn column(&self, name: &str) -> &[f32] {
        let names: Vec<&str> = self.header["columns"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
        let at = names.iter().position(|known| *known == name).unwrap_or_else(|| panic!("no {name} in {names:?}"));
        assert_eq!(self.values.len(), names.len() * FRAMES);
        &self.values[at * FRAMES..][..FRAMES]
    }
}

/// Elements of a float64 array.
async fn doubles(cluster: &Cluster, path: &str) -> Vec<f64> {
    let response = cluster.read(0, &format!("/slice/{path}format=raw")).await;
    assert_eq!(response.status, 200, "{}", response.text());
    response.body.chunks_exact(8).map(|bytes| f64::from_le_bytes(bytes.try_into().unwrap())).collect()
}

fn recentered(frames: &FrameServer) -> Job {
    let mut job = job(frames);
    job.outputs.clear();
    job.recenter = Some(Recenter { crop: CROP, method: api::job::Method::Centroid, threshold: None });
    job
}

fn singles(values: &[f64]) -> Vec<f32> {
    values.iter().map(|&value| value as f32).collect()
}

#[tokio::test]
async fn final_previews_and_traces_equal_the_arrays() {
    let (frames, cluster) = (FrameServer::start().await, Cluster::start(2, &[("X-Api-Key", SECRET)]));
    for path in ["/api/v1/preview/raw", "/api/v1/traces"] {
        assert_eq!(cluster.read(0, path).await.status, 503, "{path}");
    }
    cluster.assign(&recentered(&frames)).await;
    cluster.until_computed().await;
    for server in 0..2 {
        let preview = Floats::preview(&cluster, server, "raw?edge=40").await;
        let header = json!({"array": "raw", "frames": FRAMES, "of": FRAMES, "shape": [120, 100], "stride": 3, "shown": [40, 34]});
        assert_eq!(preview.header, header);
        assert_eq!(preview.values, singles(&doubles(&cluster, "raw_mean_frame?sel=::3,::3&").await));
        let preview = Floats::preview(&cluster, server, "recentered").await;
        assert_eq!((&preview.header["stride"], &preview.header["shown"]), (&json!(1), &json!(CROP)));
        assert_eq!(preview.values, singles(&doubles(&cluster, "recentered_mean_frame?").await));

        let traces = Floats::traces(&cluster, server).await;
        let header = json!({"frames": FRAMES, "known": FRAMES, "columns": ["raw_mean", "recentered_mean", "centroid_y", "centroid_x"]});
        assert_eq!(traces.header, header);
        assert_eq!(traces.column("raw_mean"), singles(&doubles(&cluster, "raw_mean_trace?").await));
        assert_eq!(traces.column("recentered_mean"), singles(&doubles(&cluster, "recentered_mean_trace?").await));
        assert_eq!(traces.column("centroid_y"), singles(&doubles(&cluster, "centroids?sel=:,0&").await));
        assert_eq!(traces.column("centroid_x"), singles(&doubles(&cluster, "centroids?sel=:,1&").await));
    }
    // Frames of a lost server are not counted and have no values.
    let lost = cluster.workers[0].share().unwrap().plan.frames_of(api::plan::ServerId(1));
    cluster.lose(1);
    // Previews and traces are cached for a moment.
    let deadline = Instant::now() + Duration::from_secs(10);
    let (preview, traces) = loop {
        let (preview, traces) = (Floats::preview(&cluster, 0, "raw?edge=40").await, Floats::traces(&cluster, 0).await);
        let refreshed = preview.header["frames"] == lost.start && traces.header["known"] == lost.start;
        if refreshed || Instant::now() > deadline {
            break (preview, traces);
        }
    };
    assert_eq!(preview.header["frames"], lost.start);
    assert_eq!(traces.header["known"], lost.start);
    assert!(traces.column("raw_mean").iter().enumerate().all(|(frame, value)| value.is_nan() == lost.contains(&frame)));
}

#[tokio::test]
async fn previews_and_traces_contain_the_frames_loaded_so_far() {
    let (frames, cluster) = (FrameServer::start().await, Cluster::start(2, &[("X-Api-Key", SECRET)]));
    frames.answer_only(0);
    cluster.assign(&recentered(&frames)).await;
    let nothing = Floats::preview(&cluster, 0, "raw?edge=16").await;
    assert_eq!((&nothing.header["frames"], nothing.values.len()), (&json!(0), 15 * 13));
    assert!(nothing.values.iter().all(|value| value.is_nan()));
    assert!(Floats::traces(&cluster, 1).await.values.iter().all(|value| value.is_nan()));

    frames.answer_only(15);
    // Waits until the served frames are loaded, as far as they form complete groups.
    let mut known = 0;
    for _ in 0..50 {
        let now: usize = cluster.workers.iter().map(|worker| worker.progress().phases[0].done as usize).sum();
        if frames.served() == 15 && now > 0 && now == known {
            break;
        }
        known = now;
        tokio::time::sleep(Duration::from_millis(600)).await;
    }
    for server in 0..2 {
        let traces = Floats::traces(&cluster, server).await;
        let means = traces.column("raw_mean");
        let loaded: Vec<usize> = (0..FRAMES).filter(|&frame| !means[frame].is_nan()).collect();
        assert!(!loaded.is_empty() && loaded.len() <= 15, "{loaded:?}");
        assert_eq!((&traces.header["known"], known), (&json!(loaded.len()), loaded.len()));
        for &frame in &loaded {
            let sum: u64 = pixels(100 + 2 * frame).iter().map(|&pixel| u64::from(pixel)).sum();
            assert_eq!(means[frame], (sum as f64 / FRAME.pixels() as f64) as f32, "frame {frame}");
        }
        let preview = Floats::preview(&cluster, server, "raw?edge=16").await;
        assert_eq!((&preview.header["frames"], &preview.header["stride"]), (&json!(loaded.len()), &json!(8)));
        let expected = (0..FRAME.height).step_by(8).flat_map(|y| (0..FRAME.width).step_by(8).map(move |x| y * FRAME.width + x));
        let expected = expected.map(|pixel| {
            let sum: u64 = loaded.iter().map(|&frame| u64::from(pixels(100 + 2 * frame)[pixel])).sum();
            (sum as f64 / loaded.len() as f64) as f32
        });
        assert_eq!(preview.values, expected.collect::<Vec<_>>());
    }
    frames.answer_only(usize::MAX);
    cluster.until_computed().await;
}

#[tokio::test]
async fn arrays_without_sums_have_no_preview() {
    let (frames, cluster) = (FrameServer::start().await, Cluster::start(1, &[("X-Api-Key", SECRET)]));
    let mut job = job(&frames);
    job.outputs.clear();
    cluster.assign(&job).await;
    for array in ["recentered", "power", "nothing"] {
        let (status, _, error) = cluster.read(0, &format!("/api/v1/preview/{array}")).await.problem();
        assert!(status == 404 && error.contains(array), "{status} {error}");
    }
    assert_eq!(Floats::traces(&cluster, 0).await.header["columns"], json!(["raw_mean"]));
    job.reduce = vec![Reduction::Max];
    job.uid = "v".into();
    cluster.assign(&job).await;
    let (status, _, error) = cluster.read(0, "/api/v1/preview/raw").await.problem();
    assert!(status == 404 && error.contains("no mean"), "{status} {error}");
    assert_eq!(Floats::traces(&cluster, 0).await.header["columns"], json!([]));
}

#[tokio::test]
async fn concurrent_requests_share_one_preview() {
    let (frames, cluster) = (FrameServer::start().await, Cluster::start(2, &[("X-Api-Key", SECRET)]));
    cluster.assign(&recentered(&frames)).await;
    cluster.until_computed().await;
    let before = cluster.workers[1].client.traffic.bytes().1;
    let previews = futures_util::future::join_all((0..10).map(|_| cluster.read(0, "/api/v1/preview/raw"))).await;
    let sent = cluster.workers[1].client.traffic.bytes().1 - before;
    assert!(previews.iter().all(|preview| preview.status == 200 && preview.body == previews[0].body));
    let part = (8 + FRAME.pixels() * 8) as u64;
    assert!((part..2 * part).contains(&sent), "server 1 sent {sent} bytes; one part has {part}");
}
