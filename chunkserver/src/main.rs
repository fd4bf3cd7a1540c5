//! The chunk server program: a server of a cluster if `ARRAYJOB_TLS_DIR` is set, otherwise a process on loopback, as `arrayjob` starts it.

use chunkserver::{process, standalone};
use std::process::ExitCode;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::prelude::*;

fn main() -> ExitCode {
    let settings = standalone::Settings::from_environment();
    // On a cluster the default level is INFO, because the log must exist when an operator needs it.
    let level = if matches!(settings, Ok(None)) { LevelFilter::ERROR } else { LevelFilter::INFO };
    let levels = std::env::var("RUST_LOG").ok().and_then(|levels| levels.parse::<Targets>().ok());
    let levels = levels.unwrap_or_else(|| Targets::new().with_default(level));
    tracing_subscriber::registry().with(tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_filter(levels)).init();
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
