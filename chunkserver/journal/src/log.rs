//! Records of tasks, marks of events and samples of resource usage, in the order in which they were recorded. The caller passes the time.

use super::history::{History, Sample};
use super::marks::{Event, Mark, Marks};
use super::record::{Kind, RUNNING, Record, merge};

/// Largest number of records: 8 MiB.
pub(super) const MOST: usize = 1 << 18;
/// Largest number of lanes. Tasks that need a further lane are not recorded.
const MOST_LANES: usize = 4096;
/// A thread that was active within this time counts as busy, in microseconds. Short pauses separate two tasks.
const BUSY_US: f64 = 100_000.0;

/// Kinds of lanes apart from compute threads. A lane is free again when its task ends.
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

/// A lane runs one task at a time.
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

/// The content of a journal. Times are microseconds since its start.
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
    /// Time at which a compute thread last ended a task.
    last_computed: f64,
    /// Longest span of merged neighbours, in microseconds; 0 before the first merge.
    resolution: f64,
    /// Number of merges. Snapshots of an earlier version are out of date.
    version: u32,
}

/// A part of a log.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Snapshot {
    /// [`Log::version`].
    pub(super) version: u32,
    /// The number from which the next query continues.
    pub(super) next: u64,
    /// Names of lanes.
    pub(super) lanes: Vec<String>,
    /// Finished tasks, then running tasks.
    pub(super) records: Vec<Record>,
    /// Number of finished tasks.
    pub(super) finished: usize,
    /// Events.
    pub(super) marks: Vec<Mark>,
    /// Resource usage of the process.
    pub(super) samples: Vec<Sample>,
}

impl Log {
    /// An empty log for `threads` compute threads and `most` records.
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
            last_computed: f64::NEG_INFINITY,
            resolution: 0.0,
            version: 0,
        }
    }

    /// Begins a task, on compute thread `thread` if given. Returns its lane; `None` when no lane is free for the task.
    pub(super) fn begin(&mut self, now: f64, kind: Kind, item: u32, thread: Option<usize>) -> Option<u16> {
        let class = match (kind, thread) {
            (Kind::Decode | Kind::Recenter | Kind::Fft, _) | (Kind::Gather, Some(_)) => None,
            (Kind::Load, _) => Some(Class::Fetch),
            (Kind::Transfer, _) => Some(Class::Transfer),
            (Kind::Gather, None) => Some(Class::Serve),
            (Kind::Write, _) => Some(Class::Write),
        };
        let index = match class {
            // A thread has one lane. A task within a task is not recorded.
            None => thread.filter(|&thread| thread < self.threads && self.lanes[thread].running.is_none())?,
            Some(class) => self.free(class)?,
        };
        self.lanes[index].running = Some(Running { start: now, kind, item });
        Some(index as u16)
    }

    /// The first free lane of a class; a new lane when none is free.
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

    /// Ends the task of `lane`, which counts as `count` tasks.
    pub(super) fn end(&mut self, now: f64, lane: u16, count: u32, bytes: f32, flags: u8) {
        let Some(Running { start, kind, item }) = self.take(lane) else { return };
        if usize::from(lane) < self.threads {
            self.last_computed = now;
        }
        let duration = (now - start) as f32;
        if self.records.len() >= self.most {
            self.make_room(now);
        }
        self.records.push(Record { start, duration, busy: duration, count, item, bytes, lane, kind, flags });
    }

    /// Cancels the task of `lane`.
    pub(super) fn cancel(&mut self, lane: u16) {
        self.take(lane);
    }

    fn take(&mut self, lane: u16) -> Option<Running> {
        self.lanes.get_mut(usize::from(lane))?.running.take()
    }

    /// Records an event. Events with equal keys are merged.
    pub(super) fn mark(&mut self, now: f64, event: Event, key: &str, text: &str) {
        if self.marks.full() {
            self.marks.thin();
            self.renumber();
        }
        let sequence = self.next();
        self.marks.note(now, event, key, text, sequence);
    }

    /// Records resource usage: CPU milliseconds, resident bytes, bytes received and sent.
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

    /// Whether a compute thread is busy: active within [`BUSY_US`].
    pub(super) fn computes(&self, now: f64) -> bool {
        now - self.last_computed < BUSY_US || self.lanes[..self.threads].iter().any(|lane| lane.running.is_some())
    }

    /// Number of running tasks of a kind.
    pub(super) fn running(&self, kind: Kind) -> usize {
        self.lanes.iter().filter(|lane| lane.running.is_some_and(|running| running.kind == kind)).count()
    }

    /// Everything that was recorded with number `from` or later, and all running tasks. The whole log if `version` is not the current one.
    pub(super) fn snapshot(&mut self, now: f64, version: Option<u32>, from: u64) -> Snapshot {
        let from = if version == Some(self.version) { from.min(self.next()) } else { 0 };
        let records = from as usize - self.others_before(from);
        let mut records: Vec<Record> = self.records[records..].to_vec();
        let finished = records.len();
        records.extend(self.lanes.iter().enumerate().filter_map(|(lane, of)| {
            let Running { start, kind, item } = of.running?;
            let duration = (now - start).max(0.0) as f32;
            Some(Record { start, duration, busy: duration, count: 1, item, bytes: 0.0, lane: lane as u16, kind, flags: RUNNING })
        }));
        Snapshot {
            version: self.version,
            next: self.next(),
            lanes: self.lanes.iter().map(|lane| lane.name.clone()).collect(),
            records,
            finished,
            marks: self.marks.since(from),
            samples: self.history.since(from).to_vec(),
        }
    }

    /// The next number. Records, marks and samples share one sequence. The number of a record is not stored.
    fn next(&self) -> u64 {
        (self.records.len() + self.marks.all().len() + self.history.all().len()) as u64
    }

    /// Number of marks and samples with a number below `number`.
    fn others_before(&self, number: u64) -> usize {
        let marks = self.marks.all().partition_point(|mark| mark.sequence < number);
        let samples = self.history.all().partition_point(|sample| sample.sequence < number);
        // At most `number`: marks and samples share the sequence of the records.
        (marks + samples).min(number as usize)
    }

    /// Merges neighbours at the finest resolution that leaves half of the records.
    fn make_room(&mut self, now: f64) {
        // Records since the last merge are not merged yet.
        self.resolution = self.resolution.max(now / self.most as f64).max(1.0);
        loop {
            merge(&mut self.records, self.resolution);
            // With very many lanes no resolution suffices. The oldest records are dropped then.
            if self.records.len() <= self.most / 2 || self.resolution > now {
                break;
            }
            self.resolution *= 2.0;
        }
        let excess = self.records.len().saturating_sub(self.most / 2);
        self.records.drain(..excess);
        self.renumber();
    }

    /// Assigns new numbers, to marks and samples first. Earlier snapshots are out of date after this.
    fn renumber(&mut self) {
        self.version += 1;
        let marks = self.marks.all().len() as u64;
        self.marks.renumber(0..);
        self.history.renumber(marks..);
    }
}

#[cfg(test)]
mod tests;
