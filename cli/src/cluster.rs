//! The verbs for a cluster, which `kubectl arrayjob` adds to kubectl. All of them talk to the API server only, with the
//! permissions of the user. Requests to a job's servers pass through the port-forward of the API server.

pub(crate) mod access;
pub(crate) mod connection;
pub(crate) mod forward;
pub(crate) mod job;
pub(crate) mod open;
pub(crate) mod pods;
pub(crate) mod report;
pub(crate) mod target;
pub(crate) mod watch;

pub use open::open;
pub use report::report;
pub use target::{is_plugin, program};
pub use watch::watch;
