//! Snapshots of a journal as bytes: one line of JSON, then binary records.

use super::log::Snapshot;
use super::marks::Mark;
use super::record::{Kind, Record, merge};
use serde::{Deserialize, Serialize};

/// Selects the part of a journal that the reader does not have yet.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct SnapshotQuery {
    /// The `log` of the last snapshot.
    pub log: Option<String>,
    /// The `next` of the last snapshot: the snapshot contains what is newer. It contains everything if `log` is not the current log.
    pub after: u64,
    /// Neighbouring tasks that together span at most this time are merged, in microseconds; 0: no merge.
    pub resolution: u64,
}

impl SnapshotQuery {
    /// The query string of a request.
    pub fn query(&self) -> String {
        let log = self.log.as_deref().filter(|log| log.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'));
        format!("after={}&resolution={}{}", self.after, self.resolution, log.map_or_else(String::new, |log| format!("&log={log}")))
    }
}

/// A snapshot with the identity of the server, not yet encoded.
#[derive(Debug)]
pub struct SnapshotResponse {
    pub(super) snapshot: Snapshot,
    pub(super) server: usize,
    pub(super) boot: String,
    pub(super) name: u64,
    pub(super) epoch_us: u64,
    /// Microseconds since the start of the journal.
    pub(super) now: f64,
    pub(super) resolution: u64,
}

/// The line before the records.
#[derive(Debug, Serialize)]
struct Header<'a> {
    server: usize,
    boot: &'a str,
    log: String,
    next: u64,
    epoch_us: u64,
    now_us: u64,
    kinds: [&'static str; 7],
    lanes: &'a [String],
    finished: usize,
    running: usize,
    marks: &'a [Mark],
    /// Microseconds since the start of the journal, CPU milliseconds, resident bytes, bytes received, bytes sent.
    vitals: Vec<(u64, u64, u64, u64, u64)>,
}

impl SnapshotResponse {
    /// Number of records, which determines the time that [`into_bytes`](Self::into_bytes) takes.
    pub const fn records(&self) -> usize {
        self.snapshot.records.len()
    }

    /// The body of the response.
    pub fn into_bytes(self) -> Vec<u8> {
        let Snapshot { version, next, lanes, mut records, finished, marks, samples } = self.snapshot;
        let running = records.split_off(finished);
        if self.resolution > 0 {
            merge(&mut records, self.resolution as f64);
        }
        let header = Header {
            server: self.server,
            boot: &self.boot,
            log: format!("{:x}-{version}", self.name),
            next,
            epoch_us: self.epoch_us,
            now_us: self.epoch_us + self.now as u64,
            kinds: Kind::NAMES,
            lanes: &lanes,
            finished: records.len(),
            running: running.len(),
            marks: &marks,
            vitals: samples.iter().map(|s| (s.at_us as u64, s.cpu_ms, s.resident_bytes, s.received_bytes, s.sent_bytes)).collect(),
        };
        let mut bytes = packed(&header, (records.len() + running.len()) * Record::BYTES);
        records.iter().chain(&running).for_each(|record| record.write(&mut bytes));
        bytes
    }
}

/// `header` as a line of JSON, padded so that the next byte lies at a multiple of eight bytes. The capacity allows for `more` bytes.
pub fn packed(header: &impl Serialize, more: usize) -> Vec<u8> {
    // A header consists of names and numbers, which always serialize.
    let mut bytes = serde_json::to_vec(header).unwrap_or_default();
    let line = (bytes.len() + 1).next_multiple_of(8);
    bytes.reserve_exact(line + more - bytes.len());
    bytes.resize(line - 1, b' ');
    bytes.push(b'\n');
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_after_the_line_are_aligned() {
        for length in 0..20 {
            let text = "x".repeat(length);
            let bytes = packed(&text, 100);
            assert_eq!(bytes.len() % 8, 0);
            let line = std::str::from_utf8(&bytes).unwrap().strip_suffix('\n').unwrap();
            assert_eq!(serde_json::from_str::<String>(line).unwrap(), text);
            assert!(!line.contains('\n') && bytes.len() < length + 11);
        }
    }

    #[test]
    fn a_query_is_written_as_it_was_read() {
        let query = SnapshotQuery { log: Some("1f-2".into()), after: 7, resolution: 2 };
        assert_eq!(query.query(), "after=7&resolution=2&log=1f-2");
        // A text that is no name of a log is dropped.
        assert_eq!(SnapshotQuery { log: Some("a&b=c".into()), ..query }.query(), "after=7&resolution=2");
    }
}
