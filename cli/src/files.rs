//! Files that appear whole or not at all.

use crate::error::Error;
use crate::leftovers;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;

/// Longest process id, in digits. The uid of a run is longer.
const ID_DIGITS: usize = 10;

/// Writes a file under a temporary name in the same folder, then renames the file. Removes the temporary files of killed commands.
///
/// # Errors
/// The folder or the file is not writable.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let prefix = format!(".{}.partial-", path.file_name().unwrap_or_default().to_string_lossy());
    sweep(folder, &prefix);
    let partial = folder.join(format!("{prefix}{}", std::process::id()));
    write_whole(&partial, path, bytes).map_err(|source| {
        // The first error is reported, not an error of the removal.
        let _ = std::fs::remove_file(&partial);
        Error::Write { path: path.to_owned(), source }
    })
}

fn write_whole(partial: &Path, path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = File::create(partial)?;
    // Without support for locks, no command removes the file.
    let _ = file.try_lock();
    file.write_all(bytes)?;
    std::fs::rename(partial, path)
}

fn sweep(folder: &Path, prefix: &str) {
    let is_id = |text: &str| !text.is_empty() && text.len() <= ID_DIGITS && text.bytes().all(|byte| byte.is_ascii_digit());
    for name in leftovers::names(folder).iter().filter(|name| name.strip_prefix(prefix).is_some_and(is_id)) {
        let partial = folder.join(name);
        if partial.is_file()
            && let Some(_lock) = leftovers::take_over(&partial)
        {
            leftovers::remove(&partial);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_written_whole_and_files_of_killed_commands_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npy");
        let of = |owner: &str| folder.path().join(format!(".a.npy.partial-{owner}"));
        for owner in ["123", "456", "1f17e5a0c9b2d4e3"] {
            std::fs::write(of(owner), "half").unwrap();
        }
        let live = File::open(of("456")).unwrap();
        live.try_lock().unwrap();
        write(&path, b"whole").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"whole");
        assert!(!of("123").exists() && of("456").exists() && of("1f17e5a0c9b2d4e3").exists());
        assert!(write(&folder.path().join("no/where.npy"), b"x").is_err());
    }
}
