//! The arrays of a job as one Zarr hierarchy: keys in; metadata, listings and the regions of chunks out. Both versions of the format have
//! the same root. This module reads no pixels.
//!
//! Specifications: Zarr v3 <https://zarr-specs.readthedocs.io/en/latest/v3/core/index.html>, Zarr v2
//! <https://zarr-specs.readthedocs.io/en/latest/v2/v2.0.html>, OME-NGFF 0.5 <https://ngff.openmicroscopy.org/0.5/>.
//!
//! ```text
//! ""  zarr.json  .zgroup  .zattrs  .zmetadata                         the group: listing, v3, v2
//! {array}/  {array}/zarr.json  {array}/c/i/j/k                        an array in v3
//!           {array}/.zarray  {array}/.zattrs  {array}/i.j.k           the array in v2
//! {array}@ct,cy,cx/…                                                  the array on any chunk grid
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

/// Why a key does not exist.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[expect(missing_docs, reason = "each message describes its variant")]
pub enum Error {
    #[error("there is no key '{0}'")]
    NoSuchKey(String),
    #[error("there is no array '{name}'; there are {known}")]
    NoSuchArray { name: String, known: String },
    #[error("'{grid}' is not a chunk grid of '{array}', whose shape is {shape:?}; write one size for each axis, or -1 for all of it")]
    NoGrid { array: String, grid: String, shape: Vec<usize> },
    #[error("there is no chunk {index:?} of '{array}': there are {counts:?} along its axes")]
    NoSuchChunk { array: String, index: Vec<usize>, counts: Vec<usize> },
}

/// All views under one root.
#[derive(Clone, Debug)]
pub struct Hierarchy {
    views: Vec<View>,
}

impl Hierarchy {
    /// The hierarchy of a planned job's arrays.
    pub fn new(arrays: &[Array], plan: &Plan) -> Self {
        Self { views: view::views(arrays, plan) }
    }

    /// The views, in order.
    pub fn views(&self) -> &[View] {
        &self.views
    }

    fn view(&self, name: &str) -> Option<&View> {
        self.views.iter().find(|view| view.name == name)
    }
}
