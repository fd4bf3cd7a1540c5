//! Jobs that are being served on this machine, by name: a private file each, so that `get` finds them.

use crate::error::Error;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::PathBuf;

/// A served job's entry; gone when dropped.
#[derive(Debug)]
pub struct Entry {
    path: PathBuf,
    url: String,
}

impl Drop for Entry {
    fn drop(&mut self) {
        // Another run of the same name may have taken it over.
        if std::fs::read_to_string(&self.path).is_ok_and(|url| url == self.url) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn folder() -> PathBuf {
    let user = nix::unistd::Uid::current();
    std::env::var_os("XDG_RUNTIME_DIR")
        .map_or_else(|| std::env::temp_dir().join(format!("arrayjob-{user}")), |runtime| PathBuf::from(runtime).join("arrayjob"))
}

/// Notes that job `name` is served at `url`.
///
/// # Errors
/// When the entry cannot be written, or the folder is not this user's own.
pub fn enter(name: &str, url: &str) -> Result<Entry, Error> {
    let mut entry = Entry { path: private_folder()?.join(name), url: String::new() };
    entry.move_to(url)?;
    Ok(entry)
}

/// The folder, made if need be, that nobody else can look into.
fn private_folder() -> Result<PathBuf, Error> {
    let folder = folder();
    let failed = |source| Error::Write { path: folder.clone(), source };
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(failed)?;
    let found = std::fs::symlink_metadata(&folder).map_err(failed)?;
    if !found.is_dir() || found.uid() != nix::unistd::Uid::current().as_raw() {
        // In a folder that anyone may write to, someone else may have made it first.
        return Err(failed(std::io::Error::from(std::io::ErrorKind::PermissionDenied)));
    }
    Ok(folder)
}

/// A page for the browser of this user alone; gone when dropped.
///
/// # Errors
/// When it cannot be written.
pub(crate) fn page(html: &str) -> Result<tempfile::NamedTempFile, Error> {
    let folder = private_folder()?;
    let failed = |source| Error::Write { path: folder.clone(), source };
    let mut page = tempfile::Builder::new().prefix(".open-").suffix(".html").tempfile_in(&folder).map_err(failed)?;
    page.write_all(html.as_bytes()).map_err(failed)?;
    Ok(page)
}

impl Entry {
    /// The job is served at another address from now on.
    ///
    /// # Errors
    /// When the entry cannot be written.
    pub fn move_to(&mut self, url: &str) -> Result<(), Error> {
        let failed = |source| Error::Write { path: self.path.clone(), source };
        let partial = self.path.with_file_name(format!(".{}", std::process::id()));
        // The URL carries the token: for this user's eyes only, from the first byte on.
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
/// When there is none of that name.
pub fn find(name: &str) -> Result<String, Error> {
    if name.is_empty() || name.contains(['/', '.']) {
        return Err(Error::Target(name.to_owned()));
    }
    std::fs::read_to_string(folder().join(name)).map_err(|_| {
        let names =
            std::fs::read_dir(folder()).into_iter().flatten().flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
        let names = names.filter(|name| !name.starts_with('.'));
        let names: Vec<String> = names.collect();
        let known =
            if names.is_empty() { "; start one with arrayjob serve FILE".to_owned() } else { format!("; there are {}", names.join(", ")) };
        Error::NoSuchJob { name: name.to_owned(), known }
    })
}
