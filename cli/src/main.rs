//! The program `arrayjob`. The same file also runs as a chunk server, so `arrayjob` finds its server without PATH.

use clap::{CommandFactory as _, FromArgMatches as _};
use cli::args::{Cli, Verb};
use cli::error::Error;
use cli::{cluster, demo, get, message, peek, plan, print, projector, report, run};
use std::process::ExitCode;
use std::time::Instant;
use tracing::level_filters::LevelFilter;

fn main() -> ExitCode {
    // SAFETY: this is the first statement of the program, so that no other thread runs.
    unsafe { chunkserver::environment::remove_empty_paths() };
    let started = Instant::now();
    // Help shows the name that the user typed: arrayjob, or kubectl arrayjob.
    let parsed = Cli::command().bin_name(cluster::program()).try_get_matches().and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) => {
            // clap reports --help and --version as errors for standard output.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    // Servers inherit the limit. A limit that stays too low is reported with the plan.
    let _ = chunkserver::limits::raise_open_files();
    // Progress and errors are for everyone; logs need RUST_LOG.
    chunkserver::logs::start(LevelFilter::OFF);
    if matches!(cli.verb, Verb::ChunkServer) {
        return match chunkserver::process::run() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                message(&format!("chunk server: {error}"));
                ExitCode::FAILURE
            }
        };
    }
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            message(&format!("arrayjob: {error}"));
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(execute(cli.verb, started)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            message(&format!("arrayjob: {}", error.sentence()));
            error.exit_code()
        }
    }
}

async fn execute(verb: Verb, started: Instant) -> Result<(), Error> {
    let _signal = chunkserver::limits::survive_large_files();
    match verb {
        Verb::Run(args) => run::run(args, started).await,
        Verb::Serve(args) => run::run(args.into(), started).await,
        Verb::Plan(args) => plan::plan(args).await,
        Verb::Peek(args) => peek::peek(args).await,
        Verb::Get(args) => get::get(args).await,
        Verb::Open(args) => cluster::open(args).await,
        Verb::Watch(args) => cluster::watch(args, started).await,
        Verb::Report(args) => report::report(args).await,
        Verb::Demo(args) => demo::demo(args, started).await,
        Verb::Movie(args) => projector::project(args).await,
        Verb::Crd => {
            let yaml = serde_saphyr::to_string(&crds::definition()).map_err(|error| Error::Start(error.into()))?;
            print(yaml.as_bytes())
        }
        Verb::Openapi => print(format!("{:#}\n", chunkserver::server::openapi()).as_bytes()),
        Verb::ChunkServer => Ok(()),
    }
}
