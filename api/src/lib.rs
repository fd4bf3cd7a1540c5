//! The types that all programs of ArrayJob share. Pure: no I/O, no async code, no Kubernetes, no clock.
//!
//! Each module uses modules above it in this list alone (`tests/local/modules.rs` checks this):
//!
//! 1. [`words`], an error and its causes as one sentence
//! 2. [`hash`], FNV-1a
//! 3. [`geometry`], element types, shapes of frames, ranges
//! 4. [`template`], URL templates of frames
//! 5. [`selection`], NumPy's basic slicing
//! 6. [`job`], a valid job
//! 7. [`partition`], which server owns which frames and pixels
//! 8. [`arrays`], the arrays that readers see
//! 9. [`output_grid`], the objects of an output, and the server that writes each object
//! 10. [`plan`], the partition, with storage and memory
//! 11. [`phase`], the progress of servers, and of the whole job
//! 12. [`digest`], which bytes the source sent for each frame
//! 13. [`wire`], routes, headers and bodies between programs
//! 14. [`mod@next_step`], the decision of the loop

pub mod arrays;
pub mod digest;
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
