//! The recorded tasks of servers, from any server.

use super::source::{FrameServer, SECRET, pixels};
use super::support::{Cluster, FRAME, FRAMES, HttpResponse, job};
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::Duration;

/// One record of a response.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Record {
    start: f64,
    duration: f32,
    busy: f32,
    count: u32,
    item: usize,
    bytes: f32,
    lane: String,
    kind: String,
    flags: u8,
}

impl Record {
    pub(super) fn size(&self) -> f64 {
        f64::from(self.bytes)
    }
}

/// A parsed response.
#[derive(Clone, Debug)]
pub(super) struct Tasks {
    pub(super) header: Value,
    finished: Vec<Record>,
    running: Vec<Record>,
}

impl Tasks {
    fn of(response: &HttpResponse) -> Self {
        assert_eq!((response.status, response.header("content-type")), (200, "application/vnd.arrayjob.tasks"), "{}", response.text());
        let line = response.body.iter().position(|&byte| byte == b'\n').unwrap();
        assert_eq!((line + 1) % 8, 0);
        let header: Value = serde_json::from_slice(&response.body[..line]).unwrap();
        let name = |list: &str, index: usize| header[list][index].as_str().unwrap_or_else(|| panic!("no {index} in {list}")).to_owned();
        let record = |bytes: &[u8]| Record {
            start: f64::from_le_bytes(bytes[..8].try_into().unwrap()),
            duration: f32::from_le_bytes(bytes[8..12].try_into().unwrap()),
            busy: f32::from_le_bytes(bytes[12..16].try_into().unwrap()),
            count: u32::from_le_bytes(bytes[16..20].try_into().unwrap()),
            item: u32::from_le_bytes(bytes[20..24].try_into().unwrap()) as usize,
            bytes: f32::from_le_bytes(bytes[24..28].try_into().unwrap()),
            lane: name("lanes", usize::from(u16::from_le_bytes(bytes[28..30].try_into().unwrap()))),
            kind: name("kinds", usize::from(bytes[30])),
            flags: bytes[31],
        };
        let mut finished: Vec<Record> = response.body[line + 1..].chunks_exact(32).map(record).collect();
        let running = finished.split_off(header["finished"].as_u64().unwrap() as usize);
        assert_eq!(header["running"], running.len());
        assert_eq!((response.body.len() - line - 1) % 32, 0);
        Self { header, finished, running }
    }

    /// The tasks of server `server`, requested from server `from`.
    pub(super) async fn request(cluster: &Cluster, from: usize, server: usize, query: &str) -> Self {
        Self::of(&cluster.read(from, &format!("/api/v1/servers/{server}/tasks{query}")).await)
    }

    pub(super) fn of_kind(&self, kind: &str) -> impl Iterator<Item = &Record> {
        self.finished.iter().filter(move |record| record.kind == kind)
    }

    /// Frames or bands with successful tasks.
    pub(super) fn items(&self, kind: &str) -> BTreeSet<usize> {
        self.of_kind(kind).filter(|record| record.flags == 0).flat_map(|record| record.item..record.item + record.count as usize).collect()
    }

    /// The query for newer records.
    fn newer(&self) -> String {
        format!("?log={}&after={}", self.header["log"].as_str().unwrap(), self.header["next"])
    }
}

#[tokio::test]
async fn every_server_records_its_frames_and_bands() {
    let (frames, cluster) = (FrameServer::start().await, Cluster::start(2, &[("X-Api-Key", SECRET)]));
    let mut job = job(&frames);
    job.outputs.clear();
    job.recenter = Some(api::job::Recenter { crop: [100, 80], method: api::job::Method::Centroid, threshold: None });
    cluster.assign(&job).await;
    cluster.until_computed().await;
    let plan = cluster.workers[0].share().unwrap().plan.clone();
    let mut fetched = 0.0;
    for id in plan.ids() {
        let all = Tasks::request(&cluster, 0, id.0, "").await;
        assert_eq!((&all.header["server"], all.running.len()), (&Value::from(id.0), 0));
        assert_eq!(all.header["boot"], cluster.workers[id.0].boot.0);
        let vitals = all.header["vitals"].as_array().unwrap();
        assert!(!vitals.is_empty() && vitals.iter().all(|row| row[2].as_u64() > Some(1 << 20)), "{vitals:?}");
        let own: BTreeSet<usize> = plan.frames_of(id).collect();
        for kind in ["load", "decode", "recenter"] {
            assert_eq!(all.items(kind), own, "{kind} of server {}", id.0);
            assert_eq!(all.of_kind(kind).map(|record| record.count).sum::<u32>(), own.len() as u32, "{kind}");
        }
        let bands: BTreeSet<usize> = plan.bands_of(id).collect();
        assert_eq!((all.items("fft"), all.items("transfer")), (bands.clone(), bands.clone()));
        let bytes = |kind| all.of_kind(kind).map(|record| f64::from(record.bytes)).sum::<f64>();
        assert_eq!(bytes("decode"), (own.len() * FRAME.bytes()) as f64);
        assert_eq!(bytes("recenter"), (own.len() * plan.partition.stack.bytes()) as f64);
        let others = FRAMES - own.len();
        assert_eq!(bytes("transfer"), (plan.pixels_of(id).len() * others) as f64);
        assert_eq!(
            bytes("gather"),
            ((plan.partition.stack.pixels() - plan.pixels_of(id).len()) * own.len()) as f64,
            "the bytes that the other server pulled"
        );
        assert_eq!(bytes("fft"), (plan.pixels_of(id).len() * plan.spectrum_bytes()) as f64);
        fetched += bytes("load");
        for record in &all.finished {
            let lane = record.lane.split(' ').next().unwrap();
            let expected = match record.kind.as_str() {
                "load" => "fetch",
                "transfer" => "transfer",
                "gather" => "serve",
                _ => "compute",
            };
            // A transfer from a peer without a job fails and is retried.
            let failed = record.flags == 2 && record.kind == "transfer" && record.bytes == 0.0;
            assert!(lane == expected && (record.flags == 0 || failed), "{record:?}");
            assert!(record.start >= 0.0 && record.duration >= 0.0 && record.busy == record.duration, "{record:?}");
        }
        // Tasks of one lane do not overlap.
        for lane in all.header["lanes"].as_array().unwrap() {
            let mut of_lane: Vec<&Record> = all.finished.iter().filter(|record| lane == &record.lane).collect();
            of_lane.sort_by(|a, b| a.start.total_cmp(&b.start));
            let apart = |pair: &[&Record]| pair[0].start + f64::from(pair[0].duration) <= pair[1].start + 1.0;
            assert!(of_lane.windows(2).all(apart), "{lane}");
        }
        // Every server returns the same response.
        let other = Tasks::request(&cluster, 1, id.0, "").await;
        assert_eq!((&other.finished, &other.header["log"]), (&all.finished, &all.header["log"]));
        // There are no newer records.
        let newer = Tasks::request(&cluster, 1, id.0, &all.newer()).await;
        assert_eq!((newer.finished.len(), newer.running.len(), &newer.header["log"]), (0, 0, &all.header["log"]));
        // Merged records have the same totals.
        let coarse = Tasks::request(&cluster, 0, id.0, "?resolution=1000000000").await;
        let sum = |tasks: &Tasks, of: fn(&Record) -> f64| tasks.finished.iter().map(of).sum::<f64>();
        assert!(coarse.finished.len() < all.finished.len() && coarse.finished.iter().any(|record| record.count > 8));
        let amounts: [fn(&Record) -> f64; 3] = [|r| f64::from(r.count), |r| f64::from(r.busy), |r| f64::from(r.bytes)];
        for amount in amounts {
            let (fine, coarse) = (sum(&all, amount), sum(&coarse, amount));
            assert!((fine - coarse).abs() <= 1e-5 * fine, "{coarse} of {fine}");
        }
    }
    let sizes = (0..FRAMES).map(|frame| {
        let array =
            formats::encode::ArrayRef { element: FRAME.dtype.into(), shape: &[FRAME.height, FRAME.width], data: &pixels(100 + 2 * frame) };
        formats::encode::encode(&array, formats::encode::Format::Png).unwrap().len()
    });
    assert_eq!(fetched, sizes.sum::<usize>() as f64);
    let (status, _, error) = cluster.read(0, "/api/v1/servers/2/tasks").await.problem();
    assert_eq!((status, error.as_str()), (404, "there is no server 2: the job has servers 0 to 1"));
}

#[tokio::test]
async fn running_tasks_are_returned_and_then_newer_tasks() {
    let (frames, cluster) = (FrameServer::start().await, Cluster::start(2, &[("X-Api-Key", SECRET)]));
    frames.answer_only(3);
    let mut job = job(&frames);
    job.outputs.clear();
    cluster.assign(&job).await;
    let mut seen = Tasks::request(&cluster, 1, 0, "").await;
    for _ in 0..500 {
        if !seen.running.is_empty() && frames.served() == 3 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
        seen = Tasks::request(&cluster, 1, 0, "").await;
    }
    let running = &seen.running[0];
    assert_eq!((running.kind.as_str(), running.flags, running.lane.split(' ').next()), ("load", 1, Some("fetch")));
    let now = seen.header["now_us"].as_u64().unwrap() - seen.header["epoch_us"].as_u64().unwrap();
    assert!((running.start + f64::from(running.duration) - now as f64).abs() < 2.0, "the running task lasts until now");
    frames.answer_only(usize::MAX);
    cluster.until_computed().await;
    let new = Tasks::request(&cluster, 1, 0, &seen.newer()).await;
    let all = Tasks::request(&cluster, 1, 0, "").await;
    assert_eq!(new.header["log"], seen.header["log"]);
    assert_eq!([seen.finished, new.finished].concat(), all.finished, "each record is returned once, in order");
    assert!(new.running.is_empty());
}

#[tokio::test]
async fn a_new_job_has_a_new_log() {
    let (frames, cluster) = (FrameServer::start().await, Cluster::start(1, &[("X-Api-Key", SECRET)]));
    assert_eq!(cluster.read(0, "/api/v1/servers/0/tasks").await.status, 503);
    let mut job = job(&frames);
    job.outputs.clear();
    cluster.assign(&job).await;
    cluster.until_computed().await;
    let first = Tasks::request(&cluster, 0, 0, "").await;
    job.generation = 2;
    cluster.assign(&job).await;
    cluster.until_computed().await;
    let second = Tasks::request(&cluster, 0, 0, &first.newer()).await;
    assert_ne!(first.header["log"], second.header["log"]);
    assert_eq!(second.items("load"), (0..FRAMES).collect(), "the response contains all records of the new log");
}

#[tokio::test]
async fn retries_are_recorded_with_their_reason() {
    let (frames, cluster) = (FrameServer::start().await, Cluster::start(1, &[("X-Api-Key", SECRET)]));
    frames.set_down(true);
    let mut job = job(&frames);
    job.outputs.clear();
    cluster.assign(&job).await;
    cluster.until(0, |progress| progress.last_error.is_some()).await;
    frames.set_down(false);
    cluster.until_computed().await;
    let all = Tasks::request(&cluster, 0, 0, "").await;
    let failed: Vec<&Record> = all.finished.iter().filter(|record| record.flags == 2).collect();
    assert!(failed.len() >= 2 && failed.iter().all(|record| record.kind == "load"), "{failed:?}");
    let marks = all.header["marks"].as_array().unwrap();
    let retries: u64 = marks.iter().filter(|mark| mark["kind"] == "retry").map(|mark| mark["count"].as_u64().unwrap()).sum();
    assert_eq!(retries, failed.len() as u64, "{marks:?}");
    assert!(marks.iter().all(|mark| mark["text"].as_str().unwrap().contains("503 Service Unavailable")), "{marks:?}");
    assert!(marks.len() < failed.len(), "equal marks are merged: {marks:?}");
    assert_eq!(all.items("load"), (0..FRAMES).collect());
}

#[tokio::test]
async fn lost_and_recovered_peers_are_recorded() {
    let (frames, cluster) = (FrameServer::start().await, Cluster::start(2, &[("X-Api-Key", SECRET)]));
    let mut job = job(&frames);
    job.outputs.clear();
    cluster.assign(&job).await;
    let mut peers = cluster.table();
    peers[1] = None;
    cluster.assign_among(&job, peers.clone()).await;
    cluster.assign(&job).await;
    peers[1] = cluster.table()[1].clone().map(|peer| api::wire::Peer { boot: api::phase::BootId("another".into()), ..peer });
    cluster.assign_among(&job, peers).await;
    let all = Tasks::request(&cluster, 0, 0, "").await;
    let marks = all.header["marks"].as_array().unwrap();
    let kinds: Vec<&str> = marks.iter().map(|mark| mark["kind"].as_str().unwrap()).filter(|kind| *kind != "retry").collect();
    // The restarted server records the restart itself.
    assert_eq!(kinds, ["lost", "recovered"], "{marks:?}");
    let share = cluster.workers[0].share().unwrap();
    cluster.workers[0].fail(&share, "Because", "the lens cap is on".into());
    let new = Tasks::request(&cluster, 0, 0, &all.newer()).await;
    let marks = new.header["marks"].as_array().unwrap();
    let last = marks.last().unwrap();
    assert_eq!((&last["kind"], &last["text"]), (&"failure".into(), &"the lens cap is on".into()));
}
