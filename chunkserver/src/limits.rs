//! Limits of the system on this process: open files, and the size of a file. See getrlimit(2):
//! <https://man7.org/linux/man-pages/man2/getrlimit.2.html>.

use api::words::causes;
use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::error::Error;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Raises the limit on open files to the highest permitted value. Returns the limit, for this process and its children; `None` if the
/// system does not report a limit.
pub fn raise_open_files() -> Option<u64> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).ok()?;
    if soft < hard && setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok() {
        return Some(hard);
    }
    Some(soft)
}

/// The limit on open files.
pub fn open_files() -> Option<u64> {
    getrlimit(Resource::RLIMIT_NOFILE).ok().map(|(soft, _)| soft)
}

/// The limit on the size of a file, in bytes.
fn file_bytes() -> Option<u64> {
    getrlimit(Resource::RLIMIT_FSIZE).ok().map(|(soft, _)| soft)
}

/// Makes a write beyond the limit on the size of a file fail, instead of ending the process by SIGXFSZ. Requires a runtime. The effect
/// stays until the end of the process; `None` if the system refuses.
pub fn survive_large_files() -> Option<Signal> {
    signal(SignalKind::from_raw(nix::sys::signal::Signal::SIGXFSZ as i32)).ok()
}

/// Whether an error, or one of its causes, is a write beyond the limit on the size of a file.
pub fn is_file_size(error: &(dyn Error + 'static)) -> bool {
    has(error, Errno::EFBIG)
}

/// What to do about an error whose cause is a limit of the system; empty for other errors.
pub fn advice(error: &(dyn Error + 'static)) -> String {
    if is_file_size(error) {
        let limit = file_bytes().map_or_else(String::new, |bytes| format!(" is {bytes} bytes"));
        return format!("; the limit on the size of a file{limit}: raise it (ulimit -f)");
    }
    if has(error, Errno::EMFILE) {
        let limit = open_files().map_or_else(String::new, |files| format!(" is {files}"));
        return format!("; the limit on open files{limit}: raise it (ulimit -n)");
    }
    String::new()
}

fn has(error: &(dyn Error + 'static), errno: Errno) -> bool {
    let is_it = |cause: &std::io::Error| cause.raw_os_error() == Some(errno as i32);
    causes(error).filter_map(|cause| cause.downcast_ref()).any(is_it)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot write")]
    struct Outer(#[source] std::io::Error);

    #[test]
    fn a_limit_of_the_system_is_named_with_its_value() {
        let of = |errno: Errno| Outer(std::io::Error::from_raw_os_error(errno as i32));
        let (large, many, other) = (of(Errno::EFBIG), of(Errno::EMFILE), of(Errno::ENOSPC));
        assert!(is_file_size(&large) && !is_file_size(&many));
        assert!(advice(&large).contains("ulimit -f") && advice(&many).contains("ulimit -n"), "{} {}", advice(&large), advice(&many));
        assert!(advice(&many).contains(&open_files().unwrap().to_string()));
        assert_eq!(advice(&other), "");
    }

    #[test]
    fn open_files_are_raised_to_the_hard_limit() {
        let raised = raise_open_files().unwrap();
        assert_eq!((open_files().unwrap(), raised), (getrlimit(Resource::RLIMIT_NOFILE).unwrap().1, raised));
    }
}
