//! One request at a time, for what no command of ours asks: wrong tokens, stale boot ids, an API server behind a proxy.

use std::io::{Read as _, Result, Write as _};
use std::net::TcpStream;
use std::time::Duration;

/// Longest silence within an answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a server answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The body, as it came.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// The status of the answer to a GET of `http://HOST:PORT/PATH`, and its text.
pub fn get(url: &str, headers: &[(&str, &str)]) -> (u16, String) {
    let answer = call("GET", url, headers).unwrap();
    (answer.status, answer.text())
}

/// The answer to a request without a body.
///
/// # Errors
/// When the server is not there, or breaks off.
pub fn call(method: &str, url: &str, headers: &[(&str, &str)]) -> Result<Answer> {
    let rest = url.strip_prefix("http://").unwrap();
    let (host, path) = rest.split_once('/').unwrap();
    let mut stream = TcpStream::connect(host)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let more: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    // Who speaks 1.0 is answered in one piece, up to the connection's end.
    write!(stream, "{method} /{path} HTTP/1.0\r\nHost: {host}\r\nConnection: close\r\n{more}\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let broken = || std::io::Error::other(format!("{url} answered without a header"));
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").ok_or_else(broken)?;
    let header = String::from_utf8_lossy(&answer[..end]).into_owned();
    let status = header.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(broken)?;
    Ok(Answer { status, body: answer.split_off(end + 4) })
}
