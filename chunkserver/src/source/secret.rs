//! Reads HTTP headers and keys of object stores from a folder. The name of a file is the name of the header or key; the text is its value.

use super::Error;
use crate::objects;
use std::fmt;
use std::path::Path;

/// The content of a secret.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret {
    /// Headers, by name.
    pub headers: Vec<(String, String)>,
    /// Keys of object stores, as [`crate::objects::is_key`] recognises them.
    pub keys: Vec<(String, String)>,
}

impl fmt::Debug for Secret {
    /// Shows names, not values.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |pairs: &[(String, String)]| pairs.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        f.debug_struct("Secret").field("headers", &names(&self.headers)).field("keys", &names(&self.keys)).finish()
    }
}

/// The secret in `folder`. Ignores hidden files, in which a mounted Kubernetes secret stores its versions.
///
/// # Errors
/// When the folder or a file is not readable, or a file is not UTF-8.
pub fn secret(folder: &Path) -> Result<Secret, Error> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| Error::Secret { path, source }
    };
    let mut pairs = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed(folder))? {
        let path = entry.map_err(failed(folder))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        // Follows links: the files of a mounted secret are links.
        if name.starts_with('.') || !std::fs::metadata(&path).map_err(failed(&path))?.is_file() {
            continue;
        }
        let value = std::fs::read_to_string(&path).map_err(failed(&path))?;
        pairs.push((name, value.trim().to_owned()));
    }
    pairs.sort_unstable();
    let (keys, headers) = pairs.into_iter().partition(|(name, _)| objects::is_key(name));
    Ok(Secret { headers, keys })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_headers_or_keys() {
        let folder = tempfile::tempdir().unwrap();
        let versions = folder.path().join("..2024_01_01");
        std::fs::create_dir(&versions).unwrap();
        std::fs::write(versions.join("Authorization"), "Bearer abc\n").unwrap();
        std::fs::write(versions.join("X-Api-Key"), " k ").unwrap();
        std::os::unix::fs::symlink("..2024_01_01", folder.path().join("..data")).unwrap();
        std::fs::write(versions.join("AWS_ACCESS_KEY_ID"), "id").unwrap();
        for name in ["Authorization", "X-Api-Key", "AWS_ACCESS_KEY_ID"] {
            std::os::unix::fs::symlink(format!("..data/{name}"), folder.path().join(name)).unwrap();
        }
        std::fs::write(folder.path().join(".hidden"), "no").unwrap();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let found = secret(folder.path()).unwrap();
        assert_eq!(found.headers, [pair("Authorization", "Bearer abc"), pair("X-Api-Key", "k")]);
        assert_eq!(found.keys, [pair("AWS_ACCESS_KEY_ID", "id")]);
        assert!(!format!("{found:?}").contains("abc"));
        std::fs::write(folder.path().join("Cookie"), [0xff, 0xfe]).unwrap();
        let error = secret(folder.path()).unwrap_err().to_string();
        assert!(error.contains("Cookie"), "{error}");
        assert!(secret(&folder.path().join("absent")).is_err());
    }
}
