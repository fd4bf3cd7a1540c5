//! A chunk server as a program of its own: a server of a cluster where `ARRAYJOB_TLS_DIR` says who it is, else a process on
//! loopback, as `arrayjob` starts itself instead.

use chunkserver::{process, standalone};
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

fn main() -> ExitCode {
    let settings = standalone::Settings::from_environment();
    // On a cluster nobody is asked before: the log has to be there when it is needed.
    let level = if matches!(settings, Ok(None)) { LevelFilter::ERROR } else { LevelFilter::INFO };
    let filter = EnvFilter::builder().with_default_directive(level.into()).from_env_lossy();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let served: Result<(), Box<dyn std::error::Error>> = match settings {
        Ok(Some(settings)) => standalone::run(&settings).map_err(Into::into),
        Ok(None) => process::run().map_err(Into::into),
        Err(error) => Err(error.into()),
    };
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("cannot serve: {}", api::words::chain(&*error));
            ExitCode::FAILURE
        }
    }
}
