//! The exchange of blocks: the pixels that one server's slabs and another server's band have in common. The owner of the frames cuts a block,
//! the owner of the pixels pulls the block.

mod own;
mod pull;

pub(crate) use own::own_block;
pub use pull::pull_block;
