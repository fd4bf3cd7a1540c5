use super::*;
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::routing::get;
use std::net::SocketAddr;
use std::time::Instant;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const SMALL: Limits = Limits { total: 64, of_peer: 48, untrusted_of_peer: 32, untrusted: 40 };
/// Idle connections of the attack, about six times the limit.
const IDLE: usize = 200;

/// A server that trusts connections with any `Authorization`.
async fn start() -> (SocketAddr, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let status = async |request: Request| {
        if !request.headers().contains_key(header::AUTHORIZATION) {
            return StatusCode::UNAUTHORIZED;
        }
        request.extensions().get::<Connection>().unwrap().trust();
        StatusCode::OK
    };
    let mut server = JoinSet::new();
    server.spawn(serve_limited(listener, Router::new().route("/", get(status)), std::future::pending(), SMALL, Trust::Request));
    (address, server)
}

async fn request(stream: &mut TcpStream, authorization: &str) -> String {
    stream.write_all(format!("GET / HTTP/1.1\r\nHost: x\r\n{authorization}\r\n").as_bytes()).await.unwrap();
    let mut response = vec![0; 512];
    let length = stream.read(&mut response).await.unwrap();
    String::from_utf8_lossy(&response[..length]).into_owned()
}

const KEY: &str = "Authorization: Bearer k\r\n";

async fn idle(address: SocketAddr) -> Vec<TcpStream> {
    let mut streams = Vec::new();
    for _ in 0..IDLE {
        streams.push(TcpStream::connect(address).await.unwrap());
    }
    streams
}

#[tokio::test]
async fn idle_connections_do_not_delay_an_authenticated_request() {
    let (address, _server) = start().await;
    let mut kept = TcpStream::connect(address).await.unwrap();
    assert!(request(&mut kept, KEY).await.starts_with("HTTP/1.1 200"));
    let mut attack = idle(address).await;
    for _ in 0..3 {
        let started = Instant::now();
        let mut reader = TcpStream::connect(address).await.unwrap();
        assert!(request(&mut reader, KEY).await.starts_with("HTTP/1.1 200"));
        assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
        // The attacker opens its connections again.
        attack = idle(address).await;
        assert!(request(&mut reader, KEY).await.starts_with("HTTP/1.1 200"), "an authenticated connection is closed");
    }
    assert!(request(&mut kept, KEY).await.starts_with("HTTP/1.1 200"), "an authenticated connection is closed");
    drop(attack);
}

#[tokio::test]
async fn requests_without_a_key_do_not_keep_a_connection() {
    let (address, _server) = start().await;
    let mut refused = TcpStream::connect(address).await.unwrap();
    assert!(request(&mut refused, "").await.starts_with("HTTP/1.1 401"));
    let _attack = idle(address).await;
    let mut end = [0];
    let closed = tokio::time::timeout(Duration::from_secs(5), refused.read(&mut end)).await.unwrap();
    assert!(matches!(closed, Ok(0) | Err(_)), "{closed:?}");
}
