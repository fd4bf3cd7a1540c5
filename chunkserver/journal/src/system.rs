//! CPU time, memory and memory limits of this process, as Linux reports them. See proc(5) and cgroups(7):
//! <https://man7.org/linux/man-pages/man5/proc.5.html>, <https://man7.org/linux/man-pages/man7/cgroups.7.html>.

use std::path::{Path, PathBuf};
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

/// CPU time and memory of this process; zeros where `/proc` is missing.
pub fn usage() -> Usage {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    Usage { cpu_ms: cpu_ms(&stat).unwrap_or(0), resident_bytes: rss_bytes() }
}

/// Resident memory of this process, in bytes; 0 where `/proc` is missing.
pub fn rss_bytes() -> u64 {
    status_bytes("VmRSS:")
}

/// Largest resident memory of this process so far, in bytes; 0 where `/proc` is missing.
pub fn peak_rss_bytes() -> u64 {
    status_bytes("VmHWM:")
}

/// A line of `/proc/self/status` that states kibibytes.
fn status_bytes(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    line.trim().trim_end_matches("kB").trim().parse::<u64>().map_or(0, |kib| kib * 1024)
}

/// User and system time in a line of `/proc/*/stat`, in milliseconds.
fn cpu_ms(stat: &str) -> Option<u64> {
    // The second field is a name in parentheses. The name may contain spaces and parentheses.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_whitespace().skip(11).map(str::parse::<u64>);
    let (user, system) = (times.next()?.ok()?, times.next()?.ok()?);
    Some((user + system) * 1000 / TICKS_PER_SECOND)
}

/// The memory limit of the process's control groups, in bytes; 0 without a limit. The files are read once.
pub fn memory_limit_bytes() -> u64 {
    static LIMIT: OnceLock<u64> = OnceLock::new();
    *LIMIT.get_or_init(|| groups_here().iter().map(|group| group.limit).min().unwrap_or(0))
}

/// The memory of the machine, or the limit of the process's control groups if it is smaller, in bytes; `None` where `/proc` is missing.
pub fn memory_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let total =
        text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?.trim().trim_end_matches("kB").trim().parse::<u64>().ok()? * 1024;
    Some(match memory_limit_bytes() {
        0 => total,
        limit => limit.min(total),
    })
}

/// Memory that the process's control groups still allow, in bytes: the least of limit minus usage; `None` without a limit.
pub fn memory_left_bytes() -> Option<u64> {
    groups_here().iter().map(|group| group.limit.saturating_sub(group.used)).min()
}

/// A control group with a memory limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Group {
    /// Bytes.
    limit: u64,
    /// Bytes.
    used: u64,
}

fn groups_here() -> Vec<Group> {
    let listed = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    limited_groups(&listed, Path::new("/sys/fs/cgroup"))
}

/// The groups that `/proc/self/cgroup` lists and their ancestors, of version 1 and 2, where they limit memory.
fn limited_groups(listed: &str, mounted: &Path) -> Vec<Group> {
    let number = |path: PathBuf| std::fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    let mut found = Vec::new();
    for line in listed.lines() {
        let Some((controllers, path)) = line.split_once(':').and_then(|(_, rest)| rest.split_once(':')) else { continue };
        let (folder, limit, used) = match controllers {
            "" => (mounted.to_owned(), "memory.max", "memory.current"),
            controllers if controllers.split(',').any(|name| name == "memory") => {
                (mounted.join("memory"), "memory.limit_in_bytes", "memory.usage_in_bytes")
            }
            _ => continue,
        };
        // In a container the path is often the host's path, and only the root of the tree is mounted.
        for group in Path::new(path.trim_start_matches('/')).ancestors() {
            let group = folder.join(group);
            if let Some(limit) = number(group.join(limit)) {
                found.push(Group { limit, used: number(group.join(used)).unwrap_or(0) });
            }
        }
    }
    // Version 1 states "no limit" as a number near 2^63.
    found.retain(|group| group.limit < 1 << 60);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_read_after_any_process_name() {
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
    fn the_least_limit_of_nested_groups_applies() {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let found = |listed: &str| limited_groups(listed, folder.path());
        let check = |listed: &str, expected| assert_eq!(found(listed).iter().map(|group| group.limit).min(), expected, "{listed}");
        check("0::/a/b\n", None);
        write("a/b/memory.max", "max\n");
        check("0::/a/b\n", None);
        write("a/memory.max", "1000\n");
        check("0::/a/b\n", Some(1000));
        write("a/memory.current", "400\n");
        assert_eq!(found("0::/a/b\n"), [Group { limit: 1000, used: 400 }]);
        write("memory.max", "500\n");
        check("0::/a/b\n", Some(500));
        check("0::/elsewhere/on/the/host\n", Some(500));
        write("memory/pod/memory.limit_in_bytes", "700\n");
        write("memory/memory.limit_in_bytes", "9223372036854771712\n");
        check("5:cpu,cpuacct:/pod\n4:memory:/pod\n", Some(700));
        check("4:memory:/other\n", None);
    }
}
