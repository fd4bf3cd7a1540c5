//! A minimal HTTP client for requests that `arrayjob` does not send: wrong tokens, stale boot ids, an API server behind a proxy.

use std::io::{BufRead as _, BufReader, Read as _, Result, Write as _};
use std::net::TcpStream;
use std::time::Duration;

/// Longest pause within a response.
const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// A response.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

impl Response {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Sends a GET request to `http://HOST:PORT/PATH`; returns the status code and the text of the response.
pub fn get(url: &str, headers: &[(&str, &str)]) -> (u16, String) {
    let response = call("GET", url, headers).unwrap();
    (response.status, response.text())
}

/// Sends a request without a body.
///
/// # Errors
/// When the connection fails or closes early.
pub fn call(method: &str, url: &str, headers: &[(&str, &str)]) -> Result<Response> {
    let rest = url.strip_prefix("http://").unwrap();
    let (host, path) = rest.split_once('/').unwrap();
    let mut stream = TcpStream::connect(host)?;
    stream.set_read_timeout(Some(READ_TIMEOUT))?;
    let more: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    // HTTP/1.0 excludes a chunked response.
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
    let status = status.ok_or_else(|| std::io::Error::other(format!("the response of {url} has no status code")))?;
    let mut body = Vec::new();
    // A proxy may close the connection a second after the response, so that the end of the connection is not awaited.
    reader.take(length.unwrap_or(u64::MAX)).read_to_end(&mut body)?;
    if length.is_some_and(|length| body.len() as u64 != length) {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Response { status, body })
}
