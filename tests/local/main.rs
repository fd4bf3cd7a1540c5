//! Tests of ArrayJob on one machine through its user interfaces: the built command, its server processes, and reliable and faulty
//! sources.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail the test")]
#![expect(clippy::print_stdout, reason = "libtest shows measured memory on request")]

mod bad_input;
mod changed_source;
mod clouds;
mod connections;
mod disk;
mod documents;
mod faults;
mod flaky;
mod leftovers;
mod limits;
mod memory;
mod modules;
mod open_anywhere;
mod page;
mod partial;
mod peek;
mod reference;
mod servers;
mod slices;
mod starts;
mod stores;
mod tidy;
mod tls;
