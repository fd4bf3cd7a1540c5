//! A minimal server that sends the replies of a test.

use Reply::{Bytes, Close, Drip, Stall};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

pub(super) enum Reply {
    /// These bytes; the connection stays open.
    Bytes(String),
    /// These bytes, then the end of the connection.
    Close(String),
    /// These bytes, then silence.
    Stall(&'static str),
    /// A body of one byte after each pause.
    Drip(Duration),
}

pub(super) fn ok(body: &str) -> Reply {
    Bytes(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()))
}

pub(super) fn status(status: &str, headers: &str) -> Reply {
    Bytes(format!("HTTP/1.1 {status}\r\n{headers}Content-Length: 4\r\n\r\noops"))
}

/// Sends one reply for each request, over any number of connections, until dropped.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    pub(super) seen: Arc<Mutex<Seen>>,
    _tasks: JoinSet<()>,
}

#[derive(Default)]
pub(super) struct Seen {
    pub(super) connections: usize,
    requests: Vec<String>,
}

impl Server {
    pub(super) async fn start(replies: impl IntoIterator<Item = Reply>) -> Self {
        Self::at(([127, 0, 0, 1], 0).into(), replies).await
    }

    /// As [`start`](Self::start), at this address.
    pub(super) async fn at(address: SocketAddr, replies: impl IntoIterator<Item = Reply>) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let replies = Arc::new(Mutex::new(replies.into_iter().collect::<VecDeque<_>>()));
        let seen = Arc::new(Mutex::new(Seen::default()));
        let mut tasks = JoinSet::new();
        let recorder = Arc::clone(&seen);
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                recorder.lock().unwrap().connections += 1;
                connections.spawn(serve(stream, Arc::clone(&replies), Arc::clone(&recorder)));
            }
        });
        Self { address, seen, _tasks: tasks }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/0.png?key=secret", self.address)
    }

    pub(super) fn requests(&self) -> Vec<String> {
        self.seen.lock().unwrap().requests.clone()
    }
}

async fn serve(mut stream: TcpStream, replies: Arc<Mutex<VecDeque<Reply>>>, seen: Arc<Mutex<Seen>>) {
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(_) => return,
            }
        }
        seen.lock().unwrap().requests.push(String::from_utf8(head).unwrap());
        let reply = replies.lock().unwrap().pop_front();
        match reply {
            Some(Bytes(text)) => stream.write_all(text.as_bytes()).await.unwrap(),
            Some(Close(text)) => return stream.write_all(text.as_bytes()).await.unwrap(),
            Some(Stall(text)) => {
                stream.write_all(text.as_bytes()).await.unwrap();
                std::future::pending::<()>().await;
            }
            Some(Drip(pause)) => {
                stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
                // Ends when the client closes the connection.
                while stream.write_all(b"x").await.is_ok() {
                    tokio::time::sleep(pause).await;
                }
                return;
            }
            None => return,
        }
    }
}
