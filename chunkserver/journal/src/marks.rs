//! Marks: events with a sentence for the user. Equal marks within a second become one mark with a count.

use serde::Serialize;

/// Largest number of marks.
pub(super) const MOST: usize = 1024;
/// Longest text of a mark, in characters.
const SHOWN: usize = 400;
/// Equal marks within this time are merged, in microseconds.
const MERGE_US: f64 = 1e6;
/// Number of recent marks that are compared with a new mark.
const COMPARED: usize = 32;

/// Kinds of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Event {
    /// A request is retried.
    Retry,
    /// A frame is zero because it cannot be fetched.
    Blank,
    /// A peer is lost.
    Lost,
    /// A lost peer responds again, with its data.
    Recovered,
    /// This server replaces a lost server.
    Replaced,
    /// The job has failed.
    Failure,
}

/// An event.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Mark {
    /// Time in microseconds since the start of the journal; the first time of merged events.
    pub(super) at_us: f64,
    /// Kind of event.
    pub(super) kind: Event,
    /// A sentence for the user.
    pub(super) text: String,
    /// Number of merged events.
    pub(super) count: u32,
    /// Marks with the same kind and key are equal.
    #[serde(skip)]
    key: String,
    /// Number of the mark in the sequence of the log.
    #[serde(skip)]
    pub(super) sequence: u64,
}

/// Marks in the order of time.
#[derive(Debug, Default)]
pub(super) struct Marks {
    all: Vec<Mark>,
    /// Number of marks that a snapshot contains. These marks do not change any more.
    reported: usize,
}

impl Marks {
    /// Records an event. Returns `false` when the event was merged into an equal mark.
    pub(super) fn note(&mut self, at_us: f64, kind: Event, key: &str, text: &str, sequence: u64) -> bool {
        let unreported = &mut self.all[self.reported..];
        let equal = |mark: &&mut Mark| mark.kind == kind && mark.key == key && at_us - mark.at_us < MERGE_US;
        if let Some(mark) = unreported.iter_mut().rev().take(COMPARED).find(equal) {
            mark.count = mark.count.saturating_add(1);
            return false;
        }
        let text: String = text.chars().take(SHOWN).collect();
        let key = key.chars().take(SHOWN).collect();
        self.all.push(Mark { at_us, kind, text, count: 1, key, sequence });
        true
    }

    /// Whether the largest number of marks is reached.
    pub(super) fn full(&self) -> bool {
        self.all.len() >= MOST
    }

    /// Leaves at most half of the marks: merges equal marks, then drops the oldest marks of frequent kinds, then the oldest marks.
    pub(super) fn thin(&mut self) {
        let mut left: Vec<Mark> = Vec::new();
        for mark in self.all.drain(..) {
            match left.iter_mut().find(|known| known.kind == mark.kind && known.key == mark.key) {
                Some(known) => known.count = known.count.saturating_add(mark.count),
                None => left.push(mark),
            }
        }
        let frequent = |mark: &Mark| matches!(mark.kind, Event::Retry | Event::Blank);
        for expendable in [frequent, |_: &Mark| true] {
            let mut excess = left.len().saturating_sub(MOST / 2);
            left.retain(|mark| {
                let dropped = excess > 0 && expendable(mark);
                excess -= usize::from(dropped);
                !dropped
            });
        }
        self.all = left;
        self.reported = 0;
    }

    /// All marks.
    pub(super) fn all(&self) -> &[Mark] {
        &self.all
    }

    /// Assigns new numbers, in order.
    pub(super) fn renumber(&mut self, numbers: impl Iterator<Item = u64>) {
        self.all.iter_mut().zip(numbers).for_each(|(mark, number)| mark.sequence = number);
    }

    /// The marks with number `from` and later ones. All marks are reported then and do not change any more.
    pub(super) fn since(&mut self, from: u64) -> Vec<Mark> {
        self.reported = self.all.len();
        self.all[self.all.partition_point(|mark| mark.sequence < from)..].to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_marks_within_a_second_are_merged_until_they_are_reported() {
        let mut marks = Marks::default();
        assert!(marks.note(0.0, Event::Retry, "503", "fetched again: 503", 0));
        assert!(marks.note(1.0, Event::Retry, "cut", "fetched again: cut", 1));
        assert!(!marks.note(9e5, Event::Retry, "503", "fetched again: 503", 2));
        assert!(marks.note(9e5, Event::Blank, "503", "frame 1 is blank", 2));
        assert!(marks.note(1e6, Event::Retry, "503", "fetched again: 503", 3));
        let seen: Vec<_> = marks.since(0).iter().map(|mark| (mark.at_us, mark.kind, mark.count)).collect();
        assert_eq!(seen, [(0.0, Event::Retry, 2), (1.0, Event::Retry, 1), (9e5, Event::Blank, 1), (1e6, Event::Retry, 1)]);
        // Reported marks do not change.
        assert!(marks.note(1.1e6, Event::Retry, "503", "fetched again: 503", 4));
        assert_eq!(marks.since(4).iter().map(|mark| (mark.at_us, mark.count)).collect::<Vec<_>>(), [(1.1e6, 1)]);
        assert_eq!(marks.since(5), []);
    }

    #[test]
    fn a_full_list_keeps_rare_marks_and_half_of_its_size() {
        let mut marks = Marks::default();
        marks.note(0.0, Event::Lost, "1", "server 1 is gone", 0);
        for number in 1..MOST as u64 {
            let key = if number % 4 == 0 { "503".to_owned() } else { number.to_string() };
            marks.note(number as f64 * 2e6, Event::Retry, &key, &"long ".repeat(1000), number);
        }
        assert!(marks.full());
        let kept = marks.all().iter().map(|mark| mark.text.len()).max();
        assert_eq!(kept, Some(SHOWN));
        marks.thin();
        assert_eq!(marks.all().len(), MOST / 2);
        assert_eq!(marks.all()[0].kind, Event::Lost, "rare marks stay");
    }
}
