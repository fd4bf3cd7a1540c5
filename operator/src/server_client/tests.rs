use super::*;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

/// A server that does not respond to its first `silent` requests. Returns its address and the number of requests.
async fn server(silent: usize) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let requests = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&requests);
    tokio::spawn(async move {
        let mut kept: Vec<TcpStream> = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).await;
            if counter.fetch_add(1, Ordering::Relaxed) >= silent {
                let body = serde_json::to_string(&Progress::idle(BootId("b".into()))).unwrap();
                let response = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
                stream.write_all(response.as_bytes()).await.unwrap();
            }
            kept.push(stream);
        }
    });
    (address, requests)
}

#[tokio::test(start_paused = true)]
async fn a_second_request_follows_a_timeout() {
    let (address, requests) = server(1).await;
    let client = client();
    assert_eq!(client.progress_now(&address).await.unwrap().boot, BootId("b".into()));
    assert_eq!(requests.load(Ordering::Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_responds_to_neither_request_is_found_within_10_seconds() {
    let (address, requests) = server(usize::MAX).await;
    let client = client();
    let started = Instant::now();
    assert!(client.progress_now(&address).await.unwrap_err().is_timeout());
    // The loop takes a turn at least once in a second.
    assert!(started.elapsed() < Duration::from_secs(9), "{:?}", started.elapsed());
    assert_eq!(requests.load(Ordering::Relaxed), 2);
}

fn client() -> ServerClient {
    transport::crypto::install_crypto();
    ServerClient::new("key".into()).unwrap()
}

/// How long a command to a silent server and the next look at this server take together.
async fn time_to_notice<T>(command: impl AsyncFn(ServerClient, String) -> Result<T, Error>) -> Duration {
    let (address, _) = server(usize::MAX).await;
    let client = client();
    let started = Instant::now();
    let error = command(client.clone(), address.clone()).await.err().unwrap();
    assert!(error.is_timeout(), "{error}");
    assert!(client.progress_now(&address).await.unwrap_err().is_timeout());
    started.elapsed()
}

#[tokio::test(start_paused = true)]
async fn a_server_that_hangs_at_a_command_is_found_within_10_seconds() {
    let progress = Progress::idle(BootId("b".into()));
    let digests_and_write = time_to_notice(async |client, address| {
        client.digests(&address, &progress, DigestsOf::AllFrames).await.unwrap_err();
        client.write(&address, &progress, Writing { output: 0, stage: api::phase::Stage::Part }).await
    });
    assert!(digests_and_write.await < Duration::from_secs(10));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_hangs_during_a_wait_is_found_within_10_seconds() {
    let wait = time_to_notice(async |client, address| client.progress_after(&address, 0, Duration::from_secs(1)).await);
    assert!(wait.await < Duration::from_secs(10));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_responds_again_after_a_timeout_is_not_late() {
    let (address, requests) = server(1).await;
    let client = client();
    let progress = Progress::idle(BootId("b".into()));
    client.digests(&address, &progress, DigestsOf::AllFrames).await.unwrap_err();
    assert!(client.is_late(&address));
    client.progress_now(&address).await.unwrap();
    assert!(!client.is_late(&address));
    assert_eq!(requests.load(Ordering::Relaxed), 2);
}
