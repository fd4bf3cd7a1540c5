//! The command `arrayjob`. [`args`] is the command line; each verb has a module of its own.

pub mod args;
pub mod error;

mod budget;
mod console;
mod files;
mod leftovers;
mod manifest;
mod probe;
mod progress;
mod reader;
mod signals;

pub mod cluster;
pub mod demo;
pub mod get;
mod local;
mod movie;
mod out;
mod outcome;
mod paste;
pub mod peek;
mod pictures;
pub mod plan;
pub mod projector;
mod registry;
pub mod report;
pub mod run;

pub use console::{message, print};
