//! ArrayJob on a Kubernetes cluster, as its users meet it: charts, manifests, kubectl, and everything that goes wrong there.
//! `tests/with-cluster tests/cluster/run` finds a cluster, installs both charts and runs these one after another.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail the test")]

mod common;
mod first_result;
mod helm;
mod lifecycle;
mod lost_node;
mod lost_operator;
mod lost_server;
mod object_store;
mod obstacles;
mod plugin;
mod refused;
mod upgrade;
