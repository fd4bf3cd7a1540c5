//! A server of somebody else's as a process on a port of loopback.

use crate::until;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

/// It listens. Ended when dropped.
#[derive(Debug)]
pub(crate) struct Listening {
    child: Child,
    address: SocketAddr,
}

impl Drop for Listening {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Listening {
    /// Starts what `command` makes for an address, and waits until it listens there; `what` is what errors call it.
    ///
    /// # Panics
    /// When it ends, or does not listen in time.
    pub(crate) fn start(what: &str, command: impl FnOnce(SocketAddr) -> Command) -> Self {
        // Free a moment ago; nobody else picks ports on a machine that runs tests.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let child = command(address).stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        let mut server = Self { child, address };
        until(&format!("the {what} listens"), || {
            assert!(server.child.try_wait().unwrap().is_none(), "the {what} ended");
            TcpStream::connect(server.address).is_ok()
        });
        server
    }

    /// `http://` and where it listens.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}
