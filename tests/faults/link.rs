//! A forwarder between the servers and the source, which closes, holds or slows connections on request.

use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::watch;

/// What happens to connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// All bytes pass.
    Open,
    /// Each connection is closed.
    Closed,
    /// No byte passes.
    Silent,
    /// This number of bytes of each connection passes in a second.
    Slow(usize),
}

/// A running forwarder. Dropping the value closes all connections.
pub(crate) struct Link {
    address: SocketAddr,
    mode: watch::Sender<Mode>,
    runtime: Option<Runtime>,
}

impl Drop for Link {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Link {
    /// Forwards connections to the server of this URL.
    pub(crate) fn to(url: &str) -> Self {
        let target = url.trim_start_matches("http://").split('/').next().unwrap_or_default().to_owned();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let (mode, modes) = watch::channel(Mode::Open);
        runtime.spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                tokio::spawn(forward(connection, target.clone(), modes.clone()));
            }
        });
        Self { address, mode, runtime: Some(runtime) }
    }

    /// The URL of `path`.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }

    /// Changes what happens to all connections.
    pub(crate) fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }
}

/// Forwards one connection until one side closes, or until the mode is `Closed`.
async fn forward(client: TcpStream, target: String, mut modes: watch::Receiver<Mode>) {
    let Ok(source) = TcpStream::connect(target).await else { return };
    let (mut requests, mut to_client) = client.into_split();
    let (mut responses, mut to_source) = source.into_split();
    let mut until_closed = modes.clone();
    tokio::select! {
        _ = tokio::io::copy(&mut requests, &mut to_source) => {}
        () = pass(&mut responses, &mut to_client, &mut modes) => {}
        _ = until_closed.wait_for(|mode| *mode == Mode::Closed) => {}
    }
}

async fn pass(
    from: &mut (impl tokio::io::AsyncRead + Unpin),
    to: &mut (impl tokio::io::AsyncWrite + Unpin),
    modes: &mut watch::Receiver<Mode>,
) {
    /// Parts of a second in which a slow connection sends.
    const PARTS: usize = 10;
    let mut buffer = vec![0; 16 << 10];
    loop {
        if modes.wait_for(|mode| *mode != Mode::Silent).await.is_err() {
            return;
        }
        let slow = match *modes.borrow() {
            Mode::Slow(rate) => Some((rate / PARTS).max(1)),
            Mode::Open | Mode::Closed | Mode::Silent => None,
        };
        let length = slow.unwrap_or(buffer.len());
        let Ok(count @ 1..) = from.read(&mut buffer[..length]).await else { return };
        if slow.is_some() {
            tokio::time::sleep(Duration::from_secs(1) / PARTS as u32).await;
        }
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}
