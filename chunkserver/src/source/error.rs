//! Why a fetch failed. Messages use the names of the manifest's fields.

use api::egress::Blocked;
use api::geometry::human_bytes;
use reqwest::StatusCode;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;
use thiserror::Error;

/// Most redirects of one request.
pub(super) const REDIRECTS: usize = 5;
/// The supported content encodings.
const ENCODINGS: &str = if cfg!(feature = "zarr") { "gzip, deflate and zstd" } else { "gzip and deflate" };

/// A failed fetch, or options that are not valid.
#[derive(Debug, Error)]
pub enum Error {
    /// A header of the options is not valid.
    #[error("the header {name:?} is not valid: a name has letters, digits and dashes, a value has visible characters")]
    Header {
        /// Name of the header. The value is secret.
        name: String,
    },
    /// The secret is not readable.
    #[error("cannot read the source's secret from {}", path.display())]
    Secret {
        /// File or folder of the secret.
        path: PathBuf,
        /// Error of the system.
        source: std::io::Error,
    },
    /// TLS or the connection pool is not available.
    #[error("cannot set up the HTTP client")]
    Client {
        /// Error of the HTTP client.
        source: reqwest::Error,
    },
    /// A URL was not fetched.
    #[error("cannot fetch {url}: {reason}{tried}")]
    Fetch {
        /// The URL without its query, which may contain a secret.
        url: String,
        /// The reason of the last failure.
        reason: Reason,
        /// Attempts and elapsed time.
        tried: Attempts,
        /// Error of the last attempt.
        #[source]
        source: Option<BoxError>,
    },
}

impl Error {
    /// Whether the body is larger than the limit.
    pub fn is_too_large(&self) -> bool {
        matches!(self, Self::Fetch { reason: Reason::TooLarge { .. }, .. })
    }

    /// Whether a retry cannot succeed.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Header { .. } | Self::Secret { .. } | Self::Client { .. } => true,
            Self::Fetch { reason, .. } => reason.is_final(),
        }
    }

    /// Whether only the request for a range failed: the whole object may be available.
    pub fn is_of_range(&self) -> bool {
        match self {
            Self::Fetch { reason: Reason::WrongRange { .. }, .. } => true,
            Self::Fetch { reason: Reason::Status { status }, .. } => matches!(status.as_u16(), 400 | 405 | 416 | 501),
            Self::Fetch { .. } | Self::Header { .. } | Self::Secret { .. } | Self::Client { .. } => false,
        }
    }

    /// Whether the object ends before the requested range.
    pub fn is_beyond_the_end(&self) -> bool {
        matches!(self, Self::Fetch { reason, .. } if reason.is_beyond_the_end())
    }

    /// Whether the object does not exist: 404, no such file, no such object. After other errors, the object may exist.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Fetch { reason, .. } if reason.is_not_found())
    }
}

/// Attempts and elapsed time, displayed as ` (6 attempts in 12.3 s)`; empty for a single attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempts {
    /// Number of attempts.
    pub attempts: u32,
    /// From the first attempt to the last failure.
    pub elapsed: Duration,
}

impl fmt::Display for Attempts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.attempts {
            0 | 1 => Ok(()),
            attempts => write!(f, " ({attempts} attempts in {:.1} s)", self.elapsed.as_secs_f64()),
        }
    }
}

/// Why one attempt failed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Reason {
    /// Not a URL.
    #[error("not a URL: a URL begins with http:// or https://")]
    BadUrl,
    /// A URL with an unsupported scheme.
    #[error("{scheme}:// is not supported; use http:// or https://")]
    Scheme {
        /// The URL's scheme.
        scheme: String,
    },
    /// A local file, where local files are not permitted.
    #[error("file:// works only where the job runs on one machine; serve the images by HTTP")]
    LocalFile,
    /// No such file.
    #[error("the file does not exist")]
    NoFile,
    /// No such object.
    #[error("the object does not exist in the store")]
    NoObject,
    /// The store refuses the request.
    #[error("the store refuses the request: {message}; check its keys, in source.secretRef or the environment (AWS_…, GOOGLE_…, AZURE_…)")]
    Refused {
        /// Message of the store's client library.
        message: String,
    },
    /// No keys for the store.
    #[error(
        "there are no keys for the store in source.secretRef, in the environment (AWS_…, GOOGLE_…, AZURE_…) or on the machine: {message}"
    )]
    MissingKeys {
        /// Message of the store's client library.
        message: String,
    },
    /// The store fails.
    #[error("the store failed: {message}")]
    Store {
        /// Message of the store's client library.
        message: String,
    },
    /// The file is not readable.
    #[error("cannot read the file: {message}")]
    File {
        /// Permission denied, a directory, or another reason.
        message: &'static str,
    },
    /// The connection failed.
    #[error("cannot connect to {address}: {cause}")]
    Connect {
        /// Host and port.
        address: String,
        /// Reason of the failed connection.
        cause: Cause,
    },
    /// A timeout without a received byte.
    #[error("no byte arrived for {} s; is the server overloaded?", .timeout.as_secs_f64())]
    Silent {
        /// The timeout.
        timeout: Duration,
    },
    /// The body arrives more slowly than the manifest permits.
    #[error("the body arrives at {rate} B/s, less than source.minBytesPerSecond ({least} B/s, measured over {} s)", .window.as_secs_f64())]
    Slow {
        /// Measured bytes per second.
        rate: u64,
        /// Least bytes per second.
        least: u64,
        /// Time of the measurement.
        window: Duration,
    },
    /// A `Content-Encoding` that is not supported.
    #[error("the body has the content encoding {name:?}; supported encodings: {}", ENCODINGS)]
    Encoding {
        /// The encoding.
        name: String,
    },
    /// The body is not valid in its `Content-Encoding`.
    #[error("the body is not valid {name}, the content encoding in its header")]
    Encoded {
        /// The encoding.
        name: &'static str,
    },
    /// The response contains other bytes than the requested range.
    #[error("the server sent other bytes than the requested range ({found}); the server or a cache does not support ranges correctly")]
    WrongRange {
        /// The `Content-Range` of the response.
        found: String,
    },
    /// An HTML page in the place of an object.
    #[error("the server sent text/html instead of the object; does the object exist?")]
    Html,
    /// Fewer bytes than announced.
    #[error("the response ended early, after {received} {}", .expected.map_or("bytes".to_owned(), |n| format!("of {n} bytes")))]
    Truncated {
        /// Received bytes.
        received: u64,
        /// Announced bytes, if known.
        expected: Option<u64>,
    },
    /// The connection broke before the response, or the response is not HTTP.
    #[error("the server closed the connection or did not respond in HTTP")]
    Broken,
    /// A status other than 200.
    #[error("the server responded with {status}{}", hint(*.status))]
    Status {
        /// The status.
        status: StatusCode,
    },
    /// The body is larger than a frame can be.
    #[error("the body is larger than {}; is this the URL of an image?", human_bytes(*.limit))]
    TooLarge {
        /// Largest body, in bytes.
        limit: u64,
    },
    /// The installation closes the address.
    #[error("{blocked}")]
    Blocked {
        /// The destination and the rule.
        blocked: Blocked,
    },
    /// Too many redirects, or a redirect of secret headers to another server.
    #[error("the redirect is not followed: more than {} in a row, or to another server while the source has secret headers", REDIRECTS)]
    Redirect,
    /// A redirect from https to http.
    #[error("the redirect from https to http is not followed; use the address of the target, or https on both servers")]
    Unencrypted,
    /// A redirect to a URL that is not http or https.
    #[error("the server redirects to a {scheme}: URL, which is not followed")]
    RedirectScheme {
        /// The scheme of the target.
        scheme: String,
    },
}

impl Reason {
    /// Whether a retry cannot succeed.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Connect { cause, .. } => *cause == Cause::Certificate,
            Self::Silent { .. }
            | Self::Slow { .. }
            | Self::Encoded { .. }
            | Self::Truncated { .. }
            | Self::Broken
            | Self::Store { .. }
            | Self::MissingKeys { .. } => false,
            Self::Status { status } => !matches!(status.as_u16(), 408 | 425 | 429 | 500 | 502 | 503 | 504),
            Self::BadUrl
            | Self::Scheme { .. }
            | Self::LocalFile
            | Self::NoFile
            | Self::NoObject
            | Self::Refused { .. }
            | Self::File { .. }
            | Self::TooLarge { .. }
            | Self::Blocked { .. }
            | Self::Encoding { .. }
            | Self::WrongRange { .. }
            | Self::Html
            | Self::Redirect
            | Self::Unencrypted
            | Self::RedirectScheme { .. } => true,
        }
    }

    /// Whether the server took no connection, or closed it without a response.
    pub(super) fn is_of_connection(&self) -> bool {
        matches!(self, Self::Connect { .. } | Self::Broken)
    }

    /// Whether the object ends before the requested range.
    fn is_beyond_the_end(&self) -> bool {
        matches!(self, Self::Status { status } if *status == StatusCode::RANGE_NOT_SATISFIABLE)
    }

    /// Whether the server, the store or the file system reports that the object does not exist.
    fn is_not_found(&self) -> bool {
        match self {
            Self::Status { status } => *status == StatusCode::NOT_FOUND,
            reason => matches!(reason, Self::NoFile | Self::NoObject),
        }
    }
}

fn hint(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 | 403 => "; check source.secretRef",
        404 | 410 => "; check the URL template, start, step and count",
        429 => "; lower load.concurrency",
        _ => "",
    }
}

/// Why a connection failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Cause {
    /// The port is closed.
    #[error("connection refused; is the server running and reachable?")]
    Refused,
    /// No route.
    #[error("there is no route to the host")]
    Unreachable,
    /// A timeout.
    #[error("no response; is the server running, and does a firewall or network policy block the connection?")]
    TimedOut,
    /// The host name does not resolve.
    #[error("the host name is unknown; on a cluster, use a name that the cluster's DNS resolves")]
    UnknownHost,
    /// TLS: the server's certificate is not trusted.
    #[error("the server's certificate is not trusted; set SSL_CERT_FILE to the certificate of a private authority")]
    Certificate,
    /// TLS: all other errors.
    #[error("TLS failed; does the server support https on this port?")]
    Tls,
    /// The connection was opened and closed.
    #[error("the server closed the connection immediately")]
    Closed,
    /// All other network errors.
    #[error("the network failed")]
    Other,
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The failure of one attempt.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) reason: Reason,
    pub(super) source: Option<BoxError>,
    /// The wait that the server requests.
    pub(super) retry_after: Option<Duration>,
}

impl Failure {
    pub(super) fn with_source(reason: Reason, source: impl Into<BoxError>) -> Self {
        Self { reason, source: Some(source.into()), retry_after: None }
    }

    pub(super) fn into_error(self, url: String, tried: Attempts) -> Error {
        Error::Fetch { url, reason: self.reason, tried, source: self.source }
    }
}

impl From<Reason> for Failure {
    fn from(reason: Reason) -> Self {
        Self { reason, source: None, retry_after: None }
    }
}
