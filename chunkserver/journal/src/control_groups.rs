//! The control groups of this process, version 1 and 2: limits of memory, and kills for lack of memory. See cgroups(7):
//! <https://man7.org/linux/man-pages/man7/cgroups.7.html>.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The memory limit of the process's control groups, in bytes; 0 without a limit. The files are read once.
pub fn memory_limit_bytes() -> u64 {
    static LIMIT: OnceLock<u64> = OnceLock::new();
    *LIMIT.get_or_init(|| here(limited_groups).iter().map(|group| group.limit).min().unwrap_or(0))
}

/// Memory that the process's control groups still allow, in bytes: the least of limit minus usage; `None` without a limit.
pub fn memory_left_bytes() -> Option<u64> {
    here(limited_groups).iter().map(|group| group.limit.saturating_sub(group.used)).min()
}

/// How many processes of the group the kernel has killed for lack of memory: `memory.events` of version 2
/// (<https://docs.kernel.org/admin-guide/cgroup-v2.html>), `memory.oom_control` of version 1
/// (<https://docs.kernel.org/admin-guide/cgroup-v1/memory.html>). `None` if the system does not count them for the group.
pub fn oom_kills() -> Option<u64> {
    here(oom_kills_in)
}

/// A control group with a memory limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Group {
    /// Bytes.
    limit: u64,
    /// Bytes.
    used: u64,
}

/// Reads the groups that `/proc/self/cgroup` lists, below the folder of all groups.
fn here<T>(read: impl FnOnce(&str, &Path) -> T) -> T {
    read(&std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default(), Path::new("/sys/fs/cgroup"))
}

/// The version of the control groups of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

/// The folders of the listed groups for memory and of their ancestors, each group before its ancestors.
fn folders(listed: &str, mounted: &Path) -> Vec<(Version, PathBuf)> {
    let mut folders = Vec::new();
    for line in listed.lines() {
        let Some((controllers, path)) = line.split_once(':').and_then(|(_, rest)| rest.split_once(':')) else { continue };
        let (version, root) = match controllers {
            "" => (Version::Two, mounted.to_owned()),
            controllers if controllers.split(',').any(|name| name == "memory") => (Version::One, mounted.join("memory")),
            _ => continue,
        };
        // In a container the path is often the host's path, and only the root of the tree is mounted.
        folders.extend(Path::new(path.trim_start_matches('/')).ancestors().map(|group| (version, root.join(group))));
    }
    folders
}

/// The groups that limit memory.
fn limited_groups(listed: &str, mounted: &Path) -> Vec<Group> {
    let number = |path: PathBuf| std::fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    let group = |(version, folder): (Version, PathBuf)| {
        let (limit, used) = match version {
            Version::Two => ("memory.max", "memory.current"),
            Version::One => ("memory.limit_in_bytes", "memory.usage_in_bytes"),
        };
        // Version 1 states "no limit" as a number near 2^63.
        let limit = number(folder.join(limit)).filter(|&limit| limit < 1 << 60)?;
        Some(Group { limit, used: number(folder.join(used)).unwrap_or(0) })
    };
    folders(listed, mounted).into_iter().filter_map(group).collect()
}

fn oom_kills_in(listed: &str, mounted: &Path) -> Option<u64> {
    folders(listed, mounted).into_iter().find_map(|(version, folder)| {
        let file = match version {
            Version::Two => "memory.events",
            Version::One => "memory.oom_control",
        };
        let text = std::fs::read_to_string(folder.join(file)).ok()?;
        text.lines().find_map(|line| line.strip_prefix("oom_kill "))?.trim().parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn kills_are_read_in_both_versions_of_control_groups() {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let count = |listed: &str| oom_kills_in(listed, folder.path());
        assert_eq!(count("0::/a/b\n"), None);
        write("a/b/memory.events", "low 0\noom 2\noom_kill 3\noom_group_kill 7\n");
        write("memory.events", "oom_kill 9\n");
        assert_eq!((count("0::/a/b\n"), count("0::/on/the/host\n")), (Some(3), Some(9)));
        write("memory/pod/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 5\n");
        assert_eq!(count("5:cpu,cpuacct:/pod\n4:memory:/pod\n0::/a/b\n"), Some(5));
    }
}
