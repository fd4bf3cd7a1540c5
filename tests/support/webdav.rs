//! A WebDAV server that somebody else wrote, for outputs behind `http://`.

use crate::referee::interpreter;
use crate::until;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// A server of one empty folder. Gone when dropped.
#[derive(Debug)]
pub struct WebDav {
    child: Child,
    address: String,
    _folder: TempDir,
}

impl Drop for WebDav {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Default for WebDav {
    fn default() -> Self {
        let folder = tempfile::Builder::new().prefix("arrayjob-test-webdav-").tempdir().unwrap();
        // Free a moment ago; nobody else picks ports on a machine that runs tests.
        let listen = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let child = Command::new(interpreter())
            .args([
                "-m",
                "wsgidav.server.server_cli",
                "--quiet",
                "--auth",
                "anonymous",
                "--host",
                "127.0.0.1",
                "--port",
                &listen.port().to_string(),
                "--root",
            ])
            .arg(folder.path())
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut server = Self { child, address: listen.to_string(), _folder: folder };
        until("the WebDAV server listens", || {
            assert!(server.child.try_wait().unwrap().is_none(), "the WebDAV server ended");
            TcpStream::connect(&server.address).is_ok()
        });
        server
    }
}

impl WebDav {
    /// The URL of a file, or of a folder.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }
}
