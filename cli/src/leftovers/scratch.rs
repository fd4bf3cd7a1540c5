//! The folder of scratch files.

use super::{Ownership, names, own, remove, take_over};
use std::fs::File;
use std::io::Result;
use std::path::Path;
use tempfile::TempDir;

/// Beginning of the name of a scratch folder.
const PREFIX: &str = "arrayjob-scratch-";
/// Attempts to create a folder. Another command may remove a folder between its creation and its lock.
const ATTEMPTS: usize = 10;

/// A folder for scratch files, removed on drop.
#[derive(Debug)]
pub(crate) struct Scratch {
    folder: TempDir,
    /// `None` if the file system has no locks.
    _lock: Option<File>,
}

impl Scratch {
    /// Creates a folder in `parent`.
    ///
    /// # Errors
    /// The system refuses the folder.
    pub(crate) fn new(parent: &Path) -> Result<Self> {
        for _ in 0..ATTEMPTS {
            let folder = tempfile::Builder::new().prefix(PREFIX).tempdir_in(parent)?;
            match own(folder.path()) {
                Ok(Ownership::Own(lock)) => return Ok(Self { folder, _lock: Some(lock) }),
                Ok(Ownership::Unlockable) => return Ok(Self { folder, _lock: None }),
                Ok(Ownership::Lost) | Err(_) => {}
            }
        }
        Err(std::io::Error::other("other programs remove the scratch folder"))
    }

    /// The path of the folder.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Removes the scratch folders in `parent` whose commands have ended.
    pub(crate) fn sweep(parent: &Path) {
        for name in names(parent).iter().filter(|name| name.starts_with(PREFIX)) {
            let folder = parent.join(name);
            if let Some(_lock) = take_over(&folder) {
                remove(&folder);
            }
        }
    }
}
