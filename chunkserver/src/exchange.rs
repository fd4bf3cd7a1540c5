//! The exchange of blocks: the pixels that one server's slabs and another server's band have in common. The owner of the frames cuts a block
//! into pieces, the owner of the pixels pulls the pieces and compares the checksum of each row.

mod own;
mod piece;
mod pull;
mod receive;

pub(crate) use own::{Checks, OwnError, own_piece};
pub(crate) use piece::{PIECE_BYTES, pieces};
pub use pull::pull_block;
