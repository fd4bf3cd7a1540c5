//! The chunk server program: a server of a cluster if `ARRAYJOB_TLS_DIR` is set, otherwise a process on loopback, as `arrayjob` starts it.

use chunkserver::{environment, limits, logs, process, standalone};
use std::process::ExitCode;
use tracing::level_filters::LevelFilter;

fn main() -> ExitCode {
    // SAFETY: this is the first statement of the program, so that no other thread runs.
    unsafe { environment::remove_empty_paths() };
    let settings = standalone::Settings::from_environment();
    // On a cluster the default level is INFO, because the log must exist when an operator needs it.
    logs::start(if matches!(settings, Ok(None)) { LevelFilter::ERROR } else { LevelFilter::INFO });
    // A lower limit is reported by the operation that needs a file.
    let _ = limits::raise_open_files();
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
