//! The operator: reconciles the ArrayJobs of a cluster or of one namespace.

use api::egress::{EgressPolicy, Rule};
use clap::Parser;
use operator::controller::{self, Settings};
use operator::fleet::kubernetes::pod;
use operator::fleet::kubernetes::secret_names::SecretNames;
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

/// Reconciles ArrayJobs: creates chunk servers as pods, directs their work, and writes the status of each job.
#[derive(Debug, Parser)]
#[command(name = "arrayjob-operator", version, about)]
struct Flags {
    /// The only namespace to watch; default: all namespaces
    #[arg(long, value_name = "NAMESPACE")]
    watch_namespace: Option<String>,
    /// The operator's own namespace, which contains its lease and its key
    #[arg(long, env = "POD_NAMESPACE", default_value = "default")]
    namespace: String,
    /// The operator's name in events and in the lease
    #[arg(long, env = "POD_NAME", default_value = "arrayjob-operator")]
    name: String,
    /// Image of the chunk servers
    #[arg(long)]
    server_image: String,
    /// Pull policy of the servers' image: Always, IfNotPresent or Never
    #[arg(long)]
    server_image_pull_policy: Option<String>,
    /// A Secret in the job's namespace to pull the servers' image with; may be repeated
    #[arg(long)]
    server_image_pull_secret: Vec<String>,
    /// Service account of the chunk servers; its token is never mounted
    #[arg(long)]
    server_service_account: Option<String>,
    /// CPUs of a chunk server if the manifest states none
    #[arg(long, default_value = "1")]
    server_cpu: String,
    /// Memory of a chunk server if the manifest states none
    #[arg(long, default_value = "2Gi")]
    server_memory: String,
    /// A network or host name that jobs may not reach: 10.0.0.0/8, db.example.org, *.internal; may be repeated
    #[arg(long, value_name = "RULE")]
    egress_deny: Vec<Rule>,
    /// A network or host name that jobs may reach although another rule closes it; may be repeated
    #[arg(long, value_name = "RULE")]
    egress_allow: Vec<Rule>,
    /// Secrets that source.secretRef may name, separated by commas; a `*` at the end is any text
    #[arg(long, value_name = "NAMES", default_value = "*")]
    source_secrets: SecretNames,
    /// Address of /livez, /readyz and /metrics
    #[arg(long, default_value = "[::]:8080")]
    listen: SocketAddr,
    /// Work without a lease; only if no second operator can run
    #[arg(long)]
    no_leader_election: bool,
    /// Do not create a NetworkPolicy for each job
    #[arg(long)]
    no_network_policies: bool,
}

/// The module of the Kubernetes client that logs each failed connection as an error. The operator reports the request that failed.
const CONNECTIONS: &str = "kube_client::client::builder";

/// The levels of the syntax of `RUST_LOG`; INFO if the text is empty or not valid.
fn log_levels(stated: &str) -> Targets {
    let levels = Some(stated).filter(|stated| !stated.is_empty()).and_then(|stated| stated.parse::<Targets>().ok());
    let levels = levels.unwrap_or_else(|| Targets::new().with_default(LevelFilter::INFO));
    let is_stated = levels.iter().any(|(target, _)| CONNECTIONS.starts_with(target));
    if is_stated { levels } else { levels.with_target(CONNECTIONS, LevelFilter::OFF) }
}

fn main() -> ExitCode {
    let flags = Flags::parse();
    let levels = log_levels(&std::env::var("RUST_LOG").unwrap_or_default());
    let logs = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(std::io::stderr);
    tracing_subscriber::registry().with(logs.with_filter(levels)).init();
    transport::crypto::install_crypto();
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "cannot create the async runtime");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run(flags)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = api::words::chain(&*error), "the operator stops");
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
    let elect = !flags.no_leader_election;
    if elect {
        tokio::select! {
            () = election.acquire(|| health.stand_by()) => tracing::info!("this operator leads"),
            () = stop_requested(stopped.clone()) => return Ok(()),
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
                egress: EgressPolicy { deny: flags.egress_deny, allow: flags.egress_allow },
                source_secrets: flags.source_secrets,
            },
            network_policies: !flags.no_network_policies,
            namespace: flags.namespace,
        },
        watch: flags.watch_namespace,
        instance: flags.name,
    };
    let work = controller::run(client, options, key, Arc::clone(&health), metrics, stop_requested(stopped.clone()));
    let renewal = async {
        if elect {
            election.renew_until_lost().await;
        } else {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        () = work => {}
        () = renewal => return Err("the operator lost the lease; another operator continues".into()),
    }
    if elect {
        election.release().await;
    }
    if *stopped.borrow() { Ok(()) } else { Err("the watches ended without a stop signal".into()) }
}

/// Waits for the stop signal.
async fn stop_requested(mut stopped: watch::Receiver<bool>) {
    // An error means that the sender was dropped: the operator stops too.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::Level;

    #[test]
    fn failed_connections_of_the_client_are_logged_only_if_stated() {
        for (stated, connections, operator) in [
            ("", false, true),
            ("no=such=level", false, true),
            ("info", false, true),
            ("warn,operator=info", false, true),
            ("kube=debug,info", true, true),
            ("kube_client=error", true, false),
        ] {
            let levels = log_levels(stated);
            let found = [levels.would_enable(CONNECTIONS, &Level::ERROR), levels.would_enable("operator", &Level::INFO)];
            assert_eq!(found, [connections, operator], "{stated:?}");
        }
    }
}
