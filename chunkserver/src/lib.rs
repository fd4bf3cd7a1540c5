//! One server of an ArrayJob: it composes `kernels`, `formats`, `store`, `journal` and `transport`.
//!
//! Modules in the order in which data meets them: [`objects`] opens object stores, [`source`] fetches bytes, [`probe`] looks at one frame,
//! [`share`] holds the server's part of a job, [`exchange`] pulls blocks from peers, [`results`] reads selections from all servers, [`worker`]
//! drives the phases, [`server`] answers HTTP. [`compute`] runs CPU work, the crate `journal` records the work that was done. A server runs as a
//! [`process`] on loopback, or [`standalone`] as one pod of a cluster.

pub mod objects;
pub mod source;

pub mod probe;

pub mod share;

pub mod exchange;
pub mod results;

pub mod server;

pub mod compute;
pub mod process;
pub mod standalone;
pub mod worker;
