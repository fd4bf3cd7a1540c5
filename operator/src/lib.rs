//! The loop that drives an ArrayJob. [`manifest`] reads, [`validate`] checks, [`turn`] looks, decides and acts once, [`report`]
//! tells. [`fleet`] is the only thing that knows what a server is made of.

pub mod manifest;
pub mod validate;

pub mod carry_out;
pub mod fleet;
pub mod observe;
pub mod servers;

pub mod report;
pub mod turn;

pub use turn::{Turn, turn};
