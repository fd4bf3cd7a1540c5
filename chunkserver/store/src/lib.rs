//! The one owner of pixels: mappings made once, cut into slots that are each written once and then read by many.

mod mapping;
mod slots;

pub use mapping::Mapping;
pub use slots::{SlotWriter, Slots};

use std::path::PathBuf;
use thiserror::Error;

/// Why pixels have no place.
#[derive(Debug, Error)]
pub enum Error {
    /// The system refuses the memory.
    #[error("cannot map {bytes} bytes of memory")]
    Map {
        /// Size of the mapping.
        bytes: usize,
        /// The system's words.
        #[source]
        source: std::io::Error,
    },
    /// The scratch folder refuses the file.
    #[error("cannot make a scratch file of {bytes} bytes in {}", folder.display())]
    Scratch {
        /// Size of the file.
        bytes: usize,
        /// The folder.
        folder: PathBuf,
        /// The system's words.
        #[source]
        source: std::io::Error,
    },
}
