//! The verbs that speak to a cluster: what `kubectl arrayjob` adds to kubectl. All of them ask the API server alone, with
//! the rights of whoever types them; what a server of a job answers comes through the API server's port-forward.

pub(crate) mod door;
pub(crate) mod forward;
pub(crate) mod job;
pub(crate) mod open;
pub(crate) mod place;
pub(crate) mod pods;
pub(crate) mod report;
pub(crate) mod watch;

pub use open::open;
pub use place::{is_plugin, program};
pub use report::report;
pub use watch::watch;
