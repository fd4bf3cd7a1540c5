//! The words that every program of ArrayJob shares. Pure: no I/O, no async, no Kubernetes, and no clock.
//!
//! In the order in which a job meets them: [`geometry`] says where things are, [`template`] names the frames'
//! addresses, [`job`] is what was asked, [`plan`] is who owns what, [`arrays`] lists what readers will see,
//! [`selection`] is NumPy's slicing of it, [`layout`] cuts it into what is written, [`phase`] is how far each server is, [`next_step`] decides, and
//! [`wire`] is what programs say to each other, [`words`] what people are told.

pub mod arrays;
#[cfg(test)]
mod fixture;
pub mod geometry;
pub mod hash;
pub mod job;
pub mod layout;
pub mod next_step;
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
