//! The types that all programs of ArrayJob share. Pure: no I/O, no async code, no Kubernetes, no clock.
//!
//! Each module uses modules above it in this list alone (`tests/local/modules.rs` checks this):
//!
//! 1. [`words`], an error and its causes as one sentence
//! 2. [`hash`], FNV-1a
//! 3. [`egress`], the addresses that jobs on a cluster may reach
//! 4. [`geometry`], element types, shapes of frames, ranges
//! 5. [`template`], URL templates of frames
//! 6. [`selection`], NumPy's basic slicing
//! 7. [`job`], a valid job
//! 8. [`partition`], which server owns which frames and pixels
//! 9. [`arrays`], the arrays that readers see
//! 10. [`output_grid`], the objects of an output, and the server that writes each object
//! 11. [`plan`], the partition, with storage and memory
//! 12. [`phase`], the progress of servers, and of the whole job
//! 13. [`digest`], which bytes the source sent for each frame
//! 14. [`wire`], routes, headers and bodies between programs
//! 15. [`mod@next_step`], the decision of the loop

pub mod arrays;
pub mod digest;
pub mod egress;
#[cfg(test)]
mod fixture;
pub mod geometry;
pub mod hash;
pub mod job;
pub mod next_step;
pub mod output_grid;
pub mod partition;
pub mod phase;
pub mod plan;
pub mod selection;
pub mod template;
pub mod wire;
pub mod words;

pub use job::Job;
pub use next_step::{Step, next_step};
pub use phase::{Observed, Phase};
pub use plan::{Budget, Plan};
