//! One binary carries it all: the command starts itself as a chunk server, so nothing has to be found on PATH.

use clap::{CommandFactory as _, FromArgMatches as _};
use cli::args::{Cli, Run, Verb};
use cli::error::Error;
use cli::progress::line;
use cli::{budget, cluster, demo, get, peek, projector, report, run};
use operator::turn::prepare;
use operator::validate::Place;
use std::io::Write as _;
use std::process::ExitCode;
use std::time::Instant;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let started = Instant::now();
    // Help shows what was typed.
    let parsed = Cli::command().bin_name(cluster::program()).try_get_matches().and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) => {
            // Help is no error, and goes to standard output.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    // Progress and errors tell people what they need; logs are for whoever asks with RUST_LOG.
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("off"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    if matches!(cli.verb, Verb::ChunkServer) {
        return match chunkserver::process::run() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                line(&format!("chunk server: {error}"));
                ExitCode::FAILURE
            }
        };
    }
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            line(&format!("arrayjob: {error}"));
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(carry_out(cli.verb, started)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            line(&format!("arrayjob: {}", error.sentence()));
            error.exit_code()
        }
    }
}

async fn carry_out(verb: Verb, started: Instant) -> Result<(), Error> {
    match verb {
        Verb::Run(ask) => run::run(ask, started).await.map(drop),
        Verb::Serve(ask) => {
            let ask = Run {
                file: ask.file,
                servers: ask.servers,
                out: None,
                memory: None,
                save: Vec::new(),
                serve: true,
                progress: ask.progress,
            };
            run::run(ask, started).await.map(drop)
        }
        Verb::Plan(ask) => plan(ask).await,
        Verb::Peek(ask) => peek::peek(ask).await,
        Verb::Get(ask) => get::get(ask).await,
        Verb::Open(ask) => cluster::open(ask).await,
        Verb::Watch(ask) => cluster::watch(ask, started).await,
        Verb::Report(ask) => report::report(ask).await,
        Verb::Demo(ask) => demo::demo(ask, started).await,
        Verb::Movie(ask) => projector::project(ask).await,
        Verb::Crd => {
            let yaml = serde_saphyr::to_string(&crds::definition()).map_err(|error| Error::Start(error.into()))?;
            print(&yaml)
        }
        Verb::Openapi => print(&format!("{:#}\n", chunkserver::server::openapi())),
        Verb::ChunkServer => Ok(()),
    }
}

async fn plan(ask: cli::args::Plan) -> Result<(), Error> {
    let mut manifest = run::read_manifest(&ask.file)?;
    if let Some(servers) = ask.servers {
        manifest.spec.servers.get_or_insert_default().replicas = Some(crds::v1alpha1::Replicas::Count(servers));
    }
    run::fill_in(&ask.file, &mut manifest).await?;
    let mut budget = budget::here();
    if let Some(memory) = &ask.memory {
        let bytes = budget::parse(memory)?;
        budget.memory = api::plan::Allowance::PerServer(bytes);
    }
    let (_, plan) = prepare(&manifest, &budget, Place::Machine).map_err(|source| Error::Invalid { path: ask.file.clone(), source })?;
    print(&plan.to_string())
}

fn print(text: &str) -> Result<(), Error> {
    std::io::stdout().write_all(text.as_bytes()).map_err(|source| Error::Write { path: "standard output".into(), source })
}
