//! Servers that encode bodies, send wrong ranges, or send bodies slowly.

use super::handler::{Asked, HandlerServer, ranged, respond};
use super::server::{Reply, Server, status};
use super::{fetch, options, reason};
use crate::source::{BodyRange, Error, Fetched, Options, Reason, Source};
use axum::http::Method;
use std::io::Write as _;
use std::time::Duration;

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

async fn fetch_range(server: &HandlerServer, range: BodyRange) -> Result<(Vec<u8>, Fetched), Error> {
    let mut body = Vec::new();
    let source = Source::new(Options { max_bytes: 200, ..options() }).unwrap();
    let fetched = source.fetch_range(&server.url(), Some(range), &mut body).await?;
    Ok((body, fetched))
}

fn whole() -> Vec<u8> {
    (0..90).collect()
}

#[tokio::test]
async fn encoded_bodies_are_decoded_or_refused_by_name() {
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    zlib.write_all(&whole()).unwrap();
    let mut deflate = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
    deflate.write_all(&whole()).unwrap();
    let cases = [
        ("gzip", gzip(&whole())),
        ("X-GZIP", gzip(&whole())),
        ("deflate", zlib.finish().unwrap()),
        ("deflate", deflate.finish().unwrap()),
        ("gzip, gzip", gzip(&gzip(&whole()))),
        ("identity", whole()),
        #[cfg(feature = "zarr")]
        ("zstd", zstd::encode_all(&whole()[..], 1).unwrap()),
    ];
    for (name, body) in cases {
        let options = Options { max_bytes: 200, ..options() };
        let server = HandlerServer::start(move |_| respond(200, &[("content-encoding", name)], body.clone())).await;
        assert_eq!(fetch(options, &server.url()).await.unwrap().0, whole(), "{name}");
    }
    let server = HandlerServer::start(|_| respond(200, &[("content-encoding", "br")], "x")).await;
    assert_eq!(reason(fetch(options(), &server.url()).await), (Reason::Encoding { name: "br".into() }, 1));
    let server = HandlerServer::start(|_| respond(200, &[("content-encoding", "gzip")], "no gzip")).await;
    assert_eq!(reason(fetch(options(), &server.url()).await).0, Reason::Encoded { name: "gzip" });
}

#[tokio::test]
async fn an_encoded_body_does_not_decode_beyond_the_limit() {
    let bombs = [
        ("gzip", gzip(&vec![0; 50_000])),
        #[cfg(feature = "zarr")]
        ("zstd", zstd::encode_all(&vec![0; 50_000][..], 1).unwrap()),
    ];
    for (name, bomb) in bombs {
        assert!(bomb.len() < 100);
        let server = HandlerServer::start(move |_| respond(200, &[("content-encoding", name)], bomb.clone())).await;
        assert_eq!(reason(fetch(options(), &server.url()).await), (Reason::TooLarge { limit: 100 }, 1));
    }
}

#[tokio::test]
async fn a_range_of_an_encoded_body_is_cut_out_of_the_decoded_body() {
    // As S3 does, the server cuts ranges out of the encoded bytes.
    let encoded = gzip(&whole());
    let server = HandlerServer::start(move |asked| ranged(asked, &[("content-encoding", "gzip")], &encoded)).await;
    for (range, expected) in [(BodyRange::From(5, Some(7)), 5..12), (BodyRange::From(80, None), 80..90), (BodyRange::Last(4), 86..90)] {
        let (body, fetched) = fetch_range(&server, range).await.unwrap();
        assert_eq!(body, whole()[expected], "{range:?}");
        assert!(!fetched.exact, "{range:?}");
    }
    assert_eq!(server.ranges(), ["bytes=5-11", "", "bytes=80-", "", "bytes=-4", ""]);
}

#[tokio::test]
async fn a_response_with_other_bytes_than_the_range_is_refused() {
    for content_range in ["bytes 0-6/90", "bytes 5-11/8", "bytes 5-10/90", "octets 5-11/90", ""] {
        let headers = if content_range.is_empty() { vec![] } else { vec![("content-range", content_range)] };
        let server = HandlerServer::start(move |_| respond(206, &headers, whole()[5..12].to_vec())).await;
        let error = fetch_range(&server, BodyRange::From(5, Some(7))).await.unwrap_err();
        assert!(error.is_final() && error.to_string().contains("other bytes than the requested range"), "{content_range}: {error}");
    }
    // More bytes than Content-Range states.
    let server = HandlerServer::start(|_| respond(206, &[("content-range", "bytes 5-11/90")], whole())).await;
    assert!(fetch_range(&server, BodyRange::From(5, Some(7))).await.is_err());
}

#[tokio::test]
async fn the_last_bytes_come_from_servers_without_ranges_from_the_end() {
    let expected = whole()[86..].to_vec();
    let no_suffix = |status: u16, head: bool| {
        move |asked: &Asked| match asked.range.as_deref() {
            Some("bytes=-4") if status == 206 => respond(206, &[("content-range", "bytes 0-3/90")], whole()[..4].to_vec()),
            Some("bytes=-4") => respond(status, &[], ""),
            _ if asked.method == Method::HEAD && !head => respond(405, &[], ""),
            _ => ranged(asked, &[], &whole()),
        }
    };
    for (status, head, exact) in [(416, true, true), (501, true, true), (501, false, false), (206, true, true)] {
        let server = HandlerServer::start(no_suffix(status, head)).await;
        let (body, fetched) = fetch_range(&server, BodyRange::Last(4)).await.unwrap();
        assert_eq!((&body, fetched.exact), (&expected, exact), "{status} {head}");
    }
}

#[tokio::test]
async fn a_server_without_ranges_is_read_only_as_far_as_needed() {
    let server = HandlerServer::start(|_| respond(200, &[], vec![7; 1 << 20])).await;
    let (body, fetched) = fetch_range(&server, BodyRange::From(3, Some(20))).await.unwrap();
    assert_eq!((body, fetched.exact), (vec![7; 20], false), "the whole body is larger than the limit");
}

#[tokio::test]
async fn status_203_is_a_whole_body() {
    let server = HandlerServer::start(|_| respond(203, &[], "frame")).await;
    assert_eq!(fetch(options(), &server.url()).await.unwrap().0, b"frame");
}

#[tokio::test]
async fn a_slow_body_is_fetched_once_more_and_then_names_its_rate() {
    let drips = || Reply::Drip(Duration::from_millis(10));
    let server = Server::start([drips(), drips(), drips()]).await;
    let slow = Options { attempts: 6, rate_window: Duration::from_millis(200), ..options() };
    let error = fetch(slow.clone(), &server.url()).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains(" B/s, less than source.minBytesPerSecond (1024 B/s"), "{text}");
    assert!(text.contains("(2 attempts in"), "{text}");
    assert_eq!(server.requests().len(), 2);
    let server = Server::start([drips(), super::server::ok("frame")]).await;
    assert_eq!(fetch(slow.clone(), &server.url()).await.unwrap(), (b"frame".to_vec(), 1));
    let server = Server::start([drips()]).await;
    let off = Options { min_bytes_per_second: 0, max_bytes: 50, ..slow };
    assert_eq!(reason(fetch(off, &server.url()).await).0, Reason::TooLarge { limit: 50 }, "without a least rate, the body continues");
}

#[tokio::test]
async fn a_silent_source_is_tried_once_more() {
    let server = Server::start([Reply::Stall(""), Reply::Stall(""), Reply::Stall("")]).await;
    let silent = Options { attempts: 6, progress_timeout: Duration::from_millis(100), ..options() };
    let error = fetch(silent.clone(), &server.url()).await.unwrap_err().to_string();
    assert!(error.contains("(2 attempts in"), "{error}");
    assert_eq!(server.requests().len(), 2);
    let server = Server::start([Reply::Stall(""), super::server::ok("frame")]).await;
    assert_eq!(fetch(silent, &server.url()).await.unwrap(), (b"frame".to_vec(), 1));
}

#[test]
fn slow_silent_and_unreachable_sources_fail_within_a_minute() {
    let minute = Duration::from_secs(60);
    let Options { rate_window, progress_timeout, connect_timeout, restart_time, backoff, attempts, .. } = Options::default();
    assert!(rate_window + rate_window / 2 + backoff < minute);
    assert!(progress_timeout + progress_timeout / 2 + backoff < minute);
    let waits: Duration = (1..attempts).map(|attempt| backoff * 2u32.pow(attempt - 1)).sum();
    assert!(connect_timeout * attempts + waits < minute);
    let longest_wait = Duration::from_secs(10);
    assert!(restart_time + longest_wait + connect_timeout.max(progress_timeout / 2) < minute);
}

#[tokio::test]
async fn a_redirect_to_a_file_is_named() {
    let server = Server::start([status("302 Found", "Location: file:///etc/passwd\r\n")]).await;
    let error = fetch(options(), &server.url()).await.unwrap_err();
    assert!(error.is_final() && error.to_string().contains("redirects to a file: URL, which is not followed"), "{error}");
}

#[tokio::test]
async fn local_names_may_contain_escapes_backslashes_and_tabs() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().to_str().unwrap();
    for name in ["50%20power", "back\\slash", "a\ttab", "100%", "with space"] {
        std::fs::create_dir(directory.path().join(name)).unwrap();
        std::fs::write(directory.path().join(name).join("0.raw"), name).unwrap();
        let given = format!("file://{root}/{name}/0.raw");
        assert_eq!(fetch(options(), &given).await.unwrap().0, name.as_bytes(), "{given:?}");
        let escaped = url::Url::from_file_path(directory.path().join(name).join("0.raw")).unwrap();
        assert_eq!(fetch(options(), escaped.as_str()).await.unwrap().0, name.as_bytes(), "{escaped}");
    }
    // If both exist, the escape has its meaning.
    std::fs::create_dir(directory.path().join("50 power")).unwrap();
    std::fs::write(directory.path().join("50 power/0.raw"), "decoded").unwrap();
    assert_eq!(fetch(options(), &format!("file://{root}/50%20power/0.raw")).await.unwrap().0, b"decoded");
    let missing = fetch(options(), &format!("file://{root}/back\\slash/1.raw")).await.unwrap_err();
    assert!(missing.to_string().contains("back\\slash/1.raw"), "{missing}");
}
