//! Errors of the command: one sentence and an exit code each.

use api::phase::Failure;
use std::path::PathBuf;
use std::process::ExitCode;
use thiserror::Error;

/// Why a command ends without success.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "each message describes its variant")]
pub enum Error {
    #[error("cannot read {}", path.display())]
    ReadManifest {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{}", path.display())]
    Manifest {
        path: PathBuf,
        #[source]
        source: operator::manifest::Error,
    },
    #[error("{}", path.display())]
    Invalid {
        path: PathBuf,
        #[source]
        source: operator::turn::Error,
    },
    #[error("{option} '{text}': {rule}")]
    Option { option: &'static str, text: String, rule: &'static str },
    #[error("--save '{text}': {rule}")]
    Save { text: String, rule: String },
    #[error("cannot read frame {frame} ({url})")]
    Probe {
        frame: usize,
        url: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("cannot read source.zarr")]
    Array(#[source] chunkserver::source::zarr::Error),
    #[error("cannot read frame {frame}")]
    Frame {
        frame: usize,
        #[source]
        source: std::sync::Arc<chunkserver::source::zarr::Error>,
    },
    #[error("cannot write {}", path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{}: {}", .0.reason, .0.message)]
    Job(Failure),
    #[error("cannot start")]
    Start(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("no connection to {url}; check that the job is still served")]
    Reach {
        url: String,
        #[source]
        source: reqwest::Error,
    },
    #[error("{0}")]
    Refused(String),
    #[error("array {array}: the server sent {found} values for shape {shape:?}")]
    WrongShape { array: String, shape: Vec<usize>, found: usize },
    #[error("no job '{name}' is served on this machine{hint}")]
    NoSuchJob { name: String, hint: String },
    #[error("'{0}' is not a URL and not a valid job name")]
    Target(String),
    #[error("no usable kubeconfig; set --kubeconfig FILE and --context NAME")]
    Kubeconfig(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("the cluster does not respond ({action})")]
    Cluster {
        action: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("{0}")]
    Stopped(String),
    #[error("cannot draw {array}")]
    Picture {
        array: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("the demo's check failed: {0}")]
    Check(String),
    #[error("stopped by a signal; all servers and partial files are removed")]
    Interrupted,
}

impl Error {
    /// 1: the job failed. 2: the manifest or the command line is wrong. 130: stopped by a signal.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::ReadManifest { .. } | Self::Manifest { .. } | Self::Save { .. } | Self::Option { .. } | Self::Target(_) => 2,
            Self::Invalid { source: operator::turn::Error::Invalid(_), .. } => 2,
            Self::Array(error) if error.reason() == api::phase::reason::INVALID_SPEC => 2,
            Self::Interrupted | Self::Stopped(_) => 130,
            Self::Invalid { .. }
            | Self::Probe { .. }
            | Self::Array(_)
            | Self::Frame { .. }
            | Self::Write { .. }
            | Self::Job(_)
            | Self::Start(_)
            | Self::Reach { .. }
            | Self::Refused(_)
            | Self::WrongShape { .. }
            | Self::NoSuchJob { .. }
            | Self::Kubeconfig(_)
            | Self::Cluster { .. }
            | Self::Picture { .. }
            | Self::Check(_) => 1,
        })
    }

    /// The error and its causes in one line, and what to do about a limit of the system.
    pub fn sentence(&self) -> String {
        format!("{}{}", api::words::chain(self), chunkserver::limits::advice(self))
    }
}
