//! Incomplete outputs: `.NAME.partial-UID`, where UID is the uid of a run. The servers of the run write them. Beside them, the command keeps the
//! locked file `.arrayjob-UID.lock`.

use super::{Ownership, lock, names, remove, take_over};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read as _, Result, Write as _};
use std::path::{Path, PathBuf};

const PREFIX: &str = ".arrayjob-";
const SUFFIX: &str = ".lock";

/// The locks of one run, one for each folder of outputs. Removed on drop.
#[derive(Debug)]
pub(crate) struct OutputLocks {
    locks: Vec<(PathBuf, File)>,
}

impl Drop for OutputLocks {
    fn drop(&mut self) {
        for (path, _) in &self.locks {
            // A file that stays has no owner, and the next run removes it.
            let _ = std::fs::remove_file(path);
        }
    }
}

impl OutputLocks {
    /// Removes the incomplete outputs of ended runs in these folders, and marks the outputs of the run with this uid. A folder that does not
    /// permit a lock has none: the outputs of the run report the error.
    pub(crate) fn new(uid: &str, folders: BTreeSet<PathBuf>) -> Self {
        let mut locks = Vec::new();
        for folder in folders {
            sweep(&folder);
            let path = folder.join(format!("{PREFIX}{uid}{SUFFIX}"));
            match create(&path) {
                Ok(Some(file)) => locks.push((path, file)),
                Ok(None) | Err(_) => drop(std::fs::remove_file(&path)),
            }
        }
        Self { locks }
    }
}

/// Creates a locked file; `None` without support for locks.
fn create(path: &Path) -> Result<Option<File>> {
    loop {
        let file = File::options().read(true).write(true).create(true).truncate(false).open(path)?;
        match lock(path, file)? {
            Ownership::Own(mut file) => {
                file.write_all(machine().as_bytes())?;
                return Ok(Some(file));
            }
            // Another run has removed the file before the lock.
            Ownership::Lost => {}
            Ownership::Unlockable => return Ok(None),
        }
    }
}

/// Host name and boot id of this machine. On a network file system, the locks of another machine may not be visible here.
fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    format!("{}\n{}\n", read("/proc/sys/kernel/hostname"), read("/proc/sys/kernel/random/boot_id"))
}

/// Whether a lock file was written on this machine, perhaps before its last start, or in another container of this machine.
fn is_of_this_machine(text: &str, here: &str) -> bool {
    text.is_empty() || text.lines().zip(here.lines()).any(|(there, here)| !here.is_empty() && there == here)
}

/// Removes the incomplete outputs in `folder` whose runs have ended.
fn sweep(folder: &Path) {
    let names = names(folder);
    for name in &names {
        let Some(uid) = name.strip_prefix(PREFIX).and_then(|rest| rest.strip_suffix(SUFFIX)) else { continue };
        if uid.is_empty() || !uid.chars().all(|c| c.is_ascii_hexdigit()) {
            continue;
        }
        let path = folder.join(name);
        let Some(mut lock) = take_over(&path) else { continue };
        let mut text = String::new();
        if lock.read_to_string(&mut text).is_err() || !is_of_this_machine(&text, &machine()) {
            continue;
        }
        let partial = format!(".partial-{uid}");
        let mut outputs = names.iter().filter(|name| name.starts_with('.') && name.ends_with(&partial));
        // The mark stays until every output is removed.
        if outputs.all(|name| remove(&folder.join(name))) {
            remove(&path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_of_another_machine_is_not_judged() {
        let here = "host\nboot-2\n";
        for (text, expected) in [("host\nboot-1\n", true), ("other\nboot-2\n", true), ("other\nboot-1\n", false), ("", true)] {
            assert_eq!(is_of_this_machine(text, here), expected, "{text:?}");
        }
        assert!(is_of_this_machine(&machine(), &machine()));
        assert!(!is_of_this_machine("\nboot-1\n", "\nboot-2\n"), "an unknown name is not a common name");
    }
}
