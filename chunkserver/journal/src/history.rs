//! Samples of the resource usage of the process. The interval doubles when the history is full, so that the history covers the whole run.

/// Largest number of samples.
pub(super) const MOST: usize = 512;
/// Initial interval between two samples, in microseconds.
const INTERVAL: f64 = 250_000.0;

/// The resource usage of the process at one time.
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
    /// Number of the sample in the sequence of the log.
    pub(super) sequence: u64,
}

/// Samples in the order of time.
#[derive(Debug)]
pub(super) struct History {
    samples: Vec<Sample>,
    /// Microseconds between two samples.
    pub(super) interval: f64,
}

impl Default for History {
    fn default() -> Self {
        Self { samples: Vec::new(), interval: INTERVAL }
    }
}

impl History {
    /// Adds a sample.
    pub(super) fn push(&mut self, sample: Sample) {
        self.samples.push(sample);
    }

    /// Whether the history has its largest number of samples.
    pub(super) const fn full(&self) -> bool {
        self.samples.len() >= MOST
    }

    /// Drops every second sample, but not the newest, and doubles the interval.
    pub(super) fn thin(&mut self) {
        let last = self.samples.len().saturating_sub(1);
        let mut index = 0;
        self.samples.retain(|_| {
            index += 1;
            (index - 1) % 2 == 0 || index - 1 == last
        });
        self.interval *= 2.0;
    }

    /// All samples.
    pub(super) fn all(&self) -> &[Sample] {
        &self.samples
    }

    /// Assigns new numbers, in order.
    pub(super) fn renumber(&mut self, numbers: impl Iterator<Item = u64>) {
        self.samples.iter_mut().zip(numbers).for_each(|(sample, number)| sample.sequence = number);
    }

    /// The samples with number `from` and later ones.
    pub(super) fn since(&self, from: u64) -> &[Sample] {
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
