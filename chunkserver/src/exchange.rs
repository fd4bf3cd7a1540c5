//! Blocks: what one server's slabs and another's band have in common, cut here by the one that has the frames, pulled
//! there by the one that owns the pixels.

mod cut;
mod pull;

pub use cut::{cut_block, paste_block};
pub use pull::{Client, ClientError, PullError, pull_block};
