//! One request at a time, for what no command of ours asks: wrong tokens, stale boot ids, an API server behind a proxy.

use std::io::{BufRead as _, BufReader, Read as _, Result, Write as _};
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
    let mut reader = BufReader::new(stream);
    let (mut status, mut length) = (None, None);
    let mut line = String::new();
    while reader.read_line(&mut line)? > 0 && line != "\r\n" {
        match line.trim_end().split_once(": ") {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => length = value.parse().ok(),
            None if status.is_none() => status = line.split(' ').nth(1).and_then(|status| status.parse().ok()),
            _ => {}
        }
        line.clear();
    }
    let status = status.ok_or_else(|| std::io::Error::other(format!("{url} answered without a status")))?;
    let mut body = Vec::new();
    // What stands between may close the connection a second later.
    reader.take(length.unwrap_or(u64::MAX)).read_to_end(&mut body)?;
    if length.is_some_and(|length| body.len() as u64 != length) {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Answer { status, body })
}
