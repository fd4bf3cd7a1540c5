//! A port of this machine that leads to one of a job's pods. Each connection goes to a pod that is ready at that moment, so the
//! port outlives its pods. If no pod is reachable, the client gets an HTTP response with the reason.

mod dial;
mod kube_pods;
mod proxy;

pub(crate) use kube_pods::{JobPods, OnePod};

use crate::error::Error;
use dial::Dial;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

/// Pause after a failed accept, most likely for lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A port of this machine. The port and its connections close on drop.
#[derive(Debug)]
pub(crate) struct Forward {
    pub(crate) address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl Drop for Forward {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Forward {
    /// Listens on a port of loopback. Port 0 selects any free port.
    ///
    /// # Errors
    /// The port is not free.
    pub(crate) async fn start(dial: impl Dial, port: u16) -> Result<Self, Error> {
        let listening = async {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
            Ok((listener.local_addr()?, listener))
        };
        let (address, listener) = listening.await.map_err(|error: std::io::Error| {
            Error::Refused(format!("cannot listen on port {port} of this machine: {error}; choose another --port"))
        })?;
        Ok(Self { address, accepting: tokio::spawn(accept(listener, Arc::new(dial))) })
    }
}

async fn accept(listener: TcpListener, dial: Arc<impl Dial>) {
    // The connections end with this task.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((client, _)) => {
                    let _ = client.set_nodelay(true);
                    let dial = Arc::clone(&dial);
                    connections.spawn(async move { proxy::serve(client, &*dial).await });
                }
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            },
        }
    }
}

#[cfg(test)]
mod tests;
