//! ArrayJob on one machine, as its users meet it: the built command, its server processes, and sources of every mood.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail the test")]
#![expect(clippy::print_stdout, reason = "measured memory is worth reading; libtest shows it on request")]

mod bad_input;
mod clouds;
mod documents;
mod faults;
mod flaky;
mod memory;
mod modules;
mod open_anywhere;
mod page;
mod partial;
mod peek;
mod reference;
mod servers;
mod slices;
mod stores;
mod tidy;
mod tls;
