//! The command `arrayjob`. [`args`] is what was typed; each verb has a module of its own.

pub mod args;
pub mod error;

pub mod budget;
pub mod probe;
pub mod progress;
pub mod reader;

pub mod cluster;
pub mod demo;
pub mod get;
mod local;
pub mod movie;
pub mod out;
pub mod outcome;
mod paste;
pub mod peek;
pub mod pictures;
pub mod projector;
pub mod registry;
pub mod report;
pub mod run;
