//! A chunk server as a program of its own: a server of a cluster where `ARRAYJOB_TLS_DIR` says who it is, else a process on
//! loopback, as `arrayjob` starts itself instead.

use chunkserver::{process, standalone};
use std::process::ExitCode;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::prelude::*;

fn main() -> ExitCode {
    let settings = standalone::Settings::from_environment();
    // A pod cannot be started again with more logs after a failure, so its server logs from the start.
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
