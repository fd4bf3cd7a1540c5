//! A third-party server as a child process that listens on loopback.

use crate::until;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

/// A child process that listens. Dropping the value kills the process.
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
    /// Starts the command for a free address and waits until the process listens there. `what` names the server in error messages.
    ///
    /// # Panics
    /// When the process ends, or does not listen in time.
    pub(crate) fn start(what: &str, command: impl FnOnce(SocketAddr) -> Command) -> Self {
        // The port was free a moment ago. No other program takes ports on a test machine.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let child = command(address).stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        let mut server = Self { child, address };
        until(&format!("the {what} listens"), || {
            assert!(server.child.try_wait().unwrap().is_none(), "the {what} ended");
            TcpStream::connect(server.address).is_ok()
        });
        server
    }

    /// The base URL of the server.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}
