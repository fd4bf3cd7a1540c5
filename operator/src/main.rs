//! The operator: reconciles ArrayJobs of a cluster, or of one namespace.

use clap::Parser;
use operator::controller::{self, Settings};
use operator::fleet::kubernetes::pod;
use operator::health::{self, Health};
use operator::key;
use operator::lease::Election;
use operator::metrics::Metrics;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::prelude::*;

/// Reconciles ArrayJobs: launches chunk servers as pods, drives them, and tells in each job's status how it stands.
#[derive(Debug, Parser)]
#[command(name = "arrayjob-operator", version, about)]
struct Flags {
    /// The one namespace to watch; default: all
    #[arg(long, value_name = "NAMESPACE")]
    watch_namespace: Option<String>,
    /// The operator's own namespace, for its lease and its key
    #[arg(long, env = "POD_NAMESPACE", default_value = "default")]
    namespace: String,
    /// The operator's name in events and in the lease
    #[arg(long, env = "POD_NAME", default_value = "arrayjob-operator")]
    name: String,
    /// Image of the chunk servers
    #[arg(long)]
    server_image: String,
    /// When that image is pulled: Always, IfNotPresent or Never
    #[arg(long)]
    server_image_pull_policy: Option<String>,
    /// A Secret of the job's namespace for pulling that image; may be given several times
    #[arg(long)]
    server_image_pull_secret: Vec<String>,
    /// Service account of the chunk servers; its token is never mounted
    #[arg(long)]
    server_service_account: Option<String>,
    /// Processors of a chunk server whose manifest names none
    #[arg(long, default_value = "1")]
    server_cpu: String,
    /// Memory of a chunk server whose manifest names none
    #[arg(long, default_value = "2Gi")]
    server_memory: String,
    /// Where /livez, /readyz and /metrics answer
    #[arg(long, default_value = "[::]:8080")]
    listen: SocketAddr,
    /// Work without a lease; only where no second operator can run
    #[arg(long)]
    no_leader_election: bool,
    /// Make no NetworkPolicy around each job
    #[arg(long)]
    no_network_policies: bool,
}

fn main() -> ExitCode {
    let flags = Flags::parse();
    let levels = std::env::var("RUST_LOG").ok().and_then(|levels| levels.parse::<Targets>().ok());
    let levels = levels.unwrap_or_else(|| Targets::new().with_default(LevelFilter::INFO));
    let logs = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(std::io::stderr);
    tracing_subscriber::registry().with(logs.with_filter(levels)).init();
    transport::crypto::install_crypto();
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "cannot start");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run(flags)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = api::words::chain(&*error), "the operator ends");
            ExitCode::FAILURE
        }
    }
}

async fn run(flags: Flags) -> Result<(), Box<dyn std::error::Error>> {
    let (stop, stopped) = watch::channel(false);
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        let _ = stop.send(true);
    });
    let (health, metrics) = (Arc::new(Health::default()), Arc::new(Metrics::default()));
    let listener = TcpListener::bind(flags.listen).await?;
    let router = health::router(Arc::clone(&health), Arc::clone(&metrics));
    tokio::spawn(transport::listen::serve(listener, router, std::future::pending()));
    let client = kube::Client::try_default().await?;
    let election = Election::new(client.clone(), &flags.namespace, flags.name.clone());
    tracing::info!(version = env!("CARGO_PKG_VERSION"), watch = flags.watch_namespace, "the operator starts");
    let elects = !flags.no_leader_election;
    if elects {
        tokio::select! {
            () = election.win(|| health.stand_by()) => tracing::info!("this operator leads"),
            () = ended(stopped.clone()) => return Ok(()),
        }
    }
    metrics.leads.set(1);
    health.lead();
    let key = key::load(&client, &flags.namespace).await?;
    let options = controller::Options {
        settings: Settings {
            servers: pod::Options {
                image: flags.server_image,
                image_pull_policy: flags.server_image_pull_policy,
                image_pull_secrets: flags.server_image_pull_secret,
                service_account: flags.server_service_account,
                cpu: flags.server_cpu,
                memory: flags.server_memory,
            },
            network_policies: !flags.no_network_policies,
            namespace: flags.namespace,
        },
        watch: flags.watch_namespace,
        instance: flags.name,
    };
    let work = controller::run(client, options, key, Arc::clone(&health), metrics, ended(stopped.clone()));
    let holding = async {
        if elects {
            election.hold().await;
        } else {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        () = work => {}
        () = holding => return Err("the lease was lost; another operator goes on".into()),
    }
    if elects {
        election.resign().await;
    }
    if *stopped.borrow() { Ok(()) } else { Err("the watches ended".into()) }
}

/// Done once the operator is to end.
async fn ended(mut stopped: watch::Receiver<bool>) {
    // An error says that nobody will tell; then there is nothing to wait for either.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}
