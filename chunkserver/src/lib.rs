//! One server of an ArrayJob: it composes `kernels`, `formats`, `store`, `journal` and `transport`.
//!
//! Modules in the order of the data flow: [`egress`] limits connections on a cluster, [`objects`] opens object stores, [`source`] fetches bytes, [`probe`] fetches one frame, [`share`] contains
//! the server's part of a job, [`exchange`] pulls blocks from peers, [`results`] reads selections from all servers, [`worker`]
//! drives the phases, [`server`] serves HTTP. [`compute`] runs CPU work, [`logs`] writes to standard error, the crate `journal` records finished work, [`clock`] is the time of all
//! records, [`limits`] are limits of the system, [`environment`] cleans its variables. A server runs as a [`process`] on loopback, or [`standalone`] as one pod of a cluster.

pub mod egress;
pub mod objects;
pub mod source;

pub mod probe;

pub mod share;

pub mod exchange;
pub mod results;

pub mod server;

pub mod clock;
pub mod compute;
pub mod environment;
pub mod limits;
pub mod logs;
pub mod process;
pub mod standalone;
pub mod worker;
