//! The operator on a cluster on paper: a fake API server, and fake chunk servers where work is done.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests fail the test")]

mod answer;
mod api_server;
mod operator;

mod chunk_servers;
mod crash;
mod deadlines;
mod fleet;
mod lease;
mod start;
mod stop;
mod work;
