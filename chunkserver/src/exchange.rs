//! Blocks: what one server's slabs and another's band have in common, cut here by the one that has the frames, pulled
//! there by the one that owns the pixels.

mod pull;

pub use pull::pull_block;
