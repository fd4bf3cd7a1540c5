//! Readers of arrays that are larger than the memory for readers, which is 64 MiB.

use super::support::{Cluster, HttpResponse, TOKEN, job_of_raw_frames};
use api::geometry::{Dtype, FrameSpec};
use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const LARGE: FrameSpec = FrameSpec { height: 1000, width: 1000, dtype: Dtype::Float32 };
const LARGE_FRAMES: usize = 20;
/// The first float32 of frame `index`; the pixel with index `i` of the flattened frame adds `i % 4096`.
fn first(index: usize) -> f32 {
    (index * 10_000_000) as f32
}

fn frame(index: usize) -> Vec<u8> {
    let pattern: Vec<u8> = (0..4096).flat_map(|pixel| (first(index) + pixel as f32).to_le_bytes()).collect();
    let mut frame = pattern.repeat(LARGE.bytes().div_ceil(pattern.len()));
    frame.truncate(LARGE.bytes());
    frame
}

/// A server with 80 MB of raw frames and the smallest memory for readers.
async fn large() -> Cluster {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/{{index}}", listener.local_addr().unwrap());
    let router = Router::new().route("/{index}", get(|Path(index): Path<usize>| async move { frame(index) }));
    tokio::spawn(transport::listen::serve(listener, router, std::future::pending()));
    let cluster = Cluster::start(1, &[]);
    let responses = cluster.assign_exactly(&job_of_raw_frames(url, LARGE, LARGE_FRAMES)).await;
    assert!(responses.iter().all(|response| response.status == 200), "{responses:?}");
    cluster.until_computed().await;
    assert_eq!(cluster.workers[0].share().unwrap().memory_budget.bytes(), 64 << 20);
    cluster
}

#[tokio::test]
async fn a_selection_beyond_the_memory_for_readers_is_sent_in_blocks_or_refused() {
    let cluster = large().await;
    let all = cluster.read(0, "/slice/raw?format=raw").await;
    assert_eq!((all.status, all.body.len()), (200, LARGE_FRAMES * LARGE.bytes()));
    for index in 0..LARGE_FRAMES {
        assert!(all.body[index * LARGE.bytes()..][..LARGE.bytes()] == frame(index), "frame {index}");
    }
    assert_eq!(all.header("content-length"), all.body.len().to_string());
    let reversed = cluster.read(0, "/slice/raw?sel=::-1,:,::-1&format=npy").await;
    assert_eq!(reversed.status, 200, "{}", reversed.text());
    assert_eq!(reversed.body[reversed.body.len() - 4..], (first(0) + (999_000 % 4096) as f32).to_le_bytes());

    let (status, _, error) = cluster.read(0, "/slice/raw?format=tiff").await.problem();
    assert_eq!(status, 413, "{error}");
    let expected = "of this server's memory for readers, which is 64.0 MiB; a selection of shape [";
    assert!(error.starts_with("the read needs 232.") && error.contains(expected), "{error}");
    // The stated shape fits.
    let frames: usize = error.split_once("shape [").unwrap().1.split(',').next().unwrap().parse().unwrap();
    let fits = cluster.read(0, &format!("/slice/raw?sel=:{frames}&format=tiff")).await;
    assert_eq!(fits.status, 200, "{}", fits.text());
    assert_eq!(cluster.read(0, &format!("/slice/raw?sel=:{}&format=tiff", frames + 1)).await.status, 413);
    // Text of 12 MB takes little memory beyond the elements.
    let json: serde_json::Value = cluster.read(0, "/slice/raw?sel=3,:250&format=json").await.json();
    assert_eq!(json["data"][249][999], f64::from(first(3) + (249_999 % 4096) as f32));
}

/// Sends a request and reads only the status line.
async fn stalled(cluster: &Cluster, path: &str) -> TcpStream {
    let address = cluster.reader_url(0, "").replace("http://", "");
    let mut stream = TcpStream::connect(&address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {TOKEN}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut start = [0; 12];
    stream.read_exact(&mut start).await.unwrap();
    assert_eq!(&start, b"HTTP/1.1 200");
    stream
}

#[tokio::test]
async fn a_stalled_reader_is_aborted_and_the_next_reader_continues() {
    let cluster = large().await;
    // From here on, timers end as soon as nothing else happens.
    tokio::time::pause();
    // 32 MB, gathered with one copy: nearly all of the memory for readers.
    let path = "/slice/raw?sel=:8&format=raw";
    let mut first = stalled(&cluster, path).await;
    // A client whose timeout is longer than the timeout of the stalled reader.
    let next = reqwest::Client::new().get(cluster.reader_url(0, path)).bearer_auth(TOKEN);
    let next = HttpResponse::to(next).await.unwrap();
    assert_eq!((next.status, next.body.len()), (200, 8 * LARGE.bytes()));
    let mut rest = Vec::new();
    // The end of the connection, or its reset.
    let _ = first.read_to_end(&mut rest).await;
    assert!(rest.len() < 8 * LARGE.bytes(), "the response of the stalled reader is truncated");
}

/// RGBA pictures whose pixels do not compress are four times as large as their frames. The job has memory for as many bodies as frames.
#[tokio::test]
async fn frames_with_large_bodies_are_fetched_in_smaller_parts() {
    const SMALL: FrameSpec = FrameSpec { height: 100, width: 100, dtype: Dtype::Uint8 };
    let picture = |index: usize| {
        let mut state = index as u32;
        let pixels: Vec<u8> = (0..4 * SMALL.pixels())
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            })
            .collect();
        let mut png = Vec::new();
        let mut encoder = png::Encoder::new(&mut png, SMALL.width as u32, SMALL.height as u32);
        encoder.set_color(png::ColorType::Rgba);
        encoder.write_header().unwrap().write_image_data(&pixels).unwrap();
        png
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/{{index}}", listener.local_addr().unwrap());
    let router = Router::new().route("/{index}", get(move |Path(index): Path<usize>| async move { picture(index) }));
    tokio::spawn(transport::listen::serve(listener, router, std::future::pending()));
    let cluster = Cluster::start(1, &[]);
    let mut job = job_of_raw_frames(url, SMALL, 40);
    let api::job::Source::Images(images) = &mut job.source else { panic!() };
    images.color = api::job::Color::Luminance;
    cluster.assign_exactly(&job).await;
    cluster.until_computed().await;
    let all = cluster.read(0, "/slice/raw?format=raw").await.body;
    let mut decoder = formats::decode::Decoder::new();
    for index in 0..40 {
        let mut frame = vec![0; SMALL.bytes()];
        decoder.decode(&picture(index), SMALL, api::job::Color::Luminance, &mut frame).unwrap();
        assert!(all[index * SMALL.bytes()..][..SMALL.bytes()] == frame, "frame {index}");
    }
    assert_eq!(cluster.progress(0).await.phases[0].retries, 0, "a larger body is no failure of the source");
}
