//! One HTTP GET.

use super::error::{Cause, Error, Failure, REDIRECTS, Reason};
use super::{BodyRange, Options, backoff};
use reqwest::header::{AUTHORIZATION, CONTENT_RANGE, COOKIE, HeaderMap, HeaderName, HeaderValue, RANGE, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, Response, StatusCode};
use std::io::{self, ErrorKind};
use std::time::{Duration, SystemTime};
use tokio::time::timeout;
use url::Url;

/// Error bodies up to this size, in bytes, are read to the end, so that the connection can be reused.
const SHORT_PAGE: u64 = 16 << 10;

pub(super) fn client(options: &Options) -> Result<Client, Error> {
    transport::crypto::install_crypto();
    let headers = headers(options)?;
    let build = || builder(options, headers.clone());
    // A minimal container has no certificates. Plain HTTP still works with an empty list of trusted certificates.
    let without_certificates = || {
        let tls = rustls::ClientConfig::builder().with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth();
        build().tls_backend_preconfigured(tls).build()
    };
    build().build().or_else(|_| without_certificates()).map_err(|source| Error::Client { source })
}

fn builder(options: &Options, headers: HeaderMap) -> ClientBuilder {
    // The library removes Authorization and Cookie from redirects to other servers, but not other secret headers.
    let secrets = headers.keys().any(|name| name != AUTHORIZATION && name != COOKIE);
    let policy = Policy::custom(move |attempt| {
        let other_server = attempt.previous().last().is_some_and(|from| from.origin() != attempt.url().origin());
        if attempt.previous().len() > REDIRECTS {
            attempt.error("too many redirects")
        } else if secrets && other_server {
            attempt.error("a redirect to another server")
        } else {
            attempt.follow()
        }
    });
    Client::builder()
        .user_agent(concat!("arrayjob/", env!("CARGO_PKG_VERSION")))
        .default_headers(headers)
        .redirect(policy)
        // The Referer header would send the query of one server to another.
        .referer(false)
        .no_proxy()
        .http1_only()
        .tcp_nodelay(true)
        .connect_timeout(options.connect_timeout)
        .pool_max_idle_per_host(options.connections)
}

fn headers(options: &Options) -> Result<HeaderMap, Error> {
    let mut headers = HeaderMap::new();
    for (name, value) in &options.headers {
        let bad = || Error::Header { name: name.clone() };
        let key = HeaderName::try_from(name.as_str()).map_err(|_| bad())?;
        // Secrets created from files often end with a newline.
        let mut value = HeaderValue::try_from(value.trim()).map_err(|_| bad())?;
        value.set_sensitive(true);
        headers.append(key, value);
    }
    Ok(headers)
}

/// Fetches a body or a range of it. Returns whether only the requested range was sent.
pub(super) async fn get(
    client: &Client,
    url: Url,
    range: Option<BodyRange>,
    options: &Options,
    into: &mut Vec<u8>,
) -> Result<bool, Failure> {
    let silent = || Reason::Silent { timeout: options.progress_timeout };
    let too_large = || Reason::TooLarge { limit: options.max_bytes };
    let address = format!("{}:{}", url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or_default());

    let mut request = client.get(url);
    if let Some(range) = range {
        request = request.header(RANGE, range_header(range));
    }
    let response = timeout(options.progress_timeout, request.send()).await.map_err(|_| silent())?;
    let mut response = response.map_err(|e| request_failed(e, address, options))?;
    let exact = match (response.status(), range) {
        (StatusCode::OK, range) => range.is_none(),
        (StatusCode::PARTIAL_CONTENT, Some(range)) if starts_at(&response, range) => true,
        _ => return Err(status_failed(response).await),
    };
    let expected = response.content_length();
    if expected.is_some_and(|length| length > options.max_bytes) {
        return Err(too_large().into());
    }
    into.reserve(expected.unwrap_or_default() as usize);
    loop {
        let chunk = timeout(options.progress_timeout, response.chunk()).await.map_err(|_| silent())?;
        let received = into.len() as u64;
        match chunk {
            Ok(Some(bytes)) if received + bytes.len() as u64 > options.max_bytes => {
                return Err(too_large().into());
            }
            Ok(Some(bytes)) => into.extend_from_slice(&bytes),
            Ok(None) if expected.is_none_or(|length| length == received) => break,
            Ok(None) => return Err(Reason::Truncated { received, expected }.into()),
            Err(error) => {
                return Err(Failure::with_source(Reason::Truncated { received, expected }, error.without_url()));
            }
        }
    }
    if let Some(range) = range.filter(|_| !exact) {
        range.cut(into);
    }
    Ok(exact)
}

/// The value of the `Range` header.
fn range_header(range: BodyRange) -> String {
    match range {
        BodyRange::From(start, None) => format!("bytes={start}-"),
        BodyRange::From(start, Some(length)) => format!("bytes={start}-{}", start.saturating_add(length.max(1)) - 1),
        BodyRange::Last(length) => format!("bytes=-{length}"),
    }
}

/// Whether the response starts at the start of the range, as far as its `Content-Range` states.
fn starts_at(response: &Response, range: BodyRange) -> bool {
    let start = response.headers().get(CONTENT_RANGE).and_then(|value| value.to_str().ok()?.strip_prefix("bytes ")?.split('-').next());
    match (range, start.and_then(|start| start.parse::<u64>().ok())) {
        (BodyRange::From(requested, _), Some(start)) => requested == start,
        _ => true,
    }
}

/// The failure for a status other than 200.
async fn status_failed(response: Response) -> Failure {
    let header = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let retry_after = header.and_then(|header| backoff::retry_after(header, SystemTime::now()));
    let reason = Reason::Status { status: response.status() };
    if response.content_length().is_some_and(|length| length <= SHORT_PAGE) {
        // The result is ignored: the read only keeps the connection reusable.
        let _ = timeout(Duration::from_secs(1), response.bytes()).await;
    }
    Failure { reason, source: None, retry_after }
}

/// The failure of a request without a response.
fn request_failed(error: reqwest::Error, address: String, options: &Options) -> Failure {
    // Removes the URL from the error, because its query may be secret.
    let error = error.without_url();
    let reason = if error.is_redirect() {
        Reason::Redirect
    } else if error.is_connect() {
        Reason::Connect { address, cause: cause(&error) }
    } else if error.is_timeout() {
        Reason::Silent { timeout: options.progress_timeout }
    } else if error.is_builder() {
        Reason::BadUrl
    } else {
        Reason::Broken
    };
    Failure::with_source(reason, error)
}

/// Finds the error of the operating system or of TLS in the chain of sources.
fn cause(error: &reqwest::Error) -> Cause {
    if error.is_dns() {
        return Cause::UnknownHost;
    }
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(link) = next {
        if let Some(found) = link.downcast_ref::<io::Error>().and_then(cause_of_io) {
            return found;
        }
        next = link.source();
    }
    if error.is_timeout() { Cause::TimedOut } else { Cause::Other }
}

fn cause_of_io(error: &io::Error) -> Option<Cause> {
    // TLS errors are nested in I/O errors, sometimes twice.
    if let Some(inner) = error.get_ref() {
        return match inner.downcast_ref::<rustls::Error>() {
            Some(rustls::Error::InvalidCertificate(_)) => Some(Cause::Certificate),
            Some(_) => Some(Cause::Tls),
            None => inner.downcast_ref().and_then(cause_of_io),
        };
    }
    match error.kind() {
        ErrorKind::ConnectionRefused => Some(Cause::Refused),
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => Some(Cause::Unreachable),
        ErrorKind::TimedOut => Some(Cause::TimedOut),
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe | ErrorKind::UnexpectedEof => Some(Cause::Closed),
        _ => None,
    }
}
