//! Why bytes could not be had, in the words of whoever wrote the manifest.

use api::geometry::human_bytes;
use reqwest::StatusCode;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;
use thiserror::Error;

/// Redirects followed in a row.
pub(super) const REDIRECTS: usize = 5;

/// A failed fetch, or options that cannot be used.
#[derive(Debug, Error)]
pub enum Error {
    /// A header of the options.
    #[error("the header {name:?} cannot be sent: a name has letters, digits and dashes, a value visible characters")]
    Header {
        /// Its name; its value is secret.
        name: String,
    },
    /// A secret that is not there.
    #[error("the source's secret cannot be read from {}", path.display())]
    Secret {
        /// Its file or folder.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// TLS and the connection pool.
    #[error("cannot prepare connections")]
    Client {
        /// What is missing.
        source: reqwest::Error,
    },
    /// A URL that could not be fetched.
    #[error("cannot fetch {url}: {reason}{tried}")]
    Fetch {
        /// The URL without its query, which may hold a secret.
        url: String,
        /// Why the last attempt failed.
        reason: Reason,
        /// What has been tried.
        tried: Tried,
        /// What the last attempt met.
        #[source]
        source: Option<BoxError>,
    },
}

impl Error {
    /// Whether trying again later is in vain.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Header { .. } | Self::Secret { .. } | Self::Client { .. } => true,
            Self::Fetch { reason, .. } => reason.is_final(),
        }
    }

    /// Whether there is nothing of that name: 404, no such file, no such object. Anything else may be there, and is not to be had.
    pub fn is_absence(&self) -> bool {
        matches!(self, Self::Fetch { reason, .. } if reason.is_absence())
    }
}

/// Attempts and time spent; shown as ` (6 attempts in 12.3 s)`, or not at all for a single one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tried {
    /// How often.
    pub attempts: u32,
    /// From the first attempt to the last failure.
    pub elapsed: Duration,
}

impl fmt::Display for Tried {
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
    /// No URL.
    #[error("it is not a URL, which begins with http:// or https://")]
    BadUrl,
    /// A URL of a kind that is not read here.
    #[error("{scheme}:// is not read; http:// and https:// are")]
    Scheme {
        /// What stands before the colon.
        scheme: String,
    },
    /// A file, where files are not allowed.
    #[error("file:// works only where the job runs on one machine; serve the images by HTTP")]
    LocalFile,
    /// No such file.
    #[error("the file cannot be read: there is none of this name")]
    NoFile,
    /// No such object.
    #[error("the store has no such object")]
    NoObject,
    /// A store that says no.
    #[error("the store refuses: {what}; check its keys, in source.secretRef or the environment (AWS_…, GOOGLE_…, AZURE_…)")]
    Refused {
        /// In the words of its library.
        what: String,
    },
    /// A store whose keys cannot be had.
    #[error("no keys, neither in source.secretRef nor in the environment (AWS_…, GOOGLE_…, AZURE_…) nor the machine's own: {what}")]
    Keyless {
        /// In the words of its library.
        what: String,
    },
    /// A store that fails.
    #[error("the store does not answer as it should: {what}")]
    Store {
        /// In the words of its library.
        what: String,
    },
    /// A file that cannot be read.
    #[error("the file cannot be read: {what}")]
    File {
        /// Forbidden, a directory.
        what: &'static str,
    },
    /// No connection.
    #[error("cannot connect to {place}: {cause}")]
    Connect {
        /// Host and port.
        place: String,
        /// Why.
        cause: Cause,
    },
    /// Nothing came, or nothing more.
    #[error("no byte arrived for {} s; is the server overloaded?", .timeout.as_secs_f64())]
    Silent {
        /// How long it was waited for.
        timeout: Duration,
    },
    /// Fewer bytes than announced.
    #[error("the answer ended early, after {received} {}", .expected.map_or("bytes".to_owned(), |n| format!("of {n} bytes")))]
    CutShort {
        /// Bytes there were.
        received: u64,
        /// Bytes announced.
        expected: Option<u64>,
    },
    /// The connection broke before an answer, or the answer is not HTTP.
    #[error("the server closed the connection or did not answer in HTTP")]
    Broken,
    /// An answer other than 200.
    #[error("the server answered {status}{}", hint(*.status))]
    Status {
        /// The answer.
        status: StatusCode,
    },
    /// More bytes than a frame can have.
    #[error("the body is larger than {}; is this the URL of an image?", human_bytes(*.limit))]
    TooLarge {
        /// The most that is accepted.
        limit: u64,
    },
    /// Redirected too often, or with a secret to a stranger.
    #[error("its redirect is not followed: more than {} in a row, or to another server while the source has secret headers", REDIRECTS)]
    Redirect,
}

impl Reason {
    /// Whether trying again later is in vain.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Connect { cause, .. } => *cause == Cause::Certificate,
            Self::Silent { .. } | Self::CutShort { .. } | Self::Broken | Self::Store { .. } | Self::Keyless { .. } => false,
            Self::Status { status } => !matches!(status.as_u16(), 408 | 425 | 429 | 500 | 502 | 503 | 504),
            Self::BadUrl
            | Self::Scheme { .. }
            | Self::LocalFile
            | Self::NoFile
            | Self::NoObject
            | Self::Refused { .. }
            | Self::File { .. }
            | Self::TooLarge { .. }
            | Self::Redirect => true,
        }
    }

    /// Whether there is nothing of that name, and the one who would have it says so.
    fn is_absence(&self) -> bool {
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

/// Why there is no connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Cause {
    /// Nobody listens there.
    #[error("connection refused; is the server up, and reachable from here?")]
    Refused,
    /// No way there.
    #[error("no route to it from here")]
    Unreachable,
    /// No answer.
    #[error("no answer; is the server up, and does a firewall or network policy let this through?")]
    TimedOut,
    /// The name is unknown.
    #[error("the host name is unknown here; on a cluster, names are those that its DNS knows")]
    UnknownHost,
    /// TLS: the server's certificate.
    #[error("its certificate is not trusted; SSL_CERT_FILE may name the certificate of a private authority")]
    Certificate,
    /// TLS: anything else.
    #[error("TLS failed; does the server speak https on this port?")]
    Tls,
    /// Opened and lost.
    #[error("the connection was closed at once")]
    Closed,
    /// Anything else.
    #[error("the network failed")]
    Other,
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What one attempt met.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) reason: Reason,
    pub(super) source: Option<BoxError>,
    /// The wait that the server asks for.
    pub(super) retry_after: Option<Duration>,
}

impl Failure {
    pub(super) fn caused(reason: Reason, source: impl Into<BoxError>) -> Self {
        Self { reason, source: Some(source.into()), retry_after: None }
    }

    pub(super) fn after(self, url: String, tried: Tried) -> Error {
        Error::Fetch { url, reason: self.reason, tried, source: self.source }
    }
}

impl From<Reason> for Failure {
    fn from(reason: Reason) -> Self {
        Self { reason, source: None, retry_after: None }
    }
}
