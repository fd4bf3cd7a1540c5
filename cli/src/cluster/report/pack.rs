//! What is gathered, and what could not be; then one zip file. Everything that goes in is scrubbed.

use super::{Logs, scrub};
use crate::cluster::pods::CONTAINER;
use crate::error::Error;
use api::geometry::human_bytes;
use k8s_openapi::jiff::Timestamp;
use k8s_openapi::jiff::tz::TimeZone;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Cursor, Write as _};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

const NOTES: &str = "NOTES.txt";

/// Files by name, and notes.
#[derive(Debug, Default)]
pub(super) struct Pack {
    files: BTreeMap<String, String>,
    notes: Vec<String>,
}

impl Pack {
    /// Adds a file.
    pub(super) fn add(&mut self, name: &str, text: &str) {
        self.files.insert(name.to_owned(), scrub::scrub(text));
    }

    /// Notes what could not be read.
    pub(super) fn note(&mut self, text: &str) {
        self.notes.push(scrub::scrub(text));
    }

    /// What was read, or a note.
    pub(super) fn take<T>(&mut self, read: Result<T, Error>) -> Option<T> {
        read.map_err(|error| self.note(&error.sentence())).ok()
    }

    /// Adds a pod's logs; the chunk server's needs no name beside the pod's.
    pub(super) fn add_logs(&mut self, folder: &str, pod: &str, logs: Logs) {
        let alone = logs.iter().all(|(container, ..)| *container == logs[0].0);
        for (container, which, log) in logs {
            let container = if alone || container == CONTAINER { String::new() } else { format!(".{container}") };
            match log {
                Ok(text) => self.add(&format!("{folder}/{pod}{container}{which}.txt"), &text),
                Err(error) => self.note(&error.sentence()),
            }
        }
    }

    /// How many things could not be read.
    pub(super) fn noted(&self) -> usize {
        self.notes.len()
    }

    /// The files and their sizes, a line each.
    pub(super) fn contents(&self) -> String {
        let mut lines: Vec<String> =
            self.files.iter().map(|(name, text)| format!("  {name:<40} {:>10}", human_bytes(text.len() as u64))).collect();
        lines.push(format!("  {NOTES}"));
        lines.join("\n")
    }

    fn notes(&self, title: &str) -> String {
        let mut text =
            format!("{title}\n\nNo Secret was read. Tokens, passwords and signatures in URLs, logs and settings are left out.\n");
        text.push_str(if self.notes.is_empty() { "\nAll else could be read.\n" } else { "\nWhat could not be read:\n" });
        for note in &self.notes {
            // Writing to a string does not fail.
            let _ = writeln!(text, "- {note}");
        }
        text
    }

    /// The file.
    pub(super) fn zip(mut self, title: &str, now: Timestamp) -> std::io::Result<Vec<u8>> {
        let notes = self.notes(title);
        self.files.insert(NOTES.into(), notes);
        let mut options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
        if let Some(time) = dos_time(now) {
            options = options.last_modified_time(time);
        }
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, text) in &self.files {
            zip.start_file(name.as_str(), options)?;
            zip.write_all(text.as_bytes())?;
        }
        Ok(zip.finish()?.into_inner())
    }
}

fn dos_time(now: Timestamp) -> Option<DateTime> {
    let now = now.to_zoned(TimeZone::UTC);
    let part = |number: i8| u8::try_from(number).ok();
    let year = u16::try_from(now.year()).ok()?;
    DateTime::from_date_and_time(year, part(now.month())?, part(now.day())?, part(now.hour())?, part(now.minute())?, part(now.second())?)
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    #[test]
    fn the_zip_holds_what_was_added_and_says_what_was_not() {
        let mut pack = Pack::default();
        pack.add("manifest.yaml", "url: http://me:pass@h/?token=abc\n");
        let log = |text: &str| Ok::<_, Error>(text.to_owned());
        let refused = Err(Error::Refused("you may not".into()));
        pack.add_logs("logs", "j-0", vec![("server".into(), "", log("now")), ("server".into(), ".previous", log("before"))]);
        pack.add_logs("logs", "j-1", vec![("server".into(), "", refused), ("proxy".into(), "", log("p"))]);
        pack.add_logs("operator", "o", vec![("operator".into(), "", log("o"))]);
        pack.add_logs("logs", "none", vec![]);
        assert!(pack.take(Err::<(), _>(Error::Refused("forbidden".into()))).is_none());
        assert_eq!(pack.noted(), 2);
        assert!(pack.contents().contains("logs/j-1.proxy.txt"));
        let bytes = pack.zip("a title", "2026-02-03T04:05:06Z".parse().unwrap()).unwrap();
        let mut zip = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
        assert_eq!(zip.len(), 6);
        let mut read = |name: &str| {
            let mut text = String::new();
            zip.by_name(name).unwrap().read_to_string(&mut text).unwrap();
            text
        };
        assert_eq!(read("manifest.yaml"), "url: http://…@h/?token=…\n");
        assert_eq!(
            (read("logs/j-0.txt"), read("logs/j-0.previous.txt"), read("operator/o.txt")),
            ("now".into(), "before".into(), "o".into())
        );
        let notes = read("NOTES.txt");
        assert!(notes.starts_with("a title\n") && notes.contains("- you may not\n- forbidden\n"), "{notes}");
    }
}
