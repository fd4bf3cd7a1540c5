//! Where a plan stores arrays.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The place of frames (`raw`, `recentered`) and of tiles (`rechunked`, spectra).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Placement {
    /// All arrays in memory.
    Memory,
    /// Frames in memory, tiles on disk: each tile is written once, in order, and only readers and outputs read it.
    TilesOnDisk,
    /// All arrays on disk.
    Disk,
}

impl Placement {
    /// Whether frames are on disk.
    pub const fn has_frames_on_disk(self) -> bool {
        matches!(self, Self::Disk)
    }

    /// Whether tiles are on disk.
    pub const fn has_tiles_on_disk(self) -> bool {
        matches!(self, Self::TilesOnDisk | Self::Disk)
    }

    /// The name in a status.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Memory => "Memory",
            Self::TilesOnDisk => "TilesOnDisk",
            Self::Disk => "Disk",
        }
    }
}

impl fmt::Display for Placement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Memory => "memory",
            Self::TilesOnDisk => "tiles on disk",
            Self::Disk => "disk",
        })
    }
}
