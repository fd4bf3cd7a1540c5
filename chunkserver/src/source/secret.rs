//! A folder of secrets comes in, HTTP headers go out: a file's name is the header's, its text is the value.

use super::Error;
use std::path::Path;

/// The headers in `folder`, by name. Hidden files are not headers: a mounted secret keeps its versions in such.
///
/// # Errors
/// When the folder or a file in it cannot be read, or is not text.
pub fn secret_headers(folder: &Path) -> Result<Vec<(String, String)>, Error> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| Error::Secret { path, source }
    };
    let mut headers = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed(folder))? {
        let path = entry.map_err(failed(folder))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        // Links are followed: the files of a mounted secret are such.
        if name.starts_with('.') || !std::fs::metadata(&path).map_err(failed(&path))?.is_file() {
            continue;
        }
        let value = std::fs::read_to_string(&path).map_err(failed(&path))?;
        headers.push((name, value.trim().to_owned()));
    }
    headers.sort_unstable();
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_headers() {
        let folder = tempfile::tempdir().unwrap();
        let versions = folder.path().join("..2024_01_01");
        std::fs::create_dir(&versions).unwrap();
        std::fs::write(versions.join("Authorization"), "Bearer abc\n").unwrap();
        std::fs::write(versions.join("X-Api-Key"), " k ").unwrap();
        std::os::unix::fs::symlink("..2024_01_01", folder.path().join("..data")).unwrap();
        for name in ["Authorization", "X-Api-Key"] {
            std::os::unix::fs::symlink(format!("..data/{name}"), folder.path().join(name)).unwrap();
        }
        std::fs::write(folder.path().join(".hidden"), "no").unwrap();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(secret_headers(folder.path()).unwrap(), [pair("Authorization", "Bearer abc"), pair("X-Api-Key", "k")]);
        std::fs::write(folder.path().join("Cookie"), [0xff, 0xfe]).unwrap();
        let error = secret_headers(folder.path()).unwrap_err().to_string();
        assert!(error.contains("Cookie"), "{error}");
        assert!(secret_headers(&folder.path().join("absent")).is_err());
    }
}
