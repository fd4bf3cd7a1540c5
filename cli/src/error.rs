//! What goes wrong with a command, as one sentence and an exit code.

use api::phase::Failure;
use std::path::PathBuf;
use std::process::ExitCode;
use thiserror::Error;

/// Why a command ends early.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "each message says it")]
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
    #[error("frame {frame} cannot be used ({url})")]
    Probe {
        frame: usize,
        url: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("source.zarr cannot be used")]
    Array(#[source] chunkserver::source::zarr::Error),
    #[error("frame {frame} cannot be used")]
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
    #[error("{url} cannot be reached; is the job still being served?")]
    Reach {
        url: String,
        #[source]
        source: reqwest::Error,
    },
    #[error("{0}")]
    Refused(String),
    #[error("no job '{name}' is being served on this machine{known}")]
    NoSuchJob { name: String, known: String },
    #[error("'{0}' is neither a URL nor a job's name")]
    Target(String),
    #[error("no cluster can be asked; give --kubeconfig FILE and --context NAME")]
    Kubeconfig(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("the cluster does not answer ({doing})")]
    Cluster {
        doing: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("{0}")]
    Stopped(String),
    #[error("cannot make a picture of {array}")]
    Picture {
        array: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("the demo's check failed: {0}")]
    Check(String),
    #[error("stopped; everything it started is gone")]
    Interrupted,
}

impl Error {
    /// 1: the job failed. 2: the manifest or the command is wrong. 130: stopped from the keyboard.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::ReadManifest { .. } | Self::Manifest { .. } | Self::Save { .. } | Self::Option { .. } | Self::Target(_) => 2,
            Self::Invalid { source: operator::turn::Error::Invalid(_), .. } => 2,
            Self::Array(error) if error.reason() == api::phase::reason::INVALID_SPEC => 2,
            Self::Interrupted | Self::Stopped(_) => 130,
            _ => 1,
        })
    }

    /// The error and its causes in one line.
    pub fn sentence(&self) -> String {
        api::words::chain(self)
    }
}
