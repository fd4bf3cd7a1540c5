//! A job on two servers that authenticate each other by certificates, with a source that needs a secret.

use super::source::{FrameServer, SECRET, pixels};
use super::support::{Cluster, FRAME, FRAMES, HttpResponse, job};
use api::job::Storage;
use api::phase::{Phase, reason};
use api::plan::{Allowance, Budget, Plan};
use api::wire::{Assignment, BOOT_HEADER, GENERATION_HEADER, UID_HEADER, VERSION, VERSION_HEADER, route};

#[tokio::test]
async fn two_servers_compute_a_job_and_reveal_no_secret() {
    let (frames, cluster) = (FrameServer::start().await, Cluster::start(2, &[("X-Api-Key", SECRET), ("X-Other", "second-secret")]));
    let job = job(&frames);
    let mut texts: Vec<String> = cluster.assign(&job).await.iter().map(HttpResponse::text).collect();
    cluster.until_computed().await;
    let stack: Vec<Vec<u8>> = (0..FRAMES).map(|frame| pixels(100 + 2 * frame)).collect();
    let mut spectra = Vec::new();
    for server in 0..2 {
        let raw = cluster.read(server, "/slice/raw?format=raw").await;
        assert_eq!(raw.status, 200, "{}", raw.text());
        assert!(raw.body == stack.concat(), "server {server} returns other frames than the source");
        // More than a megabyte: both servers copy on a blocking thread.
        let power = cluster.read(server, "/slice/power?format=raw").await.body;
        assert_eq!(power.len(), FRAMES * FRAME.pixels() * 4);
        for (pixel, power) in power.chunks_exact(4).take(FRAME.pixels()).enumerate() {
            let sum: f32 = stack.iter().map(|frame| f32::from(frame[pixel])).sum();
            let power = f32::from_le_bytes(power.try_into().unwrap());
            assert!((power - sum * sum).abs() <= 1e-5 * sum * sum, "pixel {pixel}: {power}, not {}", sum * sum);
        }
        spectra.push(power);
        let turned = cluster.read(server, "/slice/raw?sel=::-3,1,::2&format=raw").await.body;
        let row = |frame: &Vec<u8>| frame[FRAME.width..2 * FRAME.width].iter().copied().step_by(2).collect::<Vec<_>>();
        assert_eq!(turned, stack.iter().rev().step_by(3).flat_map(row).collect::<Vec<_>>());
        texts.push(cluster.read(server, route::STATUS).await.text());
        texts.push(cluster.read(server, "/slice/nothing").await.text());
        texts.push(cluster.read(server, &format!("/api/v1/servers/{server}/tasks")).await.text());
        texts.push(serde_json::to_string(&cluster.progress(server).await).unwrap());
        texts.push(cluster.get(cluster.metrics_url(server, "/metrics")).await.text());
    }
    assert!(spectra[0] == spectra[1], "the response depends on the server");
    for text in texts {
        assert!(!text.contains(SECRET) && !text.contains("second-secret"), "a secret is revealed: {text}");
    }
}

#[tokio::test]
async fn an_error_of_the_source_is_reported_while_it_lasts() {
    let (frames, cluster) = (FrameServer::start().await, Cluster::start(1, &[("X-Api-Key", SECRET)]));
    frames.set_down(true);
    cluster.assign(&job(&frames)).await;
    let retrying = cluster.until(0, |progress| progress.last_error.is_some()).await;
    let error = retrying.last_error.unwrap();
    assert_eq!(error.reason, reason::SOURCE_UNAVAILABLE);
    assert!(error.message.contains("503 Service Unavailable") && error.message.contains("attempts"), "{}", error.message);
    assert_eq!(retrying.failure, None);
    frames.set_down(false);
    cluster.until_computed().await;
    assert_eq!(cluster.progress(0).await.last_error, None);
}

#[tokio::test]
async fn a_server_of_a_cluster_writes_no_file() {
    let (frames, cluster) = (FrameServer::start().await, Cluster::start(1, &[("X-Api-Key", SECRET)]));
    let job = job(&frames);
    cluster.assign(&job).await;
    cluster.until_computed().await;
    let boot = cluster.progress(0).await.boot;
    let write = |client: &reqwest::Client, url: String| {
        let request = client.post(format!("{url}{}?output=0&stage=whole", route::WRITE)).header(UID_HEADER, &job.uid);
        request.header(GENERATION_HEADER, job.generation).header(BOOT_HEADER, &boot.0)
    };
    assert_eq!(cluster.command(0, write).await.status, 200);
    let failure = cluster.until(0, |progress| progress.failure.is_some()).await.failure.unwrap();
    assert_eq!(failure.reason, reason::OUTPUT_WRITE_FAILED);
    assert!(failure.message.contains("servers on a cluster") && failure.message.contains(&job.outputs[0].url), "{}", failure.message);
    assert!(!job.outputs[0].path().exists());
}

#[tokio::test]
async fn an_unusable_assignment_is_refused_with_a_reason() {
    let (frames, cluster) = (FrameServer::start().await, Cluster::start(1, &[("no header", SECRET)]));
    let mut job = job(&frames);
    let (status, reason, error) = cluster.assign(&job).await[0].problem();
    assert_eq!((status, reason.as_deref()), (400, Some(reason::SOURCE_UNAVAILABLE)));
    assert!(error.contains("\"no header\" is not valid") && !error.contains(SECRET), "{error}");

    job.storage = Storage::Disk;
    let plan = Plan::new(&job, Some(1), &Budget { memory: Allowance::PerServer(2 << 30), cores: 2 }).unwrap();
    let assignment = Assignment { job, plan, peers: vec![None], goal: Phase::Fft };
    let (status, reason, error) = cluster.assign_one(0, &assignment).await.problem();
    assert_eq!((status, reason.as_deref()), (507, Some(reason::STORE_FAILED)));
    assert!(error.contains("no scratch folder"), "{error}");
}

#[tokio::test]
async fn a_refused_assignment_leaves_the_current_share() {
    let (frames, cluster) = (FrameServer::start().await, Cluster::start(1, &[("X-Api-Key", SECRET)]));
    let mut job = job(&frames);
    cluster.assign(&job).await;
    cluster.until_computed().await;
    (job.generation, job.storage) = (2, Storage::Disk);
    let plan = Plan::new(&job, Some(1), &Budget { memory: Allowance::PerServer(2 << 30), cores: 2 }).unwrap();
    let assignment = Assignment { job, plan, peers: vec![None], goal: Phase::Fft };
    assert_eq!(cluster.assign_one(0, &assignment).await.status, 507);
    assert_eq!(cluster.read(0, "/slice/raw?format=raw").await.status, 200, "the arrays of generation 1 are still available");
}

#[tokio::test]
async fn the_protocol_version_is_checked_before_the_body_is_parsed() {
    let cluster = Cluster::start(1, &[]);
    let put = |version: u32| {
        move |client: &reqwest::Client, url: String| {
            let request = client.put(format!("{url}{}?server=0", route::ASSIGNMENT)).header(VERSION_HEADER, version);
            request.header("content-type", "application/json").body(r#"{"of another version": true}"#)
        }
    };
    let (status, _, error) = cluster.command(0, put(VERSION + 1)).await.problem();
    assert!(status == 409 && error.contains("protocol version"), "{status} {error}");
    let (status, reason, error) = cluster.command(0, put(VERSION)).await.problem();
    assert_eq!((status, reason.as_deref()), (400, Some(reason::INTERNAL_ERROR)), "{error}");
}

/// The value of a field is replaced: sizes, counts and memory that do not fit each other.
#[tokio::test]
async fn a_corrupted_assignment_is_refused_and_the_server_serves_the_next_one() {
    let (frames, cluster) = (FrameServer::start().await, Cluster::start(1, &[("X-Api-Key", SECRET)]));
    let job = job(&frames);
    let plan = Plan::new(&job, Some(1), &Budget { memory: Allowance::PerServer(2 << 30), cores: 2 }).unwrap();
    let valid = serde_json::to_value(Assignment { job: job.clone(), plan, peers: cluster.table(), goal: Phase::Fft }).unwrap();
    let fields = [
        "/job/frames",
        "/job/frame/height",
        "/job/frame/width",
        "/job/slab_frames",
        "/job/concurrency",
        "/job/source/Images/depth",
        "/job/source/Images/step",
        "/plan/servers",
        "/plan/frames",
        "/plan/slab_frames",
        "/plan/band_pixels",
        "/plan/bins",
        "/plan/window",
        "/plan/threads",
        "/plan/chunks/0",
        "/plan/chunks/2",
        "/plan/pace/group",
        "/plan/pace/groups",
        "/plan/pace/requests",
        "/plan/memory/0/stack",
        "/plan/frame/width",
        "/plan/stack/height",
    ];
    for field in fields {
        for value in [0, 1_000_000_000, u64::MAX] {
            let mut changed = valid.clone();
            *changed.pointer_mut(field).unwrap() = value.into();
            // A large number of memory or of a step is harmless.
            let harmless = value < u64::MAX && ["/plan/memory/0/stack", "/job/source/Images/step"].contains(&field);
            if harmless {
                continue;
            }
            let response = cluster.assign_json(0, &changed).await;
            let (status, _, error) = response.problem();
            assert_eq!(status, 400, "{field} = {value}: {error}");
        }
    }
    // Consistent, but too large for any machine of the tests: 10^8 frames of 2 GiB.
    let mut huge = valid.clone();
    for (field, value) in
        [("/job/frames", 100_000_000_u64), ("/plan/frames", 100_000_000), ("/plan/bins", 50_000_001), ("/job/frame/width", 20_000_000)]
    {
        *huge.pointer_mut(field).unwrap() = value.into();
    }
    for field in ["/plan/frame/width", "/plan/stack/width"] {
        *huge.pointer_mut(field).unwrap() = 20_000_000.into();
    }
    let (status, _, error) = cluster.assign_json(0, &huge).await.problem();
    assert!(status == 400 && error.contains("this machine or its control group has"), "{status} {error}");
    assert_eq!(cluster.assign(&job).await[0].status, 200);
    cluster.until_computed().await;
}
