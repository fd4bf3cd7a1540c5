//! Tests of ArrayJob on a Kubernetes cluster through its user interfaces: charts, manifests and kubectl, including failures.
//! `tests/with-cluster tests/cluster/run` finds a cluster, installs both charts and runs the tests in sequence.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail the test")]

mod api_server;
mod common;
mod first_result;
mod helm;
mod lifecycle;
mod lost_node;
mod lost_operator;
mod lost_server;
mod network_policy;
mod object_store;
mod obstacles;
mod plugin;
mod refused;
mod upgrade;
