//! One run of a job over simulated servers.

use crate::fleet::{Platform, SimFleet};
use crate::network::SimNetwork;
use crate::server::{COMMAND_KEY, READ_KEY};
use crate::source::{self, Frames};
use crate::trace::Trace;
use api::job::Job;
use api::next_step::Step;
use api::phase::Failure;
use api::plan::Plan;
use operator::fleet::Fleet as _;
use operator::server_client::ServerClient;
use operator::servers::Servers;
use operator::turn::{Turn, TurnMode, turn};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use transport::http::simulation::at;
use transport::http::{Http, Timeouts};

/// Longest simulated time from the end of the last fault to the end of the job, and from there until all arrays are readable. A server
/// waits 60 s for a silent peer, and several faults may cause several such waits one after the other.
pub(crate) const PATIENCE: Duration = Duration::from_secs(240);

/// Names and bytes of all arrays.
pub(crate) type Arrays = Vec<(String, Vec<u8>)>;

/// The name of the loop in the network.
pub(crate) const OPERATOR: &str = "operator";
/// The name of readers in the network.
pub(crate) const READER: &str = "reader";

/// A job, its servers and its source.
pub(crate) struct World {
    pub(crate) seed: u64,
    pub(crate) job: Job,
    pub(crate) plan: Plan,
    pub(crate) trace: Arc<Trace>,
    pub(crate) network: Arc<SimNetwork>,
    pub(crate) fleet: Arc<SimFleet>,
    pub(crate) frames: Arc<Frames>,
    /// Until when the loop is away, in simulated time.
    pub(crate) loop_lost: watch::Sender<Option<Duration>>,
}

impl World {
    pub(crate) fn new(seed: u64, job: Job, plan: Plan, platform: Platform, print: bool) -> Self {
        let trace = Arc::new(Trace::new(print));
        let network = SimNetwork::new(seed, Arc::clone(&trace));
        let frames = Arc::new(Frames::new(&job, seed));
        network.listen(source::HOST, frames.router(), || ());
        let fleet = SimFleet::new(seed, platform, &network);
        Self { seed, job, plan, trace, network, fleet, frames, loop_lost: watch::Sender::new(None) }
    }

    /// The part of the loop that is lost with its process.
    fn servers(&self) -> Servers {
        let client = at(&self.network.endpoint(OPERATOR), || ServerClient::new(COMMAND_KEY.into()));
        Servers::new(client.expect("a client"))
    }

    /// Takes turns until the job ends.
    pub(crate) async fn complete(&self) -> Result<(), Failure> {
        let servers = self.servers();
        let mut before = None;
        loop {
            let turn = turn(self.job.clone(), self.plan.clone(), &*self.fleet, &servers, TurnMode::Compute).await;
            if before.as_ref() != Some(&turn.step) {
                self.trace.event(&format!("step: {}", shown(&turn.step)));
            }
            if let Some(ended) = turn.ended() {
                return ended.map_err(Clone::clone);
            }
            if turn.step == Step::Wait || before.as_ref() == Some(&turn.step) {
                self.wait(&turn, &servers, Duration::from_millis(150)).await;
            }
            before = Some(turn.step);
        }
    }

    /// As [`Self::complete`]; the loop is lost and started again at the times of the faults.
    pub(crate) async fn complete_again(&self) -> Result<(), Failure> {
        self.again(|| self.complete()).await
    }

    /// As [`Self::keep`]; the loop is lost and started again at the times of the faults.
    pub(crate) async fn keep_again(&self) -> Failure {
        self.again(|| self.keep()).await
    }

    async fn again<F: Future>(&self, turns: impl Fn() -> F) -> F::Output {
        let mut lost = self.loop_lost.subscribe();
        loop {
            loop {
                // Copied, so that a fault during the pause may change it.
                let until = *lost.borrow_and_update();
                match until.and_then(|until| until.checked_sub(self.trace.now())) {
                    Some(left) if !left.is_zero() => tokio::time::sleep(left).await,
                    Some(_) | None => break,
                }
            }
            self.trace.event("the loop starts");
            tokio::select! {
                biased;
                ended = turns() => return ended,
                // The sender lives as long as `self`.
                _ = lost.changed() => self.trace.event("the loop is lost"),
            }
        }
    }

    /// Takes turns that only keep the servers.
    pub(crate) async fn keep(&self) -> Failure {
        let servers = self.servers();
        loop {
            let turn = turn(self.job.clone(), self.plan.clone(), &*self.fleet, &servers, TurnMode::Serve).await;
            if let Some(Err(failure)) = turn.ended() {
                return failure.clone();
            }
            self.wait(&turn, &servers, Duration::from_secs(1)).await;
        }
    }

    async fn wait(&self, turn: &Turn, servers: &Servers, interval: Duration) {
        tokio::select! {
            biased;
            () = servers.client.wait_for_change(&turn.observed, interval) => {}
            () = self.fleet.until_changed() => {}
        }
    }

    /// A client of readers.
    pub(crate) fn reader(&self) -> Http {
        let timeouts = Timeouts { total: Some(Duration::from_secs(60)), ..Timeouts::default() };
        at(&self.network.endpoint(READER), || Http::new(reqwest::Client::builder(), timeouts)).expect("a client")
    }

    /// A whole array from the server at `name`. `Err` is a refusal or a broken response.
    pub(crate) async fn read(&self, reader: &Http, name: &str, array: &str) -> Result<Vec<u8>, String> {
        let request = reader.get(format!("http://{name}/slice/{array}")).bearer_auth(READ_KEY);
        let response = reader.send(request).await.map_err(|error| format!("{array}: no response: {error:?}"))?;
        let status = response.status();
        let body = response.bytes().await.map_err(|error| format!("{array}: {error:?}"))?;
        if status.is_success() { Ok(body.to_vec()) } else { Err(format!("{array}: {status} {}", String::from_utf8_lossy(&body))) }
    }

    /// All arrays, each from the next server.
    pub(crate) async fn read_all(&self) -> Result<Arrays, String> {
        let reader = self.reader();
        let mut arrays = Vec::new();
        for (number, array) in self.plan.arrays(&self.job).into_iter().enumerate() {
            let up = self.fleet.up();
            let name = up.get(number % up.len().max(1)).ok_or("no server listens")?;
            let bytes = self.read(&reader, name, &array.name).await?;
            arrays.push((array.name, bytes));
        }
        Ok(arrays)
    }

    /// Ends everything.
    pub(crate) async fn end(&self) {
        self.fleet.remove().await;
        self.network.end_all();
    }
}

fn shown(step: &Step) -> String {
    match step {
        Step::Assign(ids, assignment) => format!("Assign({ids:?}, stamp {:x}, {:?})", assignment.stamp(), assignment.goal),
        Step::Launch(_) | Step::Write(_) | Step::Wait | Step::Finish | Step::Fail(_) => format!("{step:?}"),
    }
}
