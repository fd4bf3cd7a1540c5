//! The jobs that this machine serves: one private file per job, named as the job, with the job's URL.

use crate::error::Error;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::PathBuf;

/// The entry of a served job, removed on drop.
#[derive(Debug)]
pub(crate) struct Entry {
    path: PathBuf,
    url: String,
}

impl Drop for Entry {
    fn drop(&mut self) {
        // A later run of the same name may own the file now.
        if std::fs::read_to_string(&self.path).is_ok_and(|url| url == self.url) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// `$XDG_RUNTIME_DIR/arrayjob`, or a folder of this user below the temporary folder.
fn folder() -> PathBuf {
    let user = nix::unistd::Uid::current();
    std::env::var_os("XDG_RUNTIME_DIR")
        .map_or_else(|| std::env::temp_dir().join(format!("arrayjob-{user}")), |runtime| PathBuf::from(runtime).join("arrayjob"))
}

/// Registers job `name` at `url`.
///
/// # Errors
/// The entry is not writable, or another user owns the folder.
pub(crate) fn register(name: &str, url: &str) -> Result<Entry, Error> {
    let mut entry = Entry { path: private_folder()?.join(name), url: String::new() };
    entry.set_url(url)?;
    Ok(entry)
}

/// The folder, which only this user can read; created if missing.
fn private_folder() -> Result<PathBuf, Error> {
    let folder = folder();
    let failed = |source| Error::Write { path: folder.clone(), source };
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(failed)?;
    let found = std::fs::symlink_metadata(&folder).map_err(failed)?;
    if !found.is_dir() || found.uid() != nix::unistd::Uid::current().as_raw() {
        // The temporary folder is writable for all users: another user may have created this name first.
        return Err(failed(std::io::Error::from(std::io::ErrorKind::PermissionDenied)));
    }
    Ok(folder)
}

/// An HTML file that only this user can read, removed on drop.
///
/// # Errors
/// The file is not writable.
#[cfg(feature = "kubernetes")]
pub(crate) fn private_page(html: &str) -> Result<tempfile::NamedTempFile, Error> {
    let folder = private_folder()?;
    let failed = |source| Error::Write { path: folder.clone(), source };
    let mut page = tempfile::Builder::new().prefix(".open-").suffix(".html").tempfile_in(&folder).map_err(failed)?;
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
        let partial = self.path.with_file_name(format!(".{}", std::process::id()));
        // The URL contains the token, so the file is private from its first byte on.
        let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&partial).map_err(failed)?;
        file.write_all(url.as_bytes()).map_err(failed)?;
        std::fs::rename(&partial, &self.path).map_err(failed)?;
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
    std::fs::read_to_string(folder().join(name)).map_err(|_| {
        let names = std::fs::read_dir(folder()).into_iter().flatten().flatten();
        let names = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
        let names: Vec<String> = names.filter(|name| !name.starts_with('.')).collect();
        let hint = if names.is_empty() {
            "; start one with arrayjob serve FILE".to_owned()
        } else {
            format!("; served jobs: {}", names.join(", "))
        };
        Error::NoSuchJob { name: name.to_owned(), hint }
    })
}
