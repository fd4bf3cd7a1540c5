//! The chunk server program: a server of a cluster if `ARRAYJOB_TLS_DIR` is set, otherwise a process on loopback, as `arrayjob` starts it.

use chunkserver::{logs, process, standalone};
use std::process::ExitCode;
use tracing::level_filters::LevelFilter;

fn main() -> ExitCode {
    let settings = standalone::Settings::from_environment();
    // On a cluster the default level is INFO, because the log must exist when an operator needs it.
    logs::start(if matches!(settings, Ok(None)) { LevelFilter::ERROR } else { LevelFilter::INFO });
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
