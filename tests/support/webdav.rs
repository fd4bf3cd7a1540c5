//! A third-party WebDAV server for `http://` outputs: WsgiDAV (<https://github.com/mar10/wsgidav>).

use crate::listening::Listening;
use crate::referee::interpreter;
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// A server with one empty folder. Dropping the value ends the server.
#[derive(Debug)]
pub struct WebDav {
    server: Listening,
    _folder: TempDir,
}

impl Default for WebDav {
    fn default() -> Self {
        let folder = tempfile::Builder::new().prefix("arrayjob-test-webdav-").tempdir().unwrap();
        let server = Listening::start("WebDAV server", |listen| {
            let (host, port) = (listen.ip().to_string(), listen.port().to_string());
            let mut command = Command::new(interpreter());
            command
                .args(["-m", "wsgidav.server.server_cli", "--quiet", "--auth", "anonymous", "--host", &host, "--port", &port, "--root"])
                .arg(folder.path())
                .current_dir(folder.path())
                .stderr(Stdio::null());
            command
        });
        Self { server, _folder: folder }
    }
}

impl WebDav {
    /// The URL of a file or a folder.
    pub fn url(&self, path: &str) -> String {
        format!("{}/{path}", self.server.url())
    }
}
