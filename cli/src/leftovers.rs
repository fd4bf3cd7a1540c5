//! What a killed command leaves: incomplete outputs, scratch folders, entries of served jobs. The next command that finds them removes them.
//!
//! Each file or folder has an owner, the process that holds a lock on it (flock(2): <https://man7.org/linux/man-pages/man2/flock.2.html>). The
//! kernel frees the lock when the process ends, however suddenly. A file whose lock is free has no owner.

mod outputs;
mod scratch;

pub(crate) use outputs::OutputLocks;
pub(crate) use scratch::Scratch;

use std::fs::{File, TryLockError};
use std::io::Result;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// A lock, or the reason why there is none.
#[derive(Debug)]
pub(crate) enum Ownership {
    /// This process owns the file until it drops the lock or ends.
    Own(File),
    /// Another process owns the file, or has removed it.
    Lost,
    /// The file system has no locks, so that no process removes the file.
    Unlockable,
}

/// Locks a file or a folder of this user. Does not wait.
///
/// # Errors
/// The file does not exist or is not readable.
pub(crate) fn own(path: &Path) -> Result<Ownership> {
    let file = File::open(path)?;
    lock(path, file)
}

/// As [`own`], for an open file.
pub(crate) fn lock(path: &Path, file: File) -> Result<Ownership> {
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(Ownership::Lost),
        Err(TryLockError::Error(_)) => return Ok(Ownership::Unlockable),
    }
    // Another process may have removed or replaced the file before this process locked it.
    let (locked, found) = (file.metadata()?, std::fs::symlink_metadata(path).ok());
    let same = found.is_some_and(|found| (found.dev(), found.ino()) == (locked.dev(), locked.ino()));
    Ok(if same { Ownership::Own(file) } else { Ownership::Lost })
}

/// Takes over the file or folder of a process that has ended; `None` if it has an owner, or belongs to another user.
pub(crate) fn take_over(path: &Path) -> Option<File> {
    let found = std::fs::symlink_metadata(path).ok()?;
    // An open of a pipe would wait.
    if !(found.is_dir() || found.is_file()) || found.uid() != nix::unistd::Uid::current().as_raw() {
        return None;
    }
    match own(path) {
        Ok(Ownership::Own(lock)) => Some(lock),
        Ok(Ownership::Lost | Ownership::Unlockable) | Err(_) => None,
    }
}

/// Removes a file, or a folder with everything in it. Returns whether nothing is left.
pub(crate) fn remove(path: &Path) -> bool {
    let removed = match std::fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => std::fs::remove_dir_all(path),
        Ok(_) => std::fs::remove_file(path),
        Err(error) => Err(error),
    };
    removed.is_ok() || std::fs::symlink_metadata(path).is_err()
}

/// The names of the entries of a folder; empty if the folder is not readable.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

#[cfg(test)]
mod tests;
