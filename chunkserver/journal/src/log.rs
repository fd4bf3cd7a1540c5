//! Tasks begin and end, things happen: records, marks and samples in the order in which they were noted. Pure: told the time.

use super::history::{History, Sample};
use super::marks::{Event, Mark, Marks};
use super::record::{Kind, RUNNING, Record, merge};

/// Records that are kept: 8 MiB of them.
pub(super) const MOST: usize = 1 << 18;
/// Lanes that there may be; what needs more is not noted.
const MOST_LANES: usize = 4096;
/// Whoever computed so lately still does, in microseconds: between two tasks there is a little time.
const JUST_NOW: f64 = 100_000.0;

/// Lanes that a server's other work runs in; one is free again when its task ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Fetch,
    Transfer,
    Serve,
    Write,
}

impl Class {
    const NAMES: [&'static str; 4] = ["fetch", "transfer", "serve", "write"];
}

/// Where one task at a time goes on.
#[derive(Debug)]
struct Lane {
    name: String,
    running: Option<Running>,
}

#[derive(Clone, Copy, Debug)]
struct Running {
    start: f64,
    kind: Kind,
    item: u32,
}

/// What was noted. Times are microseconds since its beginning.
#[derive(Debug)]
pub(super) struct Log {
    most: usize,
    records: Vec<Record>,
    marks: Marks,
    history: History,
    lanes: Vec<Lane>,
    /// Lanes of each [`Class`].
    classes: [Vec<u16>; 4],
    threads: usize,
    /// When a compute thread last ended a task.
    computed: f64,
    /// What neighbours were merged by to make room; 0 before.
    resolution: f64,
    /// How often room was made: what was told before is told anew since.
    version: u32,
}

/// What is told of a log.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Told {
    /// [`Log::version`].
    pub(super) version: u32,
    /// The number to ask from next time.
    pub(super) next: u64,
    /// Names of lanes.
    pub(super) lanes: Vec<String>,
    /// Finished tasks, then those that go on.
    pub(super) records: Vec<Record>,
    /// How many of these are finished.
    pub(super) finished: usize,
    /// What happened.
    pub(super) marks: Vec<Mark>,
    /// What the process took.
    pub(super) samples: Vec<Sample>,
}

impl Log {
    /// An empty one, for so many compute threads and records.
    pub(super) fn new(threads: usize, most: usize) -> Self {
        let lane = |thread: usize| Lane { name: format!("compute {}", thread + 1), running: None };
        Self {
            most,
            records: Vec::new(),
            marks: Marks::default(),
            history: History::default(),
            lanes: (0..threads).map(lane).collect(),
            classes: Default::default(),
            threads,
            computed: f64::NEG_INFINITY,
            resolution: 0.0,
            version: 0,
        }
    }

    /// A task begins, on that compute thread if on any; its lane, unless there is none for it.
    pub(super) fn begin(&mut self, now: f64, kind: Kind, item: u32, thread: Option<usize>) -> Option<u16> {
        let class = match (kind, thread) {
            (Kind::Decode | Kind::Recenter | Kind::Fft, _) | (Kind::Gather, Some(_)) => None,
            (Kind::Load, _) => Some(Class::Fetch),
            (Kind::Transfer, _) => Some(Class::Transfer),
            (Kind::Gather, None) => Some(Class::Serve),
            (Kind::Write, _) => Some(Class::Write),
        };
        let index = match class {
            // A thread has one lane; a task within a task is not noted.
            None => thread.filter(|&thread| thread < self.threads && self.lanes[thread].running.is_none())?,
            Some(class) => self.free(class)?,
        };
        self.lanes[index].running = Some(Running { start: now, kind, item });
        Some(index as u16)
    }

    /// The first lane of that class that is free.
    fn free(&mut self, class: Class) -> Option<usize> {
        let known = &self.classes[class as usize];
        if let Some(&lane) = known.iter().find(|&&lane| self.lanes[usize::from(lane)].running.is_none()) {
            return Some(usize::from(lane));
        }
        if self.lanes.len() >= MOST_LANES {
            return None;
        }
        let name = format!("{} {}", Class::NAMES[class as usize], known.len() + 1);
        let lane = self.lanes.len();
        self.classes[class as usize].push(lane as u16);
        self.lanes.push(Lane { name, running: None });
        Some(lane)
    }

    /// The task of that lane has ended: so many in one, and so many bytes.
    pub(super) fn end(&mut self, now: f64, lane: u16, count: u32, bytes: f32, flags: u8) {
        let Some(Running { start, kind, item }) = self.take(lane) else { return };
        if usize::from(lane) < self.threads {
            self.computed = now;
        }
        let duration = (now - start) as f32;
        if self.records.len() >= self.most {
            self.make_room(now);
        }
        self.records.push(Record { start, duration, busy: duration, count, item, bytes, lane, kind, flags });
    }

    /// The task of that lane was given up.
    pub(super) fn forget(&mut self, lane: u16) {
        self.take(lane);
    }

    fn take(&mut self, lane: u16) -> Option<Running> {
        self.lanes.get_mut(usize::from(lane))?.running.take()
    }

    /// Something happened; with equal keys, it is one more of the same.
    pub(super) fn mark(&mut self, now: f64, event: Event, key: &str, text: &str) {
        if self.marks.full() {
            self.marks.thin();
            self.renumber();
        }
        let sequence = self.next();
        self.marks.note(now, event, key, text, sequence);
    }

    /// What the process has taken by now: CPU milliseconds, resident bytes, bytes received and sent.
    pub(super) fn sample(&mut self, now: f64, [cpu_ms, resident_bytes, received_bytes, sent_bytes]: [u64; 4]) {
        if self.history.full() {
            self.history.thin();
            self.renumber();
        }
        let sequence = self.next();
        self.history.push(Sample { at_us: now, cpu_ms, resident_bytes, received_bytes, sent_bytes, sequence });
    }

    /// Microseconds between two samples.
    pub(super) const fn interval(&self) -> f64 {
        self.history.interval
    }

    /// Whether a thread computes, or did just now.
    pub(super) fn computes(&self, now: f64) -> bool {
        now - self.computed < JUST_NOW || self.lanes[..self.threads].iter().any(|lane| lane.running.is_some())
    }

    /// How many tasks of that kind go on.
    pub(super) fn running(&self, kind: Kind) -> usize {
        self.lanes.iter().filter(|lane| lane.running.is_some_and(|running| running.kind == kind)).count()
    }

    /// What was noted from number `from` on: records as far as they are finished, and all tasks that go on. Of another version,
    /// everything.
    pub(super) fn tell(&mut self, now: f64, version: Option<u32>, from: u64) -> Told {
        let from = if version == Some(self.version) { from.min(self.next()) } else { 0 };
        let records = from as usize - self.others_before(from);
        let mut records: Vec<Record> = self.records[records..].to_vec();
        let finished = records.len();
        records.extend(self.lanes.iter().enumerate().filter_map(|(lane, of)| {
            let Running { start, kind, item } = of.running?;
            let duration = (now - start).max(0.0) as f32;
            Some(Record { start, duration, busy: duration, count: 1, item, bytes: 0.0, lane: lane as u16, kind, flags: RUNNING })
        }));
        Told {
            version: self.version,
            next: self.next(),
            lanes: self.lanes.iter().map(|lane| lane.name.clone()).collect(),
            records,
            finished,
            marks: self.marks.tell(from),
            samples: self.history.from(from).to_vec(),
        }
    }

    /// The number of what is noted next. Records, marks and samples share one sequence; a record's is not kept with it.
    fn next(&self) -> u64 {
        (self.records.len() + self.marks.all().len() + self.history.all().len()) as u64
    }

    /// How many marks and samples were noted before that number.
    fn others_before(&self, number: u64) -> usize {
        let marks = self.marks.all().partition_point(|mark| mark.sequence < number);
        let samples = self.history.all().partition_point(|sample| sample.sequence < number);
        // Never more than there is: they are numbered among the records.
        (marks + samples).min(number as usize)
    }

    /// Merges neighbours, at the least resolution that halves what there is.
    fn make_room(&mut self, now: f64) {
        // What came since the last time is not merged at all yet.
        self.resolution = self.resolution.max(now / self.most as f64).max(1.0);
        loop {
            merge(&mut self.records, self.resolution);
            // With more lanes than that it may never be; then what is oldest goes.
            if self.records.len() <= self.most / 2 || self.resolution > now {
                break;
            }
            self.resolution *= 2.0;
        }
        let excess = self.records.len().saturating_sub(self.most / 2);
        self.records.drain(..excess);
        self.renumber();
    }

    /// Numbers everything anew: marks and samples first. Whoever was told before is told everything again.
    fn renumber(&mut self) {
        self.version += 1;
        let marks = self.marks.all().len() as u64;
        self.marks.renumber(0..);
        self.history.renumber(marks..);
    }
}

#[cfg(test)]
mod tests;
