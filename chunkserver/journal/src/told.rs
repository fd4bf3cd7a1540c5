//! What is told of a journal, as bytes: a line of JSON, then records.

use super::log::Told;
use super::marks::Mark;
use super::record::{Kind, Record, merge};
use serde::{Deserialize, Serialize};

/// What somebody wants to know.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Asked {
    /// The journal that was told last, as it called itself.
    pub log: Option<String>,
    /// Its `next` then: what came later is wanted. Of another journal, everything is.
    pub after: u64,
    /// Microseconds that neighbours may span together and be one record; 0: none are merged.
    pub resolution: f64,
}

impl Asked {
    /// As the query of a request.
    pub fn query(&self) -> String {
        let log = self.log.as_deref().filter(|log| log.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'));
        format!("after={}&resolution={}{}", self.after, self.resolution, log.map_or_else(String::new, |log| format!("&log={log}")))
    }
}

/// An answer about to be written.
#[derive(Debug)]
pub struct Telling {
    pub(super) told: Told,
    pub(super) server: usize,
    pub(super) boot: String,
    pub(super) name: u64,
    pub(super) epoch_us: u64,
    /// In microseconds since the journal began.
    pub(super) now: f64,
    pub(super) resolution: f64,
}

/// The line in front of the records.
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
    /// When in microseconds since the epoch, CPU milliseconds, resident bytes, bytes received, bytes sent.
    vitals: Vec<(u64, u64, u64, u64, u64)>,
}

impl Telling {
    /// How many records there are: many take a while to write.
    pub const fn records(&self) -> usize {
        self.told.records.len()
    }

    /// The answer.
    pub fn into_bytes(self) -> Vec<u8> {
        let Told { version, next, lanes, mut records, finished, marks, samples } = self.told;
        let going_on = records.split_off(finished);
        if self.resolution > 0.0 {
            merge(&mut records, self.resolution);
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
            running: going_on.len(),
            marks: &marks,
            vitals: samples.iter().map(|s| (s.at_us as u64, s.cpu_ms, s.resident_bytes, s.received_bytes, s.sent_bytes)).collect(),
        };
        let mut bytes = packed(&header, (records.len() + going_on.len()) * Record::BYTES);
        records.iter().chain(&going_on).for_each(|record| record.write(&mut bytes));
        bytes
    }
}

/// `header` as a line of JSON, padded so that what follows begins at a multiple of eight bytes; with room for `more`.
pub fn packed(header: &impl Serialize, more: usize) -> Vec<u8> {
    // Headers are made of names and numbers, which can always be written.
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
    fn what_follows_the_line_is_aligned() {
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
    fn a_question_is_passed_on_as_it_was_asked() {
        let asked = Asked { log: Some("1f-2".into()), after: 7, resolution: 2.5 };
        assert_eq!(asked.query(), "after=7&resolution=2.5&log=1f-2");
        // What is no name of a log is none of ours.
        assert_eq!(Asked { log: Some("a&b=c".into()), ..asked }.query(), "after=7&resolution=2.5");
    }
}
