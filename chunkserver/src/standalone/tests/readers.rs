//! Permissions of readers and monitoring, and the metrics.

use super::source::{FrameServer, SECRET, pixels};
use super::support::{Cluster, FRAME, FRAMES, HttpResponse, TOKEN, builder, job};
use api::wire::route;

#[tokio::test]
async fn each_port_has_its_own_routes() {
    let cluster = Cluster::start(1, &[]);
    let commands = [
        route::PROGRESS,
        route::ASSIGNMENT,
        route::WRITE,
        route::PROBE,
        route::BLOCK,
        route::PART,
        route::SUMS,
        route::TASKS,
        route::PREVIEW,
        route::TRACES,
    ];
    for path in commands {
        assert_eq!(cluster.read(0, path).await.status, 404, "{path} is available to readers");
        assert_eq!(cluster.get(cluster.metrics_url(0, path)).await.status, 404, "{path} is available to monitoring");
    }
    let reading = ["/slice/raw", "/api/v1/peek/0", route::STATUS];
    for path in reading {
        // 503: the server has no job yet.
        assert_eq!(cluster.read(0, path).await.status, 503, "{path}");
        assert_eq!(cluster.command(0, |client, url| client.get(url + path)).await.status, 404, "{path} is available to peers");
        assert_eq!(cluster.get(cluster.metrics_url(0, path)).await.status, 404, "{path} is available to monitoring");
    }
    for path in ["/livez", "/readyz"] {
        assert_eq!(cluster.get(cluster.metrics_url(0, path)).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn readers_need_the_token() {
    let cluster = Cluster::start(1, &[]);
    for path in [route::STATUS, "/slice/raw", "/api/v1/peek/0", route::PROGRESS, "/"] {
        let url = cluster.reader_url(0, path);
        assert_eq!(cluster.get(url.clone()).await.status, 401, "{path}");
        assert_eq!(cluster.get(format!("{url}?token=wrong")).await.status, 401, "{path}");
        assert_eq!(cluster.get(format!("{url}?token=")).await.status, 401, "{path}");
    }
    let url = cluster.reader_url(0, route::STATUS);
    assert_eq!(cluster.get(format!("{url}?token={TOKEN}")).await.status, 503);
    let client = builder().build().unwrap();
    assert_eq!(HttpResponse::to(client.get(&url).header("cookie", format!("a=b; token={TOKEN}"))).await.unwrap().status, 401);
    assert_eq!(HttpResponse::to(client.get(&url).bearer_auth(TOKEN)).await.unwrap().status, 503);
}

#[tokio::test]
async fn a_peek_returns_a_frame_of_the_source() {
    let (frames, cluster) = (FrameServer::start().await, Cluster::start(1, &[("X-Api-Key", SECRET)]));
    cluster.assign(&job(&frames)).await;
    cluster.until_computed().await;
    let before = frames.served();
    let npy = cluster.read(0, "/api/v1/peek/5?format=npy").await;
    assert_eq!(npy.status, 200, "{}", npy.text());
    assert!(npy.body.starts_with(b"\x93NUMPY") && npy.body.ends_with(&pixels(110)));
    let png = cluster.read(0, "/api/v1/peek/6").await;
    let mut decoder = formats::decode::Decoder::new();
    let mut seen = vec![0; FRAME.bytes()];
    decoder.decode(&png.body, FRAME, api::job::Color::Refuse, &mut seen).unwrap();
    assert_eq!(seen, pixels(112));
    assert_eq!(frames.served(), before + 2, "a peek is one request to the source");

    let (status, _, error) = cluster.read(0, &format!("/api/v1/peek/{FRAMES}")).await.problem();
    assert_eq!((status, error.as_str()), (404, "frame 23 is out of bounds: the job has frames 0 to 22"));
    assert_eq!(cluster.read(0, "/api/v1/peek/0?format=gif").await.status, 400);
    assert_eq!(cluster.get(cluster.reader_url(0, "/api/v1/peek/0")).await.status, 401);
}

/// `name{labels} value` of every line that is not a comment.
fn samples(text: &str) -> Vec<(String, f64)> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.rsplit_once(' ').map(|(name, value)| (name.to_owned(), value.parse().unwrap())).unwrap()).collect()
}

#[tokio::test]
async fn metrics_can_be_parsed() {
    let (frames, cluster) = (FrameServer::start().await, Cluster::start(1, &[("X-Api-Key", SECRET)]));
    let idle = cluster.get(cluster.metrics_url(0, "/metrics")).await.text();
    assert!(!idle.contains("phase=") && idle.ends_with('\n'));
    cluster.assign(&job(&frames)).await;
    cluster.until_computed().await;
    let text = cluster.get(cluster.metrics_url(0, "/metrics")).await.text();
    let samples = samples(&text);
    let value = |name: &str| samples.iter().find(|(known, _)| known == name).unwrap_or_else(|| panic!("no {name} in\n{text}")).1;
    assert_eq!(value("arrayjob_server_phase_done{phase=\"Load\"}"), FRAMES as f64);
    assert_eq!(value("arrayjob_server_phase_total{phase=\"Load\"}"), FRAMES as f64);
    assert!(value("arrayjob_server_phase_bytes_total{phase=\"Load\"}") > 0.0);
    assert_eq!(value("arrayjob_server_phase_retries_total{phase=\"Load\"}"), 0.0);
    assert!(value("arrayjob_server_phase_done{phase=\"Fft\"}") > 0.0);
    assert!(value("arrayjob_server_peak_resident_bytes") >= value("arrayjob_server_resident_bytes"));
    assert!(value("arrayjob_server_resident_bytes") > 1e6);
    assert_eq!(value(&format!("arrayjob_server_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"))), 1.0);
    for (name, _) in &samples {
        let family = name.split('{').next().unwrap();
        assert!(text.contains(&format!("# TYPE {family} ")) && text.contains(&format!("# HELP {family} ")), "{family}");
        assert_eq!(text.matches(&format!("# TYPE {family} ")).count(), 1);
    }
}
