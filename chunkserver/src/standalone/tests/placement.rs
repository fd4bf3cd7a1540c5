//! The place of arrays changes no byte of any array.

use super::source::{FrameServer, SECRET};
use super::support::{Cluster, job};
use api::job::{Job, Kept, Method, Recenter, Reduction, Storage};
use api::phase::Phase;
use api::plan::{Allowance, Budget, Placement, Plan};
use api::wire::Assignment;

const BUDGET: Budget = Budget { memory: Allowance::PerServer(2 << 30), cores: 2 };

/// Runs the job on two servers with the arrays in `placement`. Returns the bytes of `arrays`.
async fn results(job: &Job, placement: Placement, arrays: &[&str]) -> Vec<Vec<u8>> {
    let cluster = Cluster::with_scratch(2, &[("X-Api-Key", SECRET)]);
    let plan = Plan::considered(job, 2, &BUDGET).find(|plan| plan.storage == placement).unwrap();
    let assignment = Assignment { job: job.clone(), plan, peers: cluster.table(), goal: Phase::Fft };
    for server in 0..2 {
        assert_eq!(cluster.assign_one(server, &assignment).await.status, 200);
    }
    cluster.until_computed().await;
    let mut found = Vec::new();
    for (index, array) in arrays.iter().enumerate() {
        let more = if array.contains('?') { '&' } else { '?' };
        let response = cluster.read(index % 2, &format!("/slice/{array}{more}format=raw")).await;
        assert_eq!(response.status, 200, "{array}: {}", response.text());
        found.push(response.body);
    }
    found
}

#[tokio::test]
async fn arrays_have_the_same_bytes_in_every_place() {
    let frames = FrameServer::start().await;
    let mut job = Job { storage: Storage::Auto, reduce: vec![Reduction::Mean, Reduction::Std], ..job(&frames) };
    job.recenter = Some(Recenter { crop: [50, 60], method: Method::Centroid, threshold: None });
    job.keep = Some(vec![Kept::Recentered, Kept::Rechunked, Kept::Spectrum]);
    let arrays = ["recentered", "rechunked", "power", "power_mean_frame", "power_std_trace"];
    let expected = results(&job, Placement::Memory, &arrays).await;
    for placement in [Placement::TilesOnDisk, Placement::Disk] {
        assert!(results(&job, placement, &arrays).await == expected, "{placement} differs from memory");
    }
}

#[tokio::test]
async fn every_selection_of_frames_has_the_same_bytes_from_disk() {
    let frames = FrameServer::start().await;
    // Each server has more bytes of raw frames than one part of a read.
    let mut job = Job { storage: Storage::Auto, frames: 800, slab_frames: 40, ..job(&frames) };
    job.recenter = Some(Recenter { crop: [50, 60], method: Method::Centroid, threshold: None });
    job.keep = Some(vec![Kept::Raw, Kept::Recentered]);
    let arrays = [
        "raw",
        "raw?sel=::-7,5:100:3,7:90",
        "raw?sel=399:402",
        "raw?sel=:,11,13",
        "recentered?sel=:,20:21",
        "recentered?sel=3:790:11,::2,::5",
        "recentered?sel=:,49,59",
    ];
    let expected = results(&job, Placement::Memory, &arrays).await;
    assert!(expected[0].len() > 2 * store::READ_BYTES, "{}", expected[0].len());
    assert!(results(&job, Placement::Disk, &arrays).await == expected);
}

#[tokio::test]
async fn a_spectrum_that_nothing_keeps_takes_no_space_and_has_the_same_sums() {
    let frames = FrameServer::start().await;
    let mut job = Job { storage: Storage::Auto, reduce: vec![Reduction::Mean, Reduction::Max], ..job(&frames) };
    job.keep = Some(vec![Kept::Raw, Kept::Spectrum]);
    let arrays = ["raw", "power_mean_frame", "power_max_trace"];
    let expected = results(&job, Placement::Memory, &arrays).await;
    job.keep = Some(vec![Kept::Raw]);
    let plan = Plan::considered(&job, 2, &BUDGET).next().unwrap();
    assert!(plan.memory.iter().all(|memory| memory.spectrum == 0 && memory.stack > 0), "{plan}");
    for placement in [Placement::Memory, Placement::TilesOnDisk] {
        assert!(results(&job, placement, &arrays).await == expected, "{placement} differs from a job that keeps the spectrum");
    }
}
