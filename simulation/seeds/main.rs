//! A simulation of the loop and the servers over a network and a clock in memory.

#![expect(clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "a failed check fails the test")]

mod dice;
mod fleet;
mod jobs;
mod network;
mod run;
mod server;
mod source;
mod trace;

use fleet::Platform;
use run::World;
use transport::http::simulation::at;

fn main() {
    transport::crypto::install_crypto();
    let seed = 1;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).max_blocking_threads(1).build();
    let runtime = runtime.expect("a runtime");
    let world = runtime.block_on(async {
        let job = jobs::job(seed);
        let plan = jobs::plan(seed, &job);
        World::new(seed, job, plan, Platform::Processes, true)
    });
    at(&world.network.endpoint("loader"), || {
        runtime.block_on(async {
            let ended = world.complete().await;
            println!("{ended:?}");
            println!(
                "{:?}",
                world.read_all().await.map(|arrays| arrays.iter().map(|(name, bytes)| (name.clone(), bytes.len())).collect::<Vec<_>>())
            );
            world.end().await;
            println!("{:?} {:x}", world.fleet.ended.alive(), world.trace.digest());
        });
    });
}
