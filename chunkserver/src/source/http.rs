//! One GET: a URL comes in, its body goes out, or the reason there is none.

use super::error::{Cause, Error, Failure, REDIRECTS, Reason};
use super::{Options, Part, backoff};
use reqwest::header::{AUTHORIZATION, CONTENT_RANGE, COOKIE, HeaderMap, HeaderName, HeaderValue, RANGE, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, Response, StatusCode};
use std::io::{self, ErrorKind};
use std::time::{Duration, SystemTime};
use tokio::time::timeout;
use url::Url;

/// An error page shorter than this is read to its end, which keeps the connection.
const SHORT_PAGE: u64 = 16 << 10;

pub(super) fn client(options: &Options) -> Result<Client, Error> {
    transport::crypto::install_crypto();
    let headers = headers(options)?;
    let build = || builder(options, headers.clone());
    // A bare container has no certificates at all. That is no reason to refuse plain HTTP: trust nobody then.
    let trusting_nobody = || {
        let tls = rustls::ClientConfig::builder().with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth();
        build().tls_backend_preconfigured(tls).build()
    };
    build().build().or_else(|_| trusting_nobody()).map_err(|source| Error::Client { source })
}

fn builder(options: &Options, headers: HeaderMap) -> ClientBuilder {
    // The library keeps Authorization and Cookie from strangers by itself, but knows no other secrets.
    let secrets = headers.keys().any(|name| name != AUTHORIZATION && name != COOKIE);
    let policy = Policy::custom(move |attempt| {
        let stranger = attempt.previous().last().is_some_and(|from| from.origin() != attempt.url().origin());
        if attempt.previous().len() > REDIRECTS {
            attempt.error("too many redirects")
        } else if secrets && stranger {
            attempt.error("a redirect to another server")
        } else {
            attempt.follow()
        }
    });
    Client::builder()
        .user_agent(concat!("arrayjob/", env!("CARGO_PKG_VERSION")))
        .default_headers(headers)
        .redirect(policy)
        // It would carry the query of one server to another.
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
        // Secrets made from files often end in a newline.
        let mut value = HeaderValue::try_from(value.trim()).map_err(|_| bad())?;
        value.set_sensitive(true);
        headers.append(key, value);
    }
    Ok(headers)
}

/// Fetches a body, or a part of it; whether nothing else came.
pub(super) async fn get(client: &Client, url: Url, part: Option<Part>, options: &Options, into: &mut Vec<u8>) -> Result<bool, Failure> {
    let silent = || Reason::Silent { timeout: options.progress_timeout };
    let too_large = || Reason::TooLarge { limit: options.max_bytes };
    let place = format!("{}:{}", url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or_default());

    let mut request = client.get(url);
    if let Some(part) = part {
        request = request.header(RANGE, range(part));
    }
    let answer = timeout(options.progress_timeout, request.send()).await.map_err(|_| silent())?;
    let mut response = answer.map_err(|e| unanswered(e, place, options))?;
    let exact = match (response.status(), part) {
        (StatusCode::OK, part) => part.is_none(),
        (StatusCode::PARTIAL_CONTENT, Some(part)) if begins_there(&response, part) => true,
        _ => return Err(refused(response).await),
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
            Ok(None) => return Err(Reason::CutShort { received, expected }.into()),
            Err(error) => {
                return Err(Failure::caused(Reason::CutShort { received, expected }, error.without_url()));
            }
        }
    }
    if let Some(part) = part.filter(|_| !exact) {
        part.cut(into);
    }
    Ok(exact)
}

/// The header that asks for a part.
fn range(part: Part) -> String {
    match part {
        Part::From(start, None) => format!("bytes={start}-"),
        Part::From(start, Some(length)) => format!("bytes={start}-{}", start.saturating_add(length.max(1)) - 1),
        Part::Last(length) => format!("bytes=-{length}"),
    }
}

/// Whether the answer holds the part, as far as it says.
fn begins_there(response: &Response, part: Part) -> bool {
    let said = response.headers().get(CONTENT_RANGE).and_then(|value| value.to_str().ok()?.strip_prefix("bytes ")?.split('-').next());
    match (part, said.and_then(|said| said.parse::<u64>().ok())) {
        (Part::From(start, _), Some(said)) => start == said,
        _ => true,
    }
}

/// The failure of an answer other than 200.
async fn refused(response: Response) -> Failure {
    let asked = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let retry_after = asked.and_then(|header| backoff::retry_after(header, SystemTime::now()));
    let reason = Reason::Status { status: response.status() };
    if response.content_length().is_some_and(|length| length <= SHORT_PAGE) {
        // Whether this works does not matter: the page is not shown, only the connection is kept.
        let _ = timeout(Duration::from_secs(1), response.bytes()).await;
    }
    Failure { reason, source: None, retry_after }
}

/// The failure of a request without an answer.
fn unanswered(error: reqwest::Error, place: String, options: &Options) -> Failure {
    // The cause must not repeat the URL, whose query may be secret.
    let error = error.without_url();
    let reason = if error.is_redirect() {
        Reason::Redirect
    } else if error.is_connect() {
        Reason::Connect { place, cause: cause(&error) }
    } else if error.is_timeout() {
        Reason::Silent { timeout: options.progress_timeout }
    } else if error.is_builder() {
        Reason::BadUrl
    } else {
        Reason::Broken
    };
    Failure::caused(reason, error)
}

/// Looks for the error of the operating system or of TLS in the chain.
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
    // TLS errors travel inside, sometimes two deep.
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
