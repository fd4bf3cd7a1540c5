//! The files and notes of a report, and their zip file. Every text is scrubbed on entry.

use super::scrub::scrub;
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

/// The log of one container, or the reason why the log is not readable.
#[derive(Debug)]
pub(super) struct Log {
    pub(super) container: String,
    /// Whether this is the log of the run before the last restart.
    pub(super) previous: bool,
    pub(super) text: Result<String, Error>,
}

/// Files by name, and notes about failed reads.
#[derive(Debug, Default)]
pub(super) struct Archive {
    files: BTreeMap<String, String>,
    notes: Vec<String>,
}

impl Archive {
    /// Adds a file.
    pub(super) fn add(&mut self, name: &str, text: &str) {
        self.files.insert(name.to_owned(), scrub(text));
    }

    /// Adds a note about a failed read.
    pub(super) fn note(&mut self, text: &str) {
        self.notes.push(scrub(text));
    }

    /// The value of a read; a failed read becomes a note.
    pub(super) fn value_or_note<T>(&mut self, read: Result<T, Error>) -> Option<T> {
        read.map_err(|error| self.note(&error.sentence())).ok()
    }

    /// Adds a pod's logs. The name of the file omits the chunk server's container, and the only container of a pod.
    pub(super) fn add_logs(&mut self, folder: &str, pod: &str, logs: Vec<Log>) {
        let only_one = logs.iter().all(|log| log.container == logs[0].container);
        for Log { container, previous, text } in logs {
            let container = if only_one || container == CONTAINER { String::new() } else { format!(".{container}") };
            let run = if previous { ".previous" } else { "" };
            match text {
                Ok(text) => self.add(&format!("{folder}/{pod}{container}{run}.txt"), &text),
                Err(error) => self.note(&error.sentence()),
            }
        }
    }

    /// Number of failed reads.
    pub(super) fn note_count(&self) -> usize {
        self.notes.len()
    }

    /// The files and their sizes, one line each.
    pub(super) fn contents(&self) -> String {
        let mut lines: Vec<String> =
            self.files.iter().map(|(name, text)| format!("  {name:<40} {:>10}", human_bytes(text.len() as u64))).collect();
        lines.push(format!("  {NOTES}"));
        lines.join("\n")
    }

    fn notes(&self, title: &str) -> String {
        let mut text = format!("{title}\n\nNo Secret was read. Tokens, passwords and signatures in URLs, logs and settings are removed.\n");
        text.push_str(if self.notes.is_empty() { "\nAll reads succeeded.\n" } else { "\nFailed reads:\n" });
        for note in &self.notes {
            // Writing to a string never fails.
            let _ = writeln!(text, "- {note}");
        }
        text
    }

    /// The bytes of the zip file, with the notes in NOTES.txt.
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

/// The time in UTC as zip files store it; none outside of 1980 to 2107.
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
    fn the_zip_contains_files_and_notes() {
        let mut archive = Archive::default();
        archive.add("manifest.yaml", "url: http://me:pass@h/?token=abc\n");
        let log = |container: &str, previous, text: &str| Log { container: container.into(), previous, text: Ok(text.to_owned()) };
        let refused = Log { container: "server".into(), previous: false, text: Err(Error::Refused("no permission".into())) };
        archive.add_logs("logs", "j-0", vec![log("server", false, "now"), log("server", true, "before")]);
        archive.add_logs("logs", "j-1", vec![refused, log("proxy", false, "p")]);
        archive.add_logs("operator", "o", vec![log("operator", false, "o")]);
        archive.add_logs("logs", "none", vec![]);
        assert!(archive.value_or_note(Err::<(), _>(Error::Refused("forbidden".into()))).is_none());
        assert_eq!(archive.note_count(), 2);
        assert!(archive.contents().contains("logs/j-1.proxy.txt"));
        let bytes = archive.zip("a title", "2026-02-03T04:05:06Z".parse().unwrap()).unwrap();
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
        assert!(notes.starts_with("a title\n") && notes.contains("- no permission\n- forbidden\n"), "{notes}");
    }
}
