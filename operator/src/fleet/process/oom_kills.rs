//! How many processes of this process's control group the kernel has killed for lack of memory: `memory.events` of version 2
//! (<https://docs.kernel.org/admin-guide/cgroup-v2.html>), `memory.oom_control` of version 1
//! (<https://docs.kernel.org/admin-guide/cgroup-v1/memory.html>).

use std::path::Path;

/// Number of kills; `None` if the system does not count them for the group.
pub(super) fn count() -> Option<u64> {
    count_in(&std::fs::read_to_string("/proc/self/cgroup").ok()?, Path::new("/sys/fs/cgroup"))
}

/// As [`count`], for the groups that `/proc/self/cgroup` lists, below the folder of all groups.
fn count_in(listed: &str, mounted: &Path) -> Option<u64> {
    listed.lines().find_map(|line| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        let (folder, file) = match controllers {
            "" => (mounted.to_owned(), "memory.events"),
            _ if controllers.split(',').any(|name| name == "memory") => (mounted.join("memory"), "memory.oom_control"),
            _ => return None,
        };
        // In a container the path is often the host's path, and only the root of the tree is mounted.
        Path::new(path.trim_start_matches('/')).ancestors().find_map(|group| {
            let text = std::fs::read_to_string(folder.join(group).join(file)).ok()?;
            text.lines().find_map(|line| line.strip_prefix("oom_kill "))?.trim().parse().ok()
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kills_are_read_in_both_versions_of_control_groups() {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let count = |listed: &str| count_in(listed, folder.path());
        assert_eq!(count("0::/a/b\n"), None);
        write("a/b/memory.events", "low 0\noom 2\noom_kill 3\noom_group_kill 7\n");
        write("memory.events", "oom_kill 9\n");
        assert_eq!((count("0::/a/b\n"), count("0::/on/the/host\n")), (Some(3), Some(9)));
        write("memory/pod/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 5\n");
        assert_eq!(count("5:cpu,cpuacct:/pod\n4:memory:/pod\n0::/a/b\n"), Some(5));
    }
}
