//! The loop of an ArrayJob: validate → plan → observe → next_step → carry_out → report, over any [`fleet::Fleet`]. [`controller`]
//! runs the loop for every ArrayJob of a cluster.

pub mod manifest;
pub mod validate;

pub mod fleet;
#[cfg(feature = "kubernetes")]
pub mod identity;
pub mod server_client;

pub mod frame_digests;
pub mod servers;

pub mod carry_out;
pub mod observe;
pub mod report;
pub mod turn;

pub mod recorded_plan;

#[cfg(feature = "kubernetes")]
pub mod controller;

#[cfg(feature = "kubernetes")]
pub mod health;
#[cfg(feature = "kubernetes")]
pub mod key;
#[cfg(feature = "kubernetes")]
pub mod lease;
#[cfg(feature = "kubernetes")]
pub mod metrics;
