//! What the process takes, again and again: the interval grows, so that the whole run stays visible.

/// Samples that are kept.
pub(super) const MOST: usize = 512;
/// Microseconds between two samples at first.
const INTERVAL: f64 = 250_000.0;

/// What the process has taken so far.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sample {
    /// Microseconds since the journal began.
    pub(super) at_us: f64,
    /// CPU time since the start of the process, in milliseconds.
    pub(super) cpu_ms: u64,
    /// Resident memory, in bytes.
    pub(super) resident_bytes: u64,
    /// Bytes received since the start.
    pub(super) received_bytes: u64,
    /// Bytes sent since the start.
    pub(super) sent_bytes: u64,
    /// Its place among all that was noted.
    pub(super) sequence: u64,
}

/// All that are kept, in order.
#[derive(Debug)]
pub(super) struct History {
    samples: Vec<Sample>,
    /// Microseconds from one to the next.
    pub(super) interval: f64,
}

impl Default for History {
    fn default() -> Self {
        Self { samples: Vec::new(), interval: INTERVAL }
    }
}

impl History {
    /// Adds one.
    pub(super) fn push(&mut self, sample: Sample) {
        self.samples.push(sample);
    }

    /// Whether there is no room for more.
    pub(super) const fn full(&self) -> bool {
        self.samples.len() >= MOST
    }

    /// Leaves every second one, and the newest; the interval doubles.
    pub(super) fn thin(&mut self) {
        let last = self.samples.len().saturating_sub(1);
        let mut index = 0;
        self.samples.retain(|_| {
            index += 1;
            (index - 1) % 2 == 0 || index - 1 == last
        });
        self.interval *= 2.0;
    }

    /// All of them.
    pub(super) fn all(&self) -> &[Sample] {
        &self.samples
    }

    /// Numbers them anew.
    pub(super) fn renumber(&mut self, numbers: impl Iterator<Item = u64>) {
        self.samples.iter_mut().zip(numbers).for_each(|(sample, number)| sample.sequence = number);
    }

    /// Those from that number on.
    pub(super) fn from(&self, from: u64) -> &[Sample] {
        &self.samples[self.samples.partition_point(|sample| sample.sequence < from)..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_history_keeps_its_ends_and_half_its_samples() {
        let mut history = History::default();
        for number in 0..MOST as u64 {
            assert!(!history.full());
            let at_us = number as f64 * history.interval;
            history.push(Sample { at_us, cpu_ms: number, resident_bytes: 0, received_bytes: 0, sent_bytes: 0, sequence: number });
        }
        assert!(history.full());
        history.thin();
        assert_eq!((history.all().len(), history.interval), (MOST / 2 + 1, 2.0 * INTERVAL));
        let ends = [history.all().first(), history.all().last()].map(|sample| sample.unwrap().cpu_ms);
        assert_eq!(ends, [0, MOST as u64 - 1]);
        assert!(history.all().windows(2).all(|pair| pair[0].at_us < pair[1].at_us));
    }
}
