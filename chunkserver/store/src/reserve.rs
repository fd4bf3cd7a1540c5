//! Disk space for a scratch file, reserved before the file is mapped. Without a reservation a write to the mapping of a full disk ends the
//! process with SIGBUS: <https://man7.org/linux/man-pages/man2/mmap.2.html>.

use super::Error;
use nix::errno::Errno;
use nix::fcntl::posix_fallocate;
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::statvfs::statvfs;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;

/// Bytes of one write where the file system cannot reserve space.
const CHUNK_BYTES: usize = 1 << 20;

/// Reserves `bytes` bytes of disk space for the empty `file` in `folder`, and sets the length of the file.
///
/// # Errors
/// [`Error::FileSizeLimit`] when the process may not write such a file, [`Error::DiskFull`] when the file system has too little free space,
/// [`Error::Scratch`] for any other refusal.
pub(crate) fn reserve(file: &File, bytes: usize, folder: &Path) -> Result<(), Error> {
    let full = |available| Error::DiskFull { bytes: bytes as u64, available, folder: folder.to_owned() };
    // Beyond the limit, the reservation fails, and without a handler for SIGXFSZ the process ends.
    if let Some(limit) = file_size_limit().filter(|&limit| limit < bytes as u64) {
        return Err(Error::FileSizeLimit { bytes: bytes as u64, limit, folder: folder.to_owned() });
    }
    // A reservation that fails half-way would fill the disk for a moment, which other processes would notice.
    if let Some(available) = available_bytes(folder).filter(|&available| available < bytes as u64) {
        return Err(full(available));
    }
    let refused = |source: std::io::Error| match source.raw_os_error().map(Errno::from_raw) {
        Some(Errno::ENOSPC | Errno::EDQUOT) => full(available_bytes(folder).unwrap_or(0)),
        _ => Error::Scratch { bytes, folder: folder.to_owned(), source },
    };
    match posix_fallocate(file, 0, bytes as i64) {
        Ok(()) => Ok(()),
        // Without support by the file system, written zeros reserve the space.
        Err(Errno::EOPNOTSUPP | Errno::EINVAL | Errno::ENOSYS) => write_zeros(file, bytes).map_err(refused),
        Err(errno) => Err(refused(errno.into())),
    }
}

/// Free space for unprivileged users of the file system that holds `folder`, in bytes; `None` where the system does not report it.
fn available_bytes(folder: &Path) -> Option<u64> {
    let found = statvfs(folder).ok()?;
    Some(found.blocks_available().saturating_mul(found.fragment_size()))
}

/// The largest file that this process may write, in bytes; `None` where the system does not report a limit.
fn file_size_limit() -> Option<u64> {
    getrlimit(Resource::RLIMIT_FSIZE).ok().map(|(soft, _)| soft)
}

fn write_zeros(mut file: &File, bytes: usize) -> std::io::Result<()> {
    let zeros = vec![0; CHUNK_BYTES.min(bytes)];
    let mut left = bytes;
    while left > 0 {
        let some = left.min(zeros.len());
        file.write_all(&zeros[..some])?;
        left -= some;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt as _;

    /// `stat` counts blocks of 512 bytes: <https://man7.org/linux/man-pages/man3/stat.3type.html>.
    fn reserved_bytes(file: &File) -> u64 {
        file.metadata().unwrap().blocks() * 512
    }

    #[test]
    fn space_is_reserved_before_anything_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let file = tempfile::tempfile_in(folder.path()).unwrap();
        reserve(&file, 3 << 20, folder.path()).unwrap();
        assert_eq!(file.metadata().unwrap().len(), 3 << 20);
        assert!(reserved_bytes(&file) >= 3 << 20, "only {} bytes are reserved", reserved_bytes(&file));
    }

    #[test]
    fn written_zeros_reserve_space_too() {
        let file = tempfile::tempfile().unwrap();
        write_zeros(&file, (3 << 20) + 5).unwrap();
        assert_eq!(file.metadata().unwrap().len(), (3 << 20) + 5);
        assert!(reserved_bytes(&file) >= 3 << 20);
    }

    #[test]
    fn a_file_larger_than_the_disk_is_refused_with_the_numbers() {
        let folder = tempfile::tempdir().unwrap();
        let file = tempfile::tempfile_in(folder.path()).unwrap();
        let free = available_bytes(folder.path()).unwrap();
        let wanted = usize::try_from(free).unwrap() + (1 << 40);
        let error = reserve(&file, wanted, folder.path()).unwrap_err();
        assert!(matches!(error, Error::DiskFull { bytes, .. } if bytes == wanted as u64), "{error}");
        assert!(error.to_string().starts_with("the scratch disk is full"), "{error}");
        assert_eq!(reserved_bytes(&file), 0, "nothing is left behind");
    }
}
