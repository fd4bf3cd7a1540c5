//! The jobs that this machine serves: one private file per job, named as the job, with the job's URL. The command that serves the job holds a lock
//! on the file. A change of the folder needs the lock of the folder.

use crate::error::Error;
use crate::leftovers::{self, Ownership};
use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Beginning of the name of a page for a browser.
#[cfg(feature = "kubernetes")]
const PAGE: &str = ".open-";

/// The entry of a served job, removed on drop.
#[derive(Debug)]
pub(crate) struct Entry {
    path: PathBuf,
    url: String,
    /// The locked file; `None` if the file system has no locks.
    _lock: Option<File>,
}

impl Drop for Entry {
    fn drop(&mut self) {
        // A later run of the same name may own the file now.
        if std::fs::read_to_string(&self.path).is_ok_and(|url| url == self.url) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// `$XDG_RUNTIME_DIR/arrayjob`, or a folder of this user below the temporary folder. A relative path in the variable is not valid:
/// <https://specifications.freedesktop.org/basedir/latest/>.
fn folder() -> PathBuf {
    folder_of(std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from), std::env::temp_dir())
}

fn folder_of(runtime: Option<PathBuf>, temporary: PathBuf) -> PathBuf {
    if let Some(runtime) = runtime.filter(|folder| folder.is_absolute()) {
        return runtime.join("arrayjob");
    }
    let temporary = if temporary.is_absolute() { temporary } else { PathBuf::from("/tmp") };
    temporary.join(format!("arrayjob-{}", nix::unistd::Uid::current()))
}

/// Removes the entries whose commands have ended.
pub(crate) fn remove_leftovers() {
    sweep(&folder());
}

/// Registers job `name` at `url`. Entries whose commands have ended are removed.
///
/// # Errors
/// The entry is not writable, or another user owns the folder.
pub(crate) fn register(name: &str, url: &str) -> Result<Entry, Error> {
    let folder = private_folder()?;
    sweep(&folder);
    let mut entry = Entry { path: folder.join(name), url: String::new(), _lock: None };
    entry.set_url(url)?;
    Ok(entry)
}

/// The folder, which only this user can read; created if missing.
fn private_folder() -> Result<PathBuf, Error> {
    let folder = folder();
    let failed = |source| Error::Write { path: folder.clone(), source };
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(failed)?;
    if !is_private(&folder).map_err(failed)? {
        // The temporary folder is writable for all users: another user may have created this name first.
        return Err(failed(std::io::Error::from(std::io::ErrorKind::PermissionDenied)));
    }
    Ok(folder)
}

fn is_private(folder: &Path) -> std::io::Result<bool> {
    let found = std::fs::symlink_metadata(folder)?;
    Ok(found.is_dir() && found.uid() == nix::unistd::Uid::current().as_raw())
}

/// Waits for the lock of the folder, which is held for a moment only. `None` without support for locks.
fn lock_folder(folder: &Path) -> Option<File> {
    let file = File::open(folder).ok()?;
    file.lock().is_ok().then_some(file)
}

/// Removes the files whose commands have ended.
fn sweep(folder: &Path) {
    if !is_private(folder).unwrap_or(false) {
        return;
    }
    let Some(_lock) = lock_folder(folder) else { return };
    for name in leftovers::names(folder) {
        let path = folder.join(name);
        if path.is_file()
            && let Some(_lock) = leftovers::take_over(&path)
        {
            leftovers::remove(&path);
        }
    }
}

/// An HTML file that only this user can read, removed on drop.
///
/// # Errors
/// The file is not writable.
#[cfg(feature = "kubernetes")]
pub(crate) fn private_page(html: &str) -> Result<tempfile::NamedTempFile, Error> {
    let folder = private_folder()?;
    sweep(&folder);
    let failed = |source| Error::Write { path: folder.clone(), source };
    let _lock = lock_folder(&folder);
    let mut page = tempfile::Builder::new().prefix(PAGE).suffix(".html").tempfile_in(&folder).map_err(failed)?;
    // Without support for locks, no command removes the page.
    let _ = page.as_file().try_lock();
    page.write_all(html.as_bytes()).map_err(failed)?;
    Ok(page)
}

impl Entry {
    /// Replaces the URL of the job.
    ///
    /// # Errors
    /// The entry is not writable.
    pub(crate) fn set_url(&mut self, url: &str) -> Result<(), Error> {
        let failed = |source| Error::Write { path: self.path.clone(), source };
        let _lock = self.path.parent().and_then(lock_folder);
        let partial = self.path.with_file_name(format!(".{}", std::process::id()));
        // The URL contains the token, so the file is private from its first byte on.
        let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&partial).map_err(failed)?;
        file.write_all(url.as_bytes()).map_err(failed)?;
        // Locked before the file has its name: a visible entry without a lock has no owner.
        let lock = leftovers::lock(&partial, file).map_err(failed)?;
        std::fs::rename(&partial, &self.path).map_err(failed)?;
        self._lock = if let Ownership::Own(file) = lock { Some(file) } else { None };
        url.clone_into(&mut self.url);
        Ok(())
    }
}

/// The URL of a served job.
///
/// # Errors
/// `name` is not a valid job name, or no such job is served.
pub(crate) fn find(name: &str) -> Result<String, Error> {
    if name.is_empty() || name.contains(['/', '.']) {
        return Err(Error::Target(name.to_owned()));
    }
    let folder = folder();
    sweep(&folder);
    std::fs::read_to_string(folder.join(name)).map_err(|_| {
        let names: Vec<String> = leftovers::names(&folder).into_iter().filter(|name| !name.starts_with('.')).collect();
        let hint = if names.is_empty() {
            "; start one with arrayjob serve FILE".to_owned()
        } else {
            format!("; served jobs: {}", names.join(", "))
        };
        Error::NoSuchJob { name: name.to_owned(), hint }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_or_relative_folder_is_ignored() {
        let user = nix::unistd::Uid::current();
        let of = |runtime: Option<&str>, temporary: &str| folder_of(runtime.map(PathBuf::from), temporary.into());
        assert_eq!(of(Some("/run/user/7"), "/t"), Path::new("/run/user/7/arrayjob"));
        for runtime in [None, Some(""), Some("."), Some("run/user")] {
            assert_eq!(of(runtime, "/t"), PathBuf::from(format!("/t/arrayjob-{user}")), "{runtime:?}");
        }
        assert_eq!(of(None, "scratch"), PathBuf::from(format!("/tmp/arrayjob-{user}")));
    }

    #[test]
    fn entries_of_ended_commands_are_removed_and_entries_of_live_commands_stay() {
        let folder = tempfile::tempdir().unwrap();
        let entry = |name: &str, url: &str| {
            let mut entry = Entry { path: folder.path().join(name), url: String::new(), _lock: None };
            entry.set_url(url).unwrap();
            entry
        };
        let mut live = entry("live", "http://a/?token=1");
        live.set_url("http://b/?token=1").unwrap();
        // As after `kill -9`: the files stay, and their locks are free.
        std::fs::write(folder.path().join("dead"), "http://d/?token=3").unwrap();
        std::fs::write(folder.path().join(".open-dead.html"), "page").unwrap();
        std::fs::write(folder.path().join(".4711"), "half").unwrap();
        sweep(folder.path());
        assert_eq!(leftovers::names(folder.path()), ["live"]);
        assert_eq!(std::fs::read_to_string(&live.path).unwrap(), "http://b/?token=1");
        drop(live);
        assert!(leftovers::names(folder.path()).is_empty());
    }
}
