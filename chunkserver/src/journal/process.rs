//! What this process has taken, as the system tells it.

use std::path::Path;
use std::sync::OnceLock;

/// CPU time and memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// CPU time of all threads since the start, in milliseconds.
    pub cpu_ms: u64,
    /// Resident memory now, in bytes.
    pub resident_bytes: u64,
}

/// Clock ticks of `/proc` in a second: 100 on every Linux that Rust runs on.
const TICKS_PER_SECOND: u64 = 100;

/// What it has taken by now; zeros where the system does not say.
pub fn usage() -> Usage {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    Usage { cpu_ms: cpu_ms(&stat).unwrap_or(0), resident_bytes: crate::worker::rss_bytes() }
}

/// User and system time of a line of `/proc/*/stat`.
fn cpu_ms(stat: &str) -> Option<u64> {
    // The second field is a name in parentheses, which may hold anything.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_whitespace().skip(11).map(str::parse::<u64>);
    let (user, system) = (times.next()?.ok()?, times.next()?.ok()?);
    Some((user + system) * 1000 / TICKS_PER_SECOND)
}

/// Bytes that the process may take by its control group; 0 when nothing limits it. Looked for once.
pub fn memory_limit_bytes() -> u64 {
    static LIMIT: OnceLock<u64> = OnceLock::new();
    *LIMIT.get_or_init(|| {
        let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        limit(&groups, Path::new("/sys/fs/cgroup")).unwrap_or(0)
    })
}

/// The least limit of the groups that `/proc/self/cgroup` lists, and of those that they are in.
fn limit(groups: &str, mounted: &Path) -> Option<u64> {
    let of = |line: &str| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        let (folder, file) = match controllers {
            "" => (mounted.to_owned(), "memory.max"),
            controllers if controllers.split(',').any(|name| name == "memory") => (mounted.join("memory"), "memory.limit_in_bytes"),
            _ => return None,
        };
        let path = Path::new(path.trim_start_matches('/'));
        // In a container the path is often that of the host, and only the root is there.
        path.ancestors().filter_map(|group| std::fs::read_to_string(folder.join(group).join(file)).ok()?.trim().parse::<u64>().ok()).min()
    };
    // Version 1 says "none" as a number near the largest.
    groups.lines().filter_map(of).filter(|&bytes| bytes < 1 << 60).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_found_behind_any_name() {
        let stat = "12 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20 0 7 0 0";
        assert_eq!(cpu_ms(stat), Some(3000));
        assert_eq!(cpu_ms("12 (a"), None);
        let started = usage();
        let mut sum = 0_u64;
        while usage().cpu_ms < started.cpu_ms + 30 {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        assert!(usage().resident_bytes > 1 << 20);
    }

    #[test]
    fn the_least_limit_of_all_groups_counts() {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let check = |groups: &str, expected| assert_eq!(limit(groups, folder.path()), expected, "{groups}");
        check("0::/a/b\n", None);
        write("a/b/memory.max", "max\n");
        check("0::/a/b\n", None);
        write("a/memory.max", "1000\n");
        check("0::/a/b\n", Some(1000));
        write("memory.max", "500\n");
        check("0::/a/b\n", Some(500));
        check("0::/elsewhere/on/the/host\n", Some(500));
        write("memory/pod/memory.limit_in_bytes", "700\n");
        write("memory/memory.limit_in_bytes", "9223372036854771712\n");
        check("5:cpu,cpuacct:/pod\n4:memory:/pod\n", Some(700));
        check("4:memory:/other\n", None);
    }
}
