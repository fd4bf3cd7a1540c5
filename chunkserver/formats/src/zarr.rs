//! The arrays of a job as one Zarr hierarchy: keys come in; metadata, listings and the regions of chunks go out. Pure; both
//! versions of the format lie under one root, and no chunk is looked at.
//!
//! ```text
//! ""  zarr.json  .zgroup  .zattrs  .zmetadata                         the group: listing, v3, v2
//! {array}/  {array}/zarr.json  {array}/c/i/j/k                        an array in v3
//!           {array}/.zarray  {array}/.zattrs  {array}/i.j.k           the same in v2
//! {array}@ct,cy,cx/…                                                  the same on any chunk grid
//! ome/{array}/zarr.json  ome/{array}/0/…                              a multiscale image of one scale, for viewers
//! ```

mod attributes;
mod grid;
mod key;
mod metadata;
mod view;

pub use grid::Grid;
pub use key::{Document, Node};
pub use view::{Chunk, Origin, View, frequencies};

use api::arrays::Array;
use api::plan::Plan;
use thiserror::Error;

/// Why a key is not there.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[expect(missing_docs, reason = "each message says it")]
pub enum Error {
    #[error("there is no key '{0}'")]
    NoSuchKey(String),
    #[error("there is no array '{name}'; there are {known}")]
    NoSuchArray { name: String, known: String },
    #[error("'{grid}' is no chunk grid of '{array}', whose shape is {shape:?}; write one size for each axis, or -1 for all of it")]
    NoGrid { array: String, grid: String, shape: Vec<usize> },
    #[error("there is no chunk {index:?} of '{array}': there are {counts:?} along its axes")]
    NoSuchChunk { array: String, index: Vec<usize>, counts: Vec<usize> },
}

/// Everything that readers see under one root.
#[derive(Clone, Debug)]
pub struct Hierarchy {
    views: Vec<View>,
}

impl Hierarchy {
    /// The hierarchy of a planned job's arrays.
    pub fn new(arrays: &[Array], plan: &Plan) -> Self {
        Self { views: view::views(arrays, plan) }
    }

    /// Its arrays, in order.
    pub fn views(&self) -> &[View] {
        &self.views
    }

    fn view(&self, name: &str) -> Option<&View> {
        self.views.iter().find(|view| view.name == name)
    }
}
