//! The operator against a fake cluster: a fake API server, and fake chunk servers for tests that need progress.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helper functions fail the test")]

mod api_server;
mod operator;
mod responses;

mod children;
mod crash;
mod deadlines;
mod fake_servers;
mod fleet;
mod lease;
mod start;
mod stop;
mod work;
