//! CPU time and memory of this process and of the machine, as Linux reports them. See proc(5):
//! <https://man7.org/linux/man-pages/man5/proc.5.html>.

use crate::control_groups::memory_limit_bytes;

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
    std::fs::read_to_string("/proc/self/status").ok().and_then(|status| kibibytes(&status, name)).unwrap_or(0)
}

/// User and system time in a line of `/proc/*/stat`, in milliseconds.
fn cpu_ms(stat: &str) -> Option<u64> {
    // The second field is a name in parentheses. The name may contain spaces and parentheses.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_whitespace().skip(11).map(str::parse::<u64>);
    let (user, system) = (times.next()?.ok()?, times.next()?.ok()?);
    Some((user + system) * 1000 / TICKS_PER_SECOND)
}

/// The memory of the machine, or the limit of the process's control groups if it is smaller, in bytes; `None` where `/proc` is missing.
pub fn memory_bytes() -> Option<u64> {
    let total = meminfo_bytes("MemTotal:")?;
    Some(match memory_limit_bytes() {
        0 => total,
        limit => limit.min(total),
    })
}

/// Memory of the machine that programs can take without swapping, in bytes; `None` where `/proc` is missing.
pub fn available_bytes() -> Option<u64> {
    meminfo_bytes("MemAvailable:")
}

/// A line of `/proc/meminfo`: <https://docs.kernel.org/filesystems/proc.html#meminfo>.
fn meminfo_bytes(name: &str) -> Option<u64> {
    kibibytes(&std::fs::read_to_string("/proc/meminfo").ok()?, name)
}

/// The bytes in the line `name` of a text whose lines state kibibytes.
fn kibibytes(text: &str, name: &str) -> Option<u64> {
    let number = text.lines().find_map(|line| line.strip_prefix(name))?.trim().trim_end_matches("kB").trim();
    Some(number.parse::<u64>().ok()? * 1024)
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
    fn lines_of_kibibytes_are_read_in_bytes() {
        assert_eq!(kibibytes("MemTotal:       16 kB\nMemAvailable:   24 kB\n", "MemAvailable:"), Some(24 << 10));
        assert_eq!(kibibytes("MemTotal:       16 kB\n", "MemAvailable:"), None);
        assert!(available_bytes().unwrap() <= meminfo_bytes("MemTotal:").unwrap());
    }
}
