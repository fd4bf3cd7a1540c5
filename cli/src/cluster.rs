//! The verbs for a cluster, which `kubectl arrayjob` adds to kubectl. All of them talk to the API server only, with the
//! permissions of the user. Requests to a job's servers pass through the port-forward of the API server.

mod connection;
mod find;
pub(crate) mod target;

#[cfg(feature = "kubernetes")]
pub(crate) mod access;
#[cfg(feature = "kubernetes")]
mod array_job;
#[cfg(feature = "kubernetes")]
pub(crate) mod forward;
#[cfg(feature = "kubernetes")]
pub(crate) mod job;
#[cfg(feature = "kubernetes")]
pub(crate) mod open;
#[cfg(feature = "kubernetes")]
pub(crate) mod pods;
#[cfg(feature = "kubernetes")]
pub(crate) mod report;
#[cfg(feature = "kubernetes")]
pub(crate) mod watch;
#[cfg(not(feature = "kubernetes"))]
mod without;

pub(crate) use find::find;
pub use target::{is_plugin, program};
#[cfg(not(feature = "kubernetes"))]
pub use without::{open, report, watch};
#[cfg(feature = "kubernetes")]
pub use {open::open, report::report, watch::watch};
