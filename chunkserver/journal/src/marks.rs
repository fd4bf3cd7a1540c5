//! Events worth a sentence; equal ones in a row become one with a count.

use serde::Serialize;

/// Marks that are kept.
pub(super) const MOST: usize = 1024;
/// Characters of a sentence that are kept.
const SHOWN: usize = 400;
/// Microseconds within which equal ones are one.
const TOGETHER: f64 = 1e6;
/// Marks that are looked at for an equal one.
const LOOKED_AT: usize = 32;

/// What kind of event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Event {
    /// Something is tried again.
    Retry,
    /// A frame is zero because it could not be had.
    Blank,
    /// A peer is gone.
    Lost,
    /// A peer is there again as it was.
    Recovered,
    /// This server was started in the place of one that was lost.
    Replaced,
    /// The work cannot go on.
    Failure,
}

/// An event.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Mark {
    /// When, in microseconds since the journal began; the first of several.
    pub(super) at_us: f64,
    /// What kind.
    pub(super) kind: Event,
    /// A sentence for people.
    pub(super) text: String,
    /// How many.
    pub(super) count: u32,
    /// What makes two of them equal.
    #[serde(skip)]
    key: String,
    /// Its place among all that was noted.
    #[serde(skip)]
    pub(super) sequence: u64,
}

/// All that are kept, in order.
#[derive(Debug, Default)]
pub(super) struct Marks {
    all: Vec<Mark>,
    /// How many somebody has been told of: these do not change any more.
    told: usize,
}

impl Marks {
    /// Notes one; equal ones have the same `key`. Whether it is one more, and not one with another.
    pub(super) fn note(&mut self, at_us: f64, kind: Event, key: &str, text: &str, sequence: u64) -> bool {
        let untold = &mut self.all[self.told..];
        let equal = |mark: &&mut Mark| mark.kind == kind && mark.key == key && at_us - mark.at_us < TOGETHER;
        if let Some(mark) = untold.iter_mut().rev().take(LOOKED_AT).find(equal) {
            mark.count = mark.count.saturating_add(1);
            return false;
        }
        let text: String = text.chars().take(SHOWN).collect();
        let key = key.chars().take(SHOWN).collect();
        self.all.push(Mark { at_us, kind, text, count: 1, key, sequence });
        true
    }

    /// Whether there is no room for more.
    pub(super) fn full(&self) -> bool {
        self.all.len() >= MOST
    }

    /// Leaves half of them at most: equal ones become one however far apart, then the oldest of those go of which there are many.
    pub(super) fn thin(&mut self) {
        let mut left: Vec<Mark> = Vec::new();
        for mark in self.all.drain(..) {
            match left.iter_mut().find(|known| known.kind == mark.kind && known.key == mark.key) {
                Some(known) => known.count = known.count.saturating_add(mark.count),
                None => left.push(mark),
            }
        }
        let many = |mark: &Mark| matches!(mark.kind, Event::Retry | Event::Blank);
        for expendable in [many, |_: &Mark| true] {
            let mut excess = left.len().saturating_sub(MOST / 2);
            left.retain(|mark| {
                let goes = excess > 0 && expendable(mark);
                excess -= usize::from(goes);
                !goes
            });
        }
        self.all = left;
        self.told = 0;
    }

    /// All of them.
    pub(super) fn all(&self) -> &[Mark] {
        &self.all
    }

    /// Numbers them anew, as the first that were noted.
    pub(super) fn renumber(&mut self, numbers: impl Iterator<Item = u64>) {
        self.all.iter_mut().zip(numbers).for_each(|(mark, number)| mark.sequence = number);
    }

    /// Those from that number on. They will not change any more.
    pub(super) fn tell(&mut self, from: u64) -> Vec<Mark> {
        self.told = self.all.len();
        self.all[self.all.partition_point(|mark| mark.sequence < from)..].to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_ones_within_a_second_are_one_until_they_are_told() {
        let mut marks = Marks::default();
        assert!(marks.note(0.0, Event::Retry, "503", "fetched again: 503", 0));
        assert!(marks.note(1.0, Event::Retry, "cut", "fetched again: cut", 1));
        assert!(!marks.note(9e5, Event::Retry, "503", "fetched again: 503", 2));
        assert!(marks.note(9e5, Event::Blank, "503", "frame 1 is blank", 2));
        assert!(marks.note(1e6, Event::Retry, "503", "fetched again: 503", 3));
        let seen: Vec<_> = marks.tell(0).iter().map(|mark| (mark.at_us, mark.kind, mark.count)).collect();
        assert_eq!(seen, [(0.0, Event::Retry, 2), (1.0, Event::Retry, 1), (9e5, Event::Blank, 1), (1e6, Event::Retry, 1)]);
        // What somebody knows is not changed behind his back.
        assert!(marks.note(1.1e6, Event::Retry, "503", "fetched again: 503", 4));
        assert_eq!(marks.tell(4).iter().map(|mark| (mark.at_us, mark.count)).collect::<Vec<_>>(), [(1.1e6, 1)]);
        assert_eq!(marks.tell(5), []);
    }

    #[test]
    fn there_is_an_end_to_them() {
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
        assert_eq!(marks.all()[0].kind, Event::Lost, "what is rare stays");
    }
}
