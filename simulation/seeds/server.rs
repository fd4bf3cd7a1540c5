//! A server as a process of the simulation: the real worker and the real routes.

use crate::dice::Dice;
use crate::network::SimNetwork;
use api::phase::BootId;
use chunkserver::compute::Compute;
use chunkserver::server::{self, Key, Keys};
use chunkserver::share::Share;
use chunkserver::worker::{Environment, Worker};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use transport::client::Client;
use transport::http::simulation::at;

/// The key of readers.
pub(crate) const READ_KEY: &str = "read";
/// The key of the loop and of servers.
pub(crate) const COMMAND_KEY: &str = "command";

/// What must not exist any more after the end of its process.
#[derive(Debug, Default)]
pub(crate) struct Ended {
    workers: Mutex<Vec<(String, Weak<Worker>)>>,
    shares: Mutex<Vec<(String, Weak<Share>)>>,
}

impl Ended {
    /// The workers and shares that still exist, by their start.
    pub(crate) fn alive(&self) -> Vec<String> {
        let (workers, shares) = (lock(&self.workers), lock(&self.shares));
        let workers = workers.iter().filter(|(_, worker)| worker.strong_count() > 0).map(|(boot, _)| format!("the worker of {boot}"));
        let shares = shares.iter().filter(|(_, share)| share.strong_count() > 0).map(|(boot, _)| format!("the share of {boot}"));
        workers.chain(shares).collect()
    }
}

fn lock<T>(of: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts a server that listens at `name`.
pub(crate) fn start(network: &Arc<SimNetwork>, ended: &Arc<Ended>, name: &str, boot: &str, seed: u64) {
    let dice = Mutex::new(Dice::new(seed, boot));
    let slowest = lock(&dice).pick(&[1, 10, 100]);
    let pause = move || lock(&dice).millis(0, slowest);
    let compute = Compute::inline(pause).expect("a thread of the pool");
    let client = at(&network.endpoint(name), || Client::new(COMMAND_KEY.into())).expect("a client");
    let environment = Environment { local_files: true, ..Environment::default() };
    let worker = Arc::new(Worker::new(BootId(boot.into()), compute, client, environment));
    let keys = Keys::loopback(Key::new(READ_KEY.into()), Key::new(COMMAND_KEY.into()), &worker.boot);
    let router = server::router(Arc::clone(&worker), keys);
    let (ended, boot) = (Arc::clone(ended), boot.to_owned());
    network.listen(name, router, move || {
        if let Some(share) = worker.share() {
            lock(&ended.shares).push((boot.clone(), Arc::downgrade(&share)));
        }
        lock(&ended.workers).push((boot, Arc::downgrade(&worker)));
        worker.stop();
    });
}
