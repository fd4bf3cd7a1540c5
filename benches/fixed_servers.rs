//! The loop of the operator over chunk servers that another program has started: benches/network.py starts them in network namespaces.
//!
//!     fixed_servers MANIFEST THREADS MEMORY TLS|KEY HOST:PORT...
//!
//! `TLS` is a folder with ca.crt, tls.crt and tls.key of the operator; `KEY` is the command key of servers on loopback. `MEMORY` is in bytes, for
//! each server. Prints one line of JSON when the job is complete.

#![expect(clippy::print_stdout, clippy::expect_used, clippy::panic, reason = "an example prints, and ends at the first error")]

use api::phase::Seen;
use api::plan::{Allowance, Budget, ServerId};
use operator::fleet::{Error, Fleet, ServerState};
use operator::report::report;
use operator::server_client::ServerClient;
use operator::servers::Servers;
use operator::turn::{Turn, TurnMode, prepare, turn};
use operator::validate::Platform;
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use transport::tls::{Identity, client_config};

/// Longest time between two turns, as in `arrayjob run`.
const INTERVAL: Duration = Duration::from_millis(150);

/// Servers at fixed addresses. None is started, restarted or stopped.
struct FixedServers(Vec<String>);

impl Fleet for FixedServers {
    async fn observe(&self, servers: usize) -> Vec<ServerState> {
        self.0.iter().take(servers).cloned().map(ServerState::Up).collect()
    }

    fn restarts(&self) -> u32 {
        0
    }

    async fn ensure(&self, servers: &[ServerId]) -> Result<(), Error> {
        let id = *servers.first().unwrap_or(&ServerId(0));
        let cause = std::io::Error::other("the servers are started by another program");
        Err(Error::Start { id, program: "chunkserver".into(), cause })
    }

    async fn remove(&self) {}
}

fn client(proof: &str) -> ServerClient {
    if !Path::new(proof).is_dir() {
        return ServerClient::new(proof.to_owned()).expect("the HTTP client starts");
    }
    let identity = Identity::from_folder(Path::new(proof)).expect("the certificates are readable");
    ServerClient::with_tls(client_config(&identity).expect("the certificates are valid")).expect("the HTTP client starts")
}

/// Bytes of each phase on each server.
fn bytes_of_servers(turn: &Turn) -> Vec<Value> {
    let of_server = |seen: &Seen| match seen {
        Seen::Up { progress, .. } => progress.phases.iter().map(|phase| (format!("{:?}", phase.phase), Value::from(phase.bytes))).collect(),
        Seen::Absent | Seen::Exited(_) | Seen::Lost(_) | Seen::Starting => Value::Null,
    };
    turn.observed.servers.iter().map(of_server).collect()
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    transport::crypto::install_crypto();
    let mut arguments = std::env::args().skip(1);
    let mut next = |what: &str| arguments.next().expect(what);
    let text = std::fs::read_to_string(next("a manifest")).expect("the manifest is readable");
    let cores = next("a number of threads").parse().expect("a number of threads");
    let memory = Allowance::PerServer(next("an amount of memory").parse().expect("an amount of memory, in bytes"));
    let servers = Servers::new(client(&next("a folder or a key")));
    let fleet = FixedServers(arguments.collect());
    let mut manifest = operator::manifest::parse(&text).expect("the manifest is valid");
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    manifest.metadata.uid = Some(format!("{nanos:x}"));
    manifest.spec.servers.get_or_insert_default().replicas = Some(crds::v1alpha1::Replicas::Count(fleet.0.len() as u32));
    let (job, plan) = prepare(&manifest, &Budget { memory, cores }, Platform::Cluster).expect("the job has a plan");
    let (begin, mut before) = (Instant::now(), None);
    let last = loop {
        let turn = turn(job.clone(), plan.clone(), &fleet, &servers, TurnMode::Compute).await;
        match turn.ended() {
            Some(Ok(())) => break turn,
            Some(Err(failure)) => panic!("{}: {}", failure.reason, failure.message),
            None if turn.step == api::next_step::Step::Wait || before.as_ref() == Some(&turn.step) => {
                servers.client.wait_for_change(&turn.observed, INTERVAL).await;
            }
            None => {}
        }
        before = Some(turn.step);
    };
    let seconds = begin.elapsed().as_secs_f64();
    let (overlap, exchanged) = (plan.overlap, plan.partition.wire_bytes());
    let bytes = bytes_of_servers(&last);
    println!("{}", json!({"seconds": seconds, "overlap": overlap, "exchanged": exchanged, "bytes": bytes, "report": report(&last)}));
}
