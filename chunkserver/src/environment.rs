//! Environment variables with an empty value. Most programs treat such a variable as not set; the libraries of this program do not.

/// Variables that name a file or a folder.
const PATHS: [&str; 6] = ["HOME", "TMPDIR", "XDG_RUNTIME_DIR", "KUBECONFIG", "SSL_CERT_FILE", "SSL_CERT_DIR"];

/// Removes each variable of a path whose value is empty, for this process and its children.
///
/// # Safety
/// No other thread may run: see [`std::env::remove_var`].
pub unsafe fn remove_empty_paths() {
    for name in empty(|name| std::env::var_os(name)) {
        // SAFETY: the caller guarantees that no other thread runs.
        unsafe { std::env::remove_var(name) };
    }
}

fn empty(value: impl Fn(&str) -> Option<std::ffi::OsString>) -> impl Iterator<Item = &'static str> {
    PATHS.into_iter().filter(move |name| value(name).is_some_and(|value| value.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_variables_with_an_empty_value_are_removed() {
        let value = |name: &str| match name {
            "HOME" => Some("/home/a".into()),
            "TMPDIR" | "SSL_CERT_FILE" => Some("".into()),
            _ => None,
        };
        assert_eq!(empty(value).collect::<Vec<_>>(), ["TMPDIR", "SSL_CERT_FILE"]);
    }
}
