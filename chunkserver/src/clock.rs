//! Unix time that grows steadily: the system's clock at one moment, plus a monotonic clock. A step of the system's clock does not change a
//! duration.

use std::sync::OnceLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

static CLOCK: OnceLock<Clock> = OnceLock::new();

/// A monotonic moment, and its Unix time.
#[derive(Clone, Copy, Debug)]
struct Clock {
    began: Instant,
    unix_ms: u64,
}

impl Clock {
    fn of_system() -> Self {
        let unix_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
        Self { began: Instant::now(), unix_ms }
    }

    fn now_ms(&self) -> u64 {
        self.unix_ms + self.began.elapsed().as_millis() as u64
    }
}

/// Sets the time of this process, in milliseconds of Unix time, so that the times of several servers are comparable. The first use of the
/// clock fixes it; a later call has no effect.
pub fn set_unix_ms(unix_ms: u64) {
    CLOCK.get_or_init(|| Clock { began: Instant::now(), unix_ms });
}

/// Milliseconds of Unix time.
pub fn unix_ms() -> u64 {
    CLOCK.get_or_init(Clock::of_system).now_ms()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_grows_from_the_given_moment_and_not_with_the_system_clock() {
        let clock = Clock { unix_ms: 5000, ..Clock::of_system() };
        let first = clock.now_ms();
        assert!((5000..65_000).contains(&first), "{first}");
        assert!(clock.now_ms() >= first);
        let system = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
        assert!(unix_ms().abs_diff(system) < 60_000);
        let before = unix_ms();
        set_unix_ms(5000);
        assert!(unix_ms() >= before, "the clock of a process never steps");
    }
}
