//! A small disk that a test fills.

use nix::sys::statvfs::statvfs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file system in memory, of limited size. Unmounted on drop.
#[derive(Debug)]
pub struct Disk(PathBuf);

impl Disk {
    /// `None` without the permission to mount.
    pub fn mount(folder: &Path, size: &str) -> Option<Self> {
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size},mode=700"), "tmpfs"]).arg(folder);
        mount.output().is_ok_and(|output| output.status.success()).then(|| Self(folder.to_owned()))
    }

    /// The free space, in bytes.
    pub fn free_bytes(&self) -> u64 {
        let disk = statvfs(&self.0).unwrap();
        disk.blocks_available() * disk.fragment_size()
    }

    /// Fills the disk with one file, and returns its path.
    pub fn fill(&self) -> PathBuf {
        let path = self.0.join("of-another-program");
        let mut file = std::fs::File::create(&path).unwrap();
        while file.write_all(&[1; 4096]).is_ok() {}
        path
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).output();
    }
}
