//! The source with servers that fail in many ways.

pub(in crate::source) mod handler;
mod hostile;
mod server;

use super::{Cause, Error, Options, Reason, Source};
use crate::objects::redacted;
use server::Reply::{Bytes, Close, Stall};
use server::{Server, ok, status};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

fn options() -> Options {
    Options { backoff: Duration::from_millis(1), attempts: 3, max_bytes: 100, allow_local_files: true, ..Options::default() }
}

async fn fetch(options: Options, url: &str) -> Result<(Vec<u8>, u32), Error> {
    let mut body = Vec::new();
    let fetched = Source::new(options).unwrap().fetch(url, &mut body).await?;
    Ok((body, fetched.retries))
}

#[track_caller]
fn reason(result: Result<(Vec<u8>, u32), Error>) -> (Reason, u32) {
    match result.unwrap_err() {
        Error::Fetch { reason, tried, .. } => (reason, tried.attempts),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn one_connection_serves_many_frames_into_one_buffer() {
    let server = Server::start([ok("first frame"), ok("second"), status("404 Not Found", ""), ok("")]).await;
    let source = Source::new(options()).unwrap();
    let mut body = Vec::with_capacity(64);
    let memory = body.as_ptr();
    for expected in ["first frame", "second"] {
        assert_eq!(source.fetch(&server.url(), &mut body).await.unwrap().retries, 0);
        assert_eq!(body, expected.as_bytes());
    }
    assert!(source.fetch(&server.url(), &mut body).await.is_err());
    source.clone().fetch(&server.url(), &mut body).await.unwrap();
    assert!(body.is_empty());
    assert_eq!(body.as_ptr(), memory);
    assert_eq!(server.seen.lock().unwrap().connections, 1);
}

#[tokio::test]
async fn temporary_failures_are_retried() {
    let cases = [
        status("503 Service Unavailable", "Retry-After: 0\r\n"),
        status("503 Service Unavailable", "Retry-After: Sun, 06 Nov 1994 08:49:37 GMT\r\n"),
        status("429 Too Many Requests", ""),
        status("408 Request Timeout", ""),
        status("500 Internal Server Error", ""),
        Close("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf".into()),
        Close("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n".into()),
        Close(String::new()),
        Close("SSH-2.0-OpenSSH_9.6\r\n".into()),
    ];
    for case in cases {
        let server = Server::start([case, ok("whole")]).await;
        assert_eq!(fetch(options(), &server.url()).await.unwrap(), (b"whole".to_vec(), 1));
    }
}

#[tokio::test]
async fn permanent_failures_are_not_retried() {
    for (line, hint) in [
        ("404 Not Found", "check the URL template"),
        ("410 Gone", "check the URL template"),
        ("401 Unauthorized", "check source.secretRef"),
        ("403 Forbidden", "check source.secretRef"),
        ("304 Not Modified", "304"),
        ("204 No Content", "204"),
    ] {
        let server = Server::start([Bytes(format!("HTTP/1.1 {line}\r\nContent-Length: 0\r\n\r\n")), ok("never requested")]).await;
        let error = fetch(options(), &server.url()).await.unwrap_err();
        assert!(error.is_final());
        let text = error.to_string();
        assert!(text.starts_with(&format!("cannot fetch http://{}/0.png?…: the server responded with {line}", server.address)), "{text}");
        assert!(text.contains(hint) && !text.contains("secret=") && !text.contains("key"), "{text}");
        assert_eq!(server.requests().len(), 1);
    }
}

#[tokio::test]
async fn the_last_error_states_the_number_of_attempts() {
    let server = Server::start((0..3).map(|_| status("502 Bad Gateway", ""))).await;
    let error = fetch(options(), &server.url()).await.unwrap_err();
    assert!(!error.is_final());
    assert!(error.to_string().contains("the server responded with 502 Bad Gateway (3 attempts in "), "{error}");
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn a_silent_server_ends_with_the_progress_timeout() {
    let short = Duration::from_millis(50);
    let options = Options { progress_timeout: short, attempts: 2, ..options() };
    for stalled in ["", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"] {
        let server = Server::start([Stall(stalled), Stall(stalled)]).await;
        assert_eq!(reason(fetch(options.clone(), &server.url()).await), (Reason::Silent { timeout: short / 2 }, 2));
        let server = Server::start([Stall(stalled), ok("whole")]).await;
        assert_eq!(fetch(options.clone(), &server.url()).await.unwrap(), (b"whole".to_vec(), 1));
    }
}

#[tokio::test]
async fn a_large_body_is_refused_by_its_length_and_while_it_is_read() {
    let chunk = format!("40\r\n{}\r\n", "x".repeat(64));
    let endless = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{}", chunk.repeat(10));
    for reply in [ok(&"x".repeat(101)), Bytes(endless)] {
        let server = Server::start([reply]).await;
        let mut body = Vec::new();
        let error = Source::new(options()).unwrap().fetch(&server.url(), &mut body).await.unwrap_err();
        assert!(error.is_final() && error.to_string().contains("larger than 100 B"), "{error}");
        assert!(body.len() <= 100);
    }
    let server = Server::start([ok(&"x".repeat(100))]).await;
    assert_eq!(fetch(options(), &server.url()).await.unwrap().0.len(), 100);
}

#[tokio::test]
async fn a_refused_connection_names_the_server() {
    let unused = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = unused.local_addr().unwrap();
    drop(unused);
    let error = fetch(options(), &format!("http://user:password@{address}/x?key=secret")).await.unwrap_err();
    let expected = format!("cannot fetch http://{address}/x?…: cannot connect to {address}: connection refused; is the server running");
    assert!(error.to_string().starts_with(&expected), "{error}");
    let mut cause: Option<&dyn std::error::Error> = Some(&error);
    while let Some(link) = cause {
        assert!(!link.to_string().contains("secret") && !link.to_string().contains("password"), "{link}");
        cause = link.source();
    }
    // No resolver resolves names under .invalid (RFC 2606).
    let unknown = reason(fetch(options(), "http://stack.invalid/").await);
    assert_eq!(unknown, (Reason::Connect { address: "stack.invalid:80".into(), cause: Cause::UnknownHost }, 3));
}

#[tokio::test]
async fn a_source_that_has_responded_may_be_away_for_longer_than_all_attempts() {
    let server = Server::start([ok("before")]).await;
    let (url, address) = (server.url(), server.address);
    let source = Source::new(options()).unwrap();
    let mut body = Vec::new();
    source.fetch(&url, &mut body).await.unwrap();
    drop(server);
    let restarted = async {
        // The options have three attempts.
        while !source.last_error().is_some_and(|error| error.contains("(4 attempts")) {
            tokio::task::yield_now().await;
        }
        Server::at(address, [ok("after")]).await
    };
    let mut body = Vec::new();
    let (fetched, _server) = tokio::join!(source.fetch(&url, &mut body), restarted);
    assert!(fetched.unwrap().retries >= 4);
    assert_eq!(body, b"after");
}

#[tokio::test]
async fn a_source_that_stays_away_fails_after_its_time() {
    let server = Server::start([ok("before")]).await;
    let url = server.url();
    let restart_time = Duration::from_millis(50);
    let source = Source::new(Options { restart_time, ..options() }).unwrap();
    source.fetch(&url, &mut Vec::new()).await.unwrap();
    drop(server);
    let Error::Fetch { reason, tried, .. } = source.fetch(&url, &mut Vec::new()).await.unwrap_err() else { panic!() };
    assert!(matches!(reason, Reason::Connect { cause: Cause::Refused, .. }) && tried.elapsed >= restart_time, "{reason} {tried}");
}

#[tokio::test]
async fn https_to_a_plain_server_is_a_tls_error() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    let mut server = JoinSet::new();
    server.spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        // Reads until the client closes: closing with unread bytes would reset the connection before the client has read the response.
        while stream.read_u8().await.is_ok() {}
    });
    let once = Options { attempts: 1, ..options() };
    assert!(matches!(reason(fetch(once, &url).await).0, Reason::Connect { cause: Cause::Tls, .. }));
}

#[tokio::test]
async fn secret_headers_are_sent_and_never_shown() {
    let server = Server::start([ok("frame")]).await;
    let headers = vec![("X-Api-Key".into(), "hidden\n".into()), ("Authorization".into(), "Bearer hidden".into())];
    let options = Options { headers, ..options() };
    assert!(!format!("{options:?}{:?}", Source::new(options.clone()).unwrap()).contains("hidden"));
    fetch(options, &server.url()).await.unwrap();
    let head = server.requests().concat();
    assert!(head.contains("x-api-key: hidden\r\n") && head.contains("authorization: Bearer hidden\r\n"), "{head}");
    let bad = Options { headers: vec![("X-Key".into(), "hid\nden".into())], ..Options::default() };
    let error = Source::new(bad).unwrap_err();
    assert!(error.is_final() && !format!("{error} {error:?}").contains("hid\nden"));
}

#[tokio::test]
async fn redirects_with_secrets_to_other_servers_are_not_followed() {
    let to = |url: &str| Bytes(format!("HTTP/1.1 302 Found\r\nLocation: {url}\r\nContent-Length: 0\r\n\r\n"));
    let server = Server::start([to("/there"), ok("frame")]).await;
    assert_eq!(fetch(options(), &server.url()).await.unwrap().0, b"frame");
    assert!(!server.requests().concat().contains("referer"));

    let server = Server::start((0..9).map(|_| to("/again"))).await;
    assert_eq!(reason(fetch(options(), &server.url()).await), (Reason::Redirect, 1));
    assert_eq!(server.requests().len(), 6);

    let keyed = Options { headers: vec![("X-Api-Key".into(), "hidden".into())], ..options() };
    for (options, allowed) in [(options(), true), (keyed, false)] {
        let other = Server::start([ok("frame")]).await;
        let server = Server::start([to(&other.url())]).await;
        assert_eq!(fetch(options, &server.url()).await.is_ok(), allowed);
        assert_eq!(other.requests().len(), usize::from(allowed));
    }
}

#[tokio::test]
async fn local_files_are_read_where_permitted() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("frame 0.raw");
    std::fs::write(&path, [7; 100]).unwrap();
    let url = url::Url::from_file_path(&path).unwrap().to_string();
    assert!(url.ends_with("frame%200.raw"));
    assert_eq!(fetch(options(), &url).await.unwrap(), (vec![7; 100], 0));

    let source = Source::new(options()).unwrap();
    let mut body = Vec::with_capacity(200);
    let memory = body.as_ptr();
    source.fetch(&url, &mut body).await.unwrap();
    assert_eq!((body.len(), body.as_ptr()), (100, memory));

    let forbidden = Options { allow_local_files: false, ..options() };
    assert_eq!(reason(fetch(forbidden, &url).await).0, Reason::LocalFile);
    let small = Options { max_bytes: 99, ..options() };
    assert_eq!(reason(fetch(small, &url).await).0, Reason::TooLarge { limit: 99 });
    let missing = fetch(options(), &url.replace("%200", "1")).await.unwrap_err();
    assert!(missing.to_string().contains("the file does not exist") && missing.is_final(), "{missing}");
    let folder = url::Url::from_file_path(directory.path()).unwrap().to_string();
    assert!(matches!(reason(fetch(options(), &folder).await).0, Reason::File { .. }));
}

#[tokio::test]
async fn urls_with_unsupported_schemes_are_refused() {
    assert_eq!(reason(fetch(options(), "data/0.png").await), (Reason::BadUrl, 1));
    assert_eq!(reason(fetch(options(), "s3://bucket/0.png").await), (Reason::Scheme { scheme: "s3".into() }, 1));
    assert_eq!(redacted("http://u:p@host/a?b#c"), "http://host/a?…");
    assert_eq!(redacted("not a url?key"), "not a url");
}

#[tokio::test]
async fn the_last_error_is_kept_until_a_fetch_succeeds() {
    let server =
        Server::start([status("503 Service Unavailable", ""), status("503 Service Unavailable", ""), ok("whole"), ok("again")]).await;
    let source = Source::new(Options { backoff: Duration::from_secs(1), ..options() }).unwrap();
    let (fetching, url) = (source.clone(), server.url());
    let fetch = tokio::spawn(async move { fetching.fetch(&url, &mut Vec::new()).await });
    while source.last_error().is_none() {
        assert!(!fetch.is_finished());
        // One failure is not reported.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(server.requests().len(), 2);
    let error = source.last_error().unwrap();
    assert!(error.contains("503 Service Unavailable (2 attempts in") && !error.contains("secret"), "{error}");
    // Another fetch succeeds while the first fetch still waits.
    source.fetch(&server.url(), &mut Vec::new()).await.unwrap();
    assert_eq!(source.last_error(), None);
    fetch.await.unwrap().unwrap();
}
