//! One HTTP GET: of a body, or of a range of it.

use super::content_range::ContentRange;
use super::request_failed;
use crate::source::body::{Limits, Reader, is_html};
use crate::source::error::{Failure, Reason};
use crate::source::{BodyRange, Got, backoff, encoding};
use reqwest::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, LOCATION, RANGE, RETRY_AFTER};
use reqwest::{Method, Response, StatusCode};
use std::time::{Duration, SystemTime};
use tokio::time::timeout;
use transport::http::Http;
use url::Url;

/// Error bodies up to this size, in bytes, are read to the end, so that the connection can be reused.
const SHORT_PAGE: u64 = 16 << 10;
/// Longest part of a header that an error shows, in characters.
const SHOWN: usize = 60;

/// Fetches a body or a range of it.
pub(in crate::source) async fn get(
    client: &Http,
    url: Url,
    range: Option<BodyRange>,
    limits: &Limits,
    into: &mut Vec<u8>,
) -> Result<Got, Failure> {
    let request = Request { client, url, limits };
    match range {
        None => request.whole(None, into).await,
        Some(range) => request.range(range, into).await,
    }
}

struct Request<'a> {
    client: &'a Http,
    url: Url,
    limits: &'a Limits,
}

impl Request<'_> {
    /// Sends a request. Bytes of a range of an encoded body are not bytes of the object, so no encoding is accepted.
    async fn send(&self, method: Method, range: Option<BodyRange>) -> Result<Response, Failure> {
        let silence = self.limits.silence;
        let address = format!("{}:{}", self.url.host_str().unwrap_or_default(), self.url.port_or_known_default().unwrap_or_default());
        let mut request = self.client.request(method, self.url.clone()).header(ACCEPT_ENCODING, "identity");
        if let Some(range) = range {
            request = request.header(RANGE, range_header(range));
        }
        let response = timeout(silence, self.client.send(request)).await.map_err(|_| Reason::Silent { timeout: silence })?;
        response.map_err(|error| request_failed(error, address, silence))
    }

    /// Fetches the whole body, and cuts `cut` out of it.
    async fn whole(&self, cut: Option<BodyRange>, into: &mut Vec<u8>) -> Result<Got, Failure> {
        let response = self.send(Method::GET, None).await?;
        if !is_whole(response.status()) {
            return Err(status_failed(response).await);
        }
        self.whole_body(response, cut, into).await
    }

    async fn whole_body(&self, response: Response, cut: Option<BodyRange>, into: &mut Vec<u8>) -> Result<Got, Failure> {
        let (encodings, html) = (encoding::parse(response.headers().get_all(CONTENT_ENCODING))?, has_html(response.headers()));
        let expected = response.content_length();
        // Later bytes are not needed.
        let enough = match cut {
            Some(BodyRange::From(start, Some(length))) if encodings.is_empty() => start.checked_add(length),
            _ => None,
        };
        let total = expected.filter(|_| encodings.is_empty());
        self.read(response, Expected { length: expected, enough }, into).await?;
        encoding::decode(encodings, into, self.limits.max_bytes).await?;
        if let Some(range) = cut {
            range.cut(into);
        }
        Ok(Got { exact: cut.is_none(), total, html })
    }

    /// Fetches a range. From a server without support for ranges, the whole body is fetched.
    async fn range(&self, range: BodyRange, into: &mut Vec<u8>) -> Result<Got, Failure> {
        let response = self.send(Method::GET, Some(range)).await?;
        let content = ContentRange::of(response.headers());
        match (response.status(), range) {
            (status, _) if is_whole(status) => self.whole_body(response, Some(range), into).await,
            (StatusCode::PARTIAL_CONTENT, _) if !encoding::parse(response.headers().get_all(CONTENT_ENCODING))?.is_empty() => {
                self.whole(Some(range), into).await
            }
            (StatusCode::PARTIAL_CONTENT, BodyRange::From(..)) => self.part(response, range, into).await,
            (StatusCode::PARTIAL_CONTENT, BodyRange::Last(_)) if content.is_some_and(|content| content.length(range).is_some()) => {
                self.part(response, range, into).await
            }
            (
                StatusCode::PARTIAL_CONTENT
                | StatusCode::RANGE_NOT_SATISFIABLE
                | StatusCode::NOT_IMPLEMENTED
                | StatusCode::BAD_REQUEST
                | StatusCode::METHOD_NOT_ALLOWED,
                BodyRange::Last(length),
            ) => self.last(length, content.and_then(|content| content.total), into).await,
            (StatusCode::NOT_IMPLEMENTED | StatusCode::METHOD_NOT_ALLOWED, BodyRange::From(..)) => self.whole(Some(range), into).await,
            _ => Err(status_failed(response).await),
        }
    }

    /// Reads the body of a response with status 206.
    async fn part(&self, response: Response, range: BodyRange, into: &mut Vec<u8>) -> Result<Got, Failure> {
        let html = has_html(response.headers());
        let content = ContentRange::of(response.headers());
        let length = content.and_then(|content| content.length(range));
        let (Some(content), Some(length)) = (content, length) else {
            let found = response.headers().get("content-range").and_then(|value| value.to_str().ok()).unwrap_or("no Content-Range");
            return Err(Reason::WrongRange { found: found.chars().take(SHOWN).collect() }.into());
        };
        if response.content_length().is_some_and(|announced| announced != length) {
            return Err(Reason::WrongRange { found: "the length of the body differs from Content-Range".into() }.into());
        }
        self.read(response, Expected { length: Some(length), enough: None }, into).await?;
        Ok(Got { exact: true, total: content.total, html })
    }

    /// The last `length` bytes, from a server that does not support ranges from the end.
    async fn last(&self, length: u64, total: Option<u64>, into: &mut Vec<u8>) -> Result<Got, Failure> {
        let total = match total {
            Some(total) => Some(total),
            None => self.length().await?,
        };
        if let Some(total) = total.filter(|total| *total > 0) {
            let range = BodyRange::From(total.saturating_sub(length), Some(length.min(total)));
            let response = self.send(Method::GET, Some(range)).await?;
            let encoded = !encoding::parse(response.headers().get_all(CONTENT_ENCODING))?.is_empty();
            if response.status() == StatusCode::PARTIAL_CONTENT && !encoded {
                return self.part(response, range, into).await;
            }
        }
        self.whole(Some(BodyRange::Last(length)), into).await
    }

    /// The length of the object from a HEAD request; `None` if the server does not state it.
    async fn length(&self) -> Result<Option<u64>, Failure> {
        let response = self.send(Method::HEAD, None).await?;
        let headers = response.headers();
        if !is_whole(response.status()) || headers.contains_key(CONTENT_ENCODING) {
            return Ok(None);
        }
        Ok(headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok()))
    }

    /// Reads a body into `into`.
    async fn read(&self, mut response: Response, expected: Expected, into: &mut Vec<u8>) -> Result<(), Failure> {
        let Expected { length, enough } = expected;
        let limit = self.limits.max_bytes;
        let too_large = || Reason::TooLarge { limit };
        let needed = length.map(|length| length.min(enough.unwrap_or(u64::MAX)));
        if needed.is_some_and(|needed| needed > limit) {
            return Err(too_large().into());
        }
        into.reserve(needed.unwrap_or_default() as usize);
        let mut reader = Reader::new(self.limits);
        loop {
            let chunk = reader.wait(response.chunk()).await?;
            let received = into.len() as u64;
            match chunk {
                Ok(Some(bytes)) => {
                    reader.count(bytes.len())?;
                    let wanted = enough.map_or(bytes.len(), |enough| bytes.len().min((enough - received) as usize));
                    if received + wanted as u64 > limit {
                        return Err(too_large().into());
                    }
                    into.extend_from_slice(&bytes[..wanted]);
                    if enough == Some(into.len() as u64) {
                        return Ok(());
                    }
                }
                Ok(None) if length.is_none_or(|length| length == received) => return Ok(()),
                Ok(None) => return Err(Reason::Truncated { received, expected: length }.into()),
                Err(error) => return Err(Failure::with_source(Reason::Truncated { received, expected: length }, error.without_url())),
            }
        }
    }
}

/// The size of a body.
struct Expected {
    /// Announced bytes, if known.
    length: Option<u64>,
    /// The number of bytes after which the rest of the body is not read.
    enough: Option<u64>,
}

/// Whether the response contains the whole body. 203 is 200 from a proxy that changes headers.
fn is_whole(status: StatusCode) -> bool {
    status == StatusCode::OK || status == StatusCode::NON_AUTHORITATIVE_INFORMATION
}

fn has_html(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).is_some_and(is_html)
}

/// The value of the `Range` header.
fn range_header(range: BodyRange) -> String {
    match range {
        BodyRange::From(start, None) => format!("bytes={start}-"),
        BodyRange::From(start, Some(length)) => format!("bytes={start}-{}", start.saturating_add(length.max(1)) - 1),
        BodyRange::Last(length) => format!("bytes=-{length}"),
    }
}

/// The failure for a status other than 200, 203 and 206.
async fn status_failed(response: Response) -> Failure {
    let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
    let retry_after = header(RETRY_AFTER).and_then(|header| backoff::retry_after(header, SystemTime::now()));
    // The client follows redirects to http and https only.
    let other_scheme = header(LOCATION).filter(|_| response.status().is_redirection()).and_then(scheme);
    let reason = match other_scheme {
        Some(scheme) => Reason::RedirectScheme { scheme },
        None => Reason::Status { status: response.status() },
    };
    if response.content_length().is_some_and(|length| length <= SHORT_PAGE) {
        // The result is ignored: the read only keeps the connection reusable.
        let _ = timeout(Duration::from_secs(1), response.bytes()).await;
    }
    Failure { reason, source: None, retry_after }
}

/// The scheme of an absolute URL, if it is neither http nor https.
fn scheme(location: &str) -> Option<String> {
    let url = Url::parse(location).ok()?;
    (!["http", "https"].contains(&url.scheme())).then(|| url.scheme().chars().take(SHOWN).collect())
}
