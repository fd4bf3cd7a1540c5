//! Every documented path is routed, and a job reads another job through the DVID routes.

use super::source::{FrameServer, SECRET, pixels};
use super::support::{Cluster, FRAME, FRAMES, HttpResponse, TOKEN, builder, job, source_of};
use api::geometry::{Dtype, FrameSpec};
use api::job::{Color, Fft, FftOutput, Images, Job, Source};
use formats::decode::{Decoder, probe};
use serde_json::{Value, json};

/// Every documented path, with the examples of its parameters.
fn documented() -> Vec<String> {
    let document = crate::server::openapi();
    let paths = document["paths"].as_object().unwrap().iter().map(|(path, operations)| {
        let parameters = operations["get"]["parameters"].as_array().unwrap().iter().filter(|parameter| parameter["in"] == "path");
        parameters.fold(path.clone(), |path, parameter| {
            let value = parameter["example"].as_str().map_or_else(|| parameter["example"].to_string(), str::to_owned);
            path.replace(&format!("{{{}}}", parameter["name"].as_str().unwrap()), &value)
        })
    });
    paths.collect()
}

#[tokio::test]
async fn every_documented_path_is_routed() {
    let cluster = Cluster::start(1, &[]);
    let client = builder().build().unwrap();
    let paths = documented();
    assert!(paths.len() >= 7 && paths.contains(&"/api/node/cell/power/raw/xy/64_64/0_0_5/jpg:80".to_owned()), "{paths:?}");
    for path in paths {
        let url = cluster.reader_url(0, &path);
        let response = client.get(&url).bearer_auth(TOKEN).send().await.unwrap();
        // Without a job, only the page and the event stream respond with 200.
        let stream = response.headers()["content-type"] == "text/event-stream";
        let (page, free) = (path == "/", path == "/app.js" || path == "/app.css");
        assert_eq!(response.status(), if stream || page || free { 200 } else { 503 }, "{path}");
        assert_eq!(client.post(&url).bearer_auth(TOKEN).send().await.unwrap().status(), 405, "{path}");
        assert_eq!(client.get(&url).send().await.unwrap().status(), if free { 200 } else { 401 }, "{path}");
    }
    assert_eq!(cluster.read(0, "/api/v1/nothing").await.status, 404);
}

fn gray(image: &[u8], expected: FrameSpec) -> Vec<u8> {
    let mut pixels = vec![0; expected.bytes()];
    Decoder::new().decode(image, expected, Color::Refuse, &mut pixels).unwrap();
    pixels
}

#[tokio::test]
async fn a_job_reads_another_job_through_the_dvid_routes() {
    let (frames, first) = (FrameServer::start().await, Cluster::start(2, &[("X-Api-Key", SECRET)]));
    first.assign(&job(&frames)).await;
    first.until_computed().await;
    let stack: Vec<u8> = (0..FRAMES).flat_map(|frame| pixels(100 + 2 * frame)).collect();
    let url = |path: &str| first.reader_url(1, &format!("/api/node/movie/raw/raw/{path}?token={TOKEN}"));
    let planes = Images { start: 0, step: 1, ..source_of(url("xy/100_120/0_0_{index}")) };
    // The last response contains three frames instead of four.
    let volumes = Images { depth: 4, ..Images { url_template: url("0_1_2/100_120_{depth}/0_0_{index}"), ..planes.clone() } };
    for source in [planes, volumes] {
        let second = Cluster::start(1, &[]);
        second.assign(&Job { name: "again".into(), uid: "v".into(), source: Source::Images(source), ..job(&frames) }).await;
        second.until_computed().await;
        let again = second.read(0, "/slice/raw?format=raw").await.body;
        assert!(
            again == stack,
            "the frames of the second job differ from the first, at {:?}",
            again.iter().zip(&stack).position(|(a, b)| a != b)
        );
    }
}

#[tokio::test]
async fn planes_and_volumes_equal_those_of_dvid() {
    let (frames, cluster) = (FrameServer::start().await, Cluster::start(2, &[("X-Api-Key", SECRET)]));
    let complex = Fft { output: FftOutput::Complex, ..job(&frames).fft.unwrap() };
    cluster.assign(&Job { fft: Some(complex), ..job(&frames) }).await;
    cluster.until_computed().await;

    let png = cluster.read(0, "/api/node/movie/raw/raw/0_1/7_5/10_20_3").await;
    let seen = gray(&png.body, FrameSpec { height: 5, width: 7, dtype: Dtype::Uint8 });
    let frame = pixels(106);
    let expected: Vec<u8> = (20..25).flat_map(|y| frame[y * FRAME.width + 10..][..7].to_vec()).collect();
    assert_eq!(seen, expected);
    let jpeg = cluster.read(1, "/api/node/movie/raw/raw/xy/100_120/0_0_3/jpg:90").await;
    assert!(jpeg.body.starts_with(b"\xff\xd8\xff"), "{}", jpeg.text());
    assert_eq!(probe(&jpeg.body, Color::Refuse).unwrap(), FRAME);
    let same = cluster.read(1, "/slice/raw?sel=3&format=jpg:90").await;
    assert!(same.body == jpeg.body, "the JPEG of the slice differs");

    // Complex values are returned as magnitudes: in bin 0, the sum over time.
    let spectrum = cluster.read(0, "/api/node/movie/spectrum/raw/0_1_2/2_1_1/4_6_0").await;
    let sum = |pixel: usize| (0..FRAMES).map(|frame| f32::from(pixels(100 + 2 * frame)[pixel])).sum::<f32>();
    for (x, value) in spectrum.body.as_chunks().0.iter().enumerate() {
        let (value, sum) = (f32::from_le_bytes(*value), sum(6 * FRAME.width + 4 + x));
        assert!((value - sum).abs() <= 1e-4 * sum, "{value}, not {sum}");
    }
    assert_eq!(spectrum.body.len(), 8);
    assert_eq!(cluster.read(0, "/api/node/movie/spectrum/raw/xy/100_120/0_0_1").await.status, 200);

    let info: Value = cluster.read(1, "/api/node/movie/raw/info").await.json();
    assert_eq!(info["Extended"]["MaxPoint"], json!([99, 119, 22]));
    assert_eq!(info["Extended"]["Values"], json!([{"DataType": "uint8", "Label": "raw"}]));

    let refusal = async |path: &str| {
        let response: HttpResponse = cluster.read(0, &format!("/api/node/{path}")).await;
        let (status, _, error) = response.problem();
        (status, error)
    };
    let (status, error) = refusal("bf1/raw/raw/xy/2_2/0_0_0").await;
    assert_eq!((status, error.as_str()), (404, "the job 'bf1' is unknown; this server's job is 'movie'"));
    let (status, error) = refusal("movie/raw_mean_frame/info").await;
    assert!(status == 404 && error.contains("known arrays: raw, spectrum"), "{status} {error}");
    let (status, error) = refusal("movie/raw/raw/xy/100_120/1_0_0/png").await;
    assert!(status == 400 && error.starts_with("raw has x from 0 to 99, y from 0 to 119 and t from 0 to 22; 100_120 at 1_0_0"), "{error}");
}
