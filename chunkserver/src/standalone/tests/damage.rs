//! Damage of stored frames: a row with another checksum is not used, and the frames are loaded again.

use super::source::{FrameServer, SECRET, pixels};
use super::support::{Cluster, FRAME, FRAMES, job};
use api::arrays::Base;
use api::job::{Job, Kept, Method, Recenter, Storage};
use api::phase::{Phase, reason};
use api::plan::{Allowance, Budget, Plan};
use api::wire::Assignment;

/// Assigns the job to every server, up to the phase `goal`.
async fn assign(cluster: &Cluster, job: &Job, goal: Phase) {
    let budget = Budget { memory: Allowance::PerServer(2 << 30), cores: 2 };
    let peers = cluster.table();
    let plan = Plan::new(job, Some(peers.len()), &budget).unwrap();
    let assignment = Assignment { job: job.clone(), plan, peers, goal };
    for server in 0..cluster.servers.len() {
        assert_eq!(cluster.assign_one(server, &assignment).await.status, 200);
    }
}

/// Loads all frames, and damages frame 3 of server 0.
async fn load_and_damage(cluster: &Cluster, job: &Job) {
    assign(cluster, job, Phase::Load).await;
    for server in 0..cluster.servers.len() {
        cluster.until(server, |progress| !progress.phases.is_empty() && progress.complete_through(Phase::Load)).await;
    }
    let share = cluster.workers[0].share().unwrap();
    // The checksums of other pixels: the stored pixels look damaged.
    share.row_checksums.as_ref().unwrap().set(3, &pixels(0), &share.plan.partition);
}

#[tokio::test]
async fn a_damaged_frame_of_a_peer_is_loaded_again_and_not_used() {
    let (frames, cluster) = (FrameServer::start().await, Cluster::start(2, &[("X-Api-Key", SECRET)]));
    let job = job(&frames);
    load_and_damage(&cluster, &job).await;
    assign(&cluster, &job, Phase::Fft).await;
    cluster.until(0, |progress| progress.assignment.is_none()).await;
    assert!(cluster.progress(1).await.checksum_mismatches >= 1);
    let metrics = cluster.get(cluster.metrics_url(1, "/metrics")).await.text();
    assert!(
        metrics.lines().any(|line| line.starts_with("arrayjob_server_checksum_mismatches_total ") && !line.ends_with(" 0")),
        "{metrics}"
    );

    assign(&cluster, &job, Phase::Fft).await;
    cluster.until_computed().await;
    let stack: Vec<Vec<u8>> = (0..FRAMES).map(|frame| pixels(100 + 2 * frame)).collect();
    let power = cluster.read(1, "/slice/power?sel=0&format=raw").await.body;
    for (pixel, power) in power.chunks_exact(4).take(FRAME.pixels()).enumerate() {
        let sum: f32 = stack.iter().map(|frame| f32::from(frame[pixel])).sum();
        let power = f32::from_le_bytes(power.try_into().unwrap());
        assert!((power - sum * sum).abs() <= 1e-5 * sum * sum, "pixel {pixel}: {power}, not {}", sum * sum);
    }
}

#[tokio::test]
async fn a_scratch_disk_that_damages_frames_again_and_again_fails_the_job() {
    let (frames, cluster) = (FrameServer::start().await, Cluster::with_scratch(1, &[("X-Api-Key", SECRET)]));
    let job = Job { storage: Storage::Disk, ..job(&frames) };
    for _ in 0..3 {
        load_and_damage(&cluster, &job).await;
        assign(&cluster, &job, Phase::Fft).await;
        cluster.until(0, |progress| progress.assignment.is_none()).await;
    }
    load_and_damage(&cluster, &job).await;
    assign(&cluster, &job, Phase::Fft).await;
    let failure = cluster.until(0, |progress| progress.failure.is_some()).await.failure.unwrap();
    assert_eq!(failure.reason, reason::STORE_FAILED);
    assert!(failure.message.contains("frame 3 was damaged on the scratch disk"), "{}", failure.message);
}

/// Damages the first frame or band of `base` on server `owner`: its checksums become those of other elements.
fn damage(cluster: &Cluster, owner: usize, base: Base) {
    let share = cluster.workers[owner].share().unwrap();
    let stored = &share.stored_checksums;
    let tiles = stored.of_tiles(base).filter(|_| matches!(base, Base::Rechunked | Base::Spectrum));
    tiles.or_else(|| stored.of_frames(base)).unwrap().set(0, 0, &[0xa5; 4096], 16);
}

#[tokio::test]
async fn a_reader_does_not_get_elements_that_the_scratch_disk_damaged() {
    let (frames, cluster) = (FrameServer::start().await, Cluster::with_scratch(2, &[("X-Api-Key", SECRET)]));
    let mut job = Job { storage: Storage::Disk, ..job(&frames) };
    job.recenter = Some(Recenter { crop: [50, 60], method: Method::Centroid, threshold: None });
    job.keep = Some(vec![Kept::Raw, Kept::Recentered, Kept::Rechunked, Kept::Spectrum]);
    assign(&cluster, &job, Phase::Fft).await;
    cluster.until_computed().await;
    // Server 0 has an output to write. The other server waits until server 0 has computed its share again.
    for (count, (name, base)) in [("raw", Base::Raw), ("rechunked", Base::Rechunked), ("power", Base::Spectrum)].into_iter().enumerate() {
        let path = format!("/slice/{name}?sel=:&format=raw");
        let expected = cluster.read(0, &path).await;
        assert_eq!(expected.status, 200, "{}", expected.text());
        damage(&cluster, 0, base);
        let repair = async {
            cluster.until(0, |progress| progress.assignment.is_none()).await;
            assign(&cluster, &job, Phase::Fft).await;
            cluster.until_computed().await;
        };
        let (found, ()) = tokio::join!(cluster.read(1, &path), repair);
        for found in [found, cluster.read(0, &path).await] {
            assert_eq!(found.status, 200, "{name}: {}", found.text());
            assert!(found.body == expected.body && !found.body.is_empty(), "{name} has other elements");
        }
        assert_eq!(cluster.progress(0).await.checksum_mismatches, count as u64 + 1);
    }
    // Server 1 has nothing left to do. It keeps its share, and refuses the damaged frame.
    for (base, name) in [(Base::Recentered, "recentered"), (Base::Spectrum, "power")] {
        damage(&cluster, 1, base);
        let refused = cluster.read(1, &format!("/slice/{name}?sel=:&format=raw")).await;
        assert_eq!(refused.status, 500);
        assert!(refused.text().contains("was damaged on the scratch disk of this server after the job had ended"), "{}", refused.text());
        assert_eq!(cluster.read(1, &format!("/slice/{name}?sel=0,:2,:2&format=raw")).await.status, 200, "elements of {name} on server 0");
    }
    let progress = cluster.progress(1).await;
    assert!(progress.assignment.is_some() && progress.checksum_mismatches == 2, "{progress:?}");
}
