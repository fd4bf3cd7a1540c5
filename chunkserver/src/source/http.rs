//! The HTTP client, and the causes of its failures.

mod content_range;
mod get;

pub(super) use get::get;

use super::Options;
use super::error::{Cause, Error, Failure, REDIRECTS, Reason};
use crate::egress;
use api::words::causes;
use reqwest::header::{AUTHORIZATION, COOKIE, HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder};
use std::io::{self, ErrorKind};
use std::time::Duration;
use thiserror::Error;
use transport::http::{Http, Timeouts};
use transport::tls;
use url::Url;

/// Why a redirect is not followed.
#[derive(Debug, PartialEq, Eq, Error)]
enum NotFollowed {
    #[error("too many redirects")]
    TooMany,
    #[error("a redirect to another server")]
    OtherServer,
    #[error("a redirect from https to http")]
    Unencrypted,
    #[error("a redirect to {0}:")]
    Scheme(String),
}

/// Whether a redirect to `next` is refused. `previous` are the URLs so far; `secrets`: the requests have secret headers.
fn not_followed(previous: &[Url], next: &Url, secrets: bool) -> Option<NotFollowed> {
    let last = previous.last()?;
    match next.scheme() {
        _ if previous.len() > REDIRECTS => Some(NotFollowed::TooMany),
        "http" if last.scheme() == "https" => Some(NotFollowed::Unencrypted),
        "http" | "https" if secrets && last.origin() != next.origin() => Some(NotFollowed::OtherServer),
        "http" | "https" => None,
        scheme => Some(NotFollowed::Scheme(scheme.to_owned())),
    }
}

pub(super) fn client(options: &Options) -> Result<Http, Error> {
    transport::crypto::install_crypto();
    let headers = headers(options)?;
    let build = || builder(options, headers.clone());
    // A minimal container has no certificates. Plain HTTP still works with an empty list of trusted certificates.
    let without_certificates = || build().tls_backend_preconfigured(tls::trusting_none()).build();
    let client = build().build().or_else(|_| without_certificates()).map_err(|source| Error::Client { source })?;
    Ok(Http::of(client, Timeouts { connect: Some(options.connect_timeout), ..Timeouts::default() }))
}

fn builder(options: &Options, headers: HeaderMap) -> ClientBuilder {
    // The library removes Authorization and Cookie from redirects to other servers, but not other secret headers.
    let secrets = headers.keys().any(|name| name != AUTHORIZATION && name != COOKIE);
    let egress = options.egress.clone();
    let policy = Policy::custom(move |attempt| {
        if let Err(blocked) = egress::check(attempt.url(), egress.as_ref()) {
            return attempt.error(blocked);
        }
        match not_followed(attempt.previous(), attempt.url(), secrets) {
            Some(refused) => attempt.error(refused),
            None => attempt.follow(),
        }
    });
    let builder = Client::builder()
        .user_agent(concat!("arrayjob/", env!("CARGO_PKG_VERSION")))
        .default_headers(headers)
        .redirect(policy)
        // The Referer header would send the query of one server to another.
        .referer(false)
        .no_proxy()
        .http1_only()
        .tcp_nodelay(true)
        .connect_timeout(options.connect_timeout)
        .pool_max_idle_per_host(options.connections);
    #[cfg(feature = "simulation")]
    let builder = transport::http::simulation::without_certificates(builder);
    egress::restrict(builder, options.egress.as_ref())
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

/// The failure of a request without a response.
fn request_failed(error: reqwest::Error, address: String, silence: Duration) -> Failure {
    // Removes the URL from the error, because its query may be secret.
    let error = error.without_url();
    let reason = if let Some(blocked) = egress::blocked(&error) {
        Reason::Blocked { blocked }
    } else if error.is_redirect() {
        match std::error::Error::source(&error).and_then(|source| source.downcast_ref()) {
            Some(NotFollowed::Unencrypted) => Reason::Unencrypted,
            Some(NotFollowed::Scheme(scheme)) => Reason::RedirectScheme { scheme: scheme.clone() },
            Some(NotFollowed::TooMany | NotFollowed::OtherServer) | None => Reason::Redirect,
        }
    } else if error.is_connect() {
        Reason::Connect { address, cause: cause(&error) }
    } else if error.is_timeout() {
        Reason::Silent { timeout: silence }
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
    let found = causes(error).filter_map(|link| link.downcast_ref()).find_map(cause_of_io);
    found.unwrap_or(if error.is_timeout() { Cause::TimedOut } else { Cause::Other })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_to_http_from_https_and_to_other_schemes_are_refused() {
        let check = |from: &str, to: &str, secrets| not_followed(&[Url::parse(from).unwrap()], &Url::parse(to).unwrap(), secrets);
        assert_eq!(check("https://h/a", "http://h/a", false), Some(NotFollowed::Unencrypted));
        assert_eq!(check("https://h/a", "http://other/a", true), Some(NotFollowed::Unencrypted));
        assert_eq!(check("http://h/a", "https://h/a", false), None);
        assert_eq!(check("https://h/a", "https://other/a", false), None);
        assert_eq!(check("https://h/a", "https://other/a", true), Some(NotFollowed::OtherServer));
        assert_eq!(check("http://h/a", "ftp://h/a", false), Some(NotFollowed::Scheme("ftp".into())));
    }
}
