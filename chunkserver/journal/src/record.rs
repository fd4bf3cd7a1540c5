//! Records of tasks, and the merge of neighbouring records.

/// Kinds of tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One response of the source, from the request to the last byte.
    Load,
    /// A frame is decoded, and summed unless a recentering follows.
    Decode,
    /// A frame's centroid is computed, and the frame is cropped and summed.
    Recenter,
    /// Pixels are copied into a block for a peer, or into a tile of this server.
    Gather,
    /// A peer's block is received, from its first byte to its last.
    Transfer,
    /// A band is transformed into spectra.
    Fft,
    /// One stage of an output.
    Write,
}

impl Kind {
    /// Names, in order of the numbers in a [`Record`].
    pub(super) const NAMES: [&'static str; 7] = ["load", "decode", "recenter", "gather", "transfer", "fft", "write"];
}

/// Flag: the task is running.
pub(super) const RUNNING: u8 = 1;
/// Flag: the task failed.
pub(super) const FAILED: u8 = 2;

/// A task, or several tasks of the same lane and kind. Times are microseconds since the start of the journal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Record {
    /// Start of the first task.
    pub(super) start: f64,
    /// Time from `start` to the end of the last task.
    pub(super) duration: f32,
    /// Sum of the durations of the tasks.
    pub(super) busy: f32,
    /// Number of tasks.
    pub(super) count: u32,
    /// Number of the frame, band or output of the first task.
    pub(super) item: u32,
    /// Bytes received, sent or computed.
    pub(super) bytes: f32,
    /// Index of the lane.
    pub(super) lane: u16,
    /// Kind of task.
    pub(super) kind: Kind,
    /// [`RUNNING`] and [`FAILED`], combined by or.
    pub(super) flags: u8,
}

impl Record {
    /// Bytes of a record on the wire, and in memory.
    pub(super) const BYTES: usize = 32;

    /// Little endian, in the order of the fields.
    pub(super) fn write(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(&self.start.to_le_bytes());
        to.extend_from_slice(&self.duration.to_le_bytes());
        to.extend_from_slice(&self.busy.to_le_bytes());
        to.extend_from_slice(&self.count.to_le_bytes());
        to.extend_from_slice(&self.item.to_le_bytes());
        to.extend_from_slice(&self.bytes.to_le_bytes());
        to.extend_from_slice(&self.lane.to_le_bytes());
        to.extend_from_slice(&[self.kind as u8, self.flags]);
    }

    fn end(&self) -> f64 {
        self.start + f64::from(self.duration)
    }

    /// Adds the tasks of `other`.
    fn absorb(&mut self, other: &Self) {
        let (start, end) = (self.start.min(other.start), self.end().max(other.end()));
        if other.start < self.start {
            self.item = other.item;
        }
        self.start = start;
        self.duration = (end - start) as f32;
        self.busy += other.busy;
        self.count = self.count.saturating_add(other.count);
        self.bytes += other.bytes;
    }
}

const _: () = assert!(size_of::<Record>() == Record::BYTES);

/// Merges neighbouring records of the same lane, kind and flags that together span at most `resolution` microseconds. The records of a lane
/// must be in the order of their times. The merged records are in the order of their first tasks.
pub(super) fn merge(records: &mut Vec<Record>, resolution: f64) {
    const NONE: u32 = u32::MAX;
    let group = |record: &Record| (usize::from(record.lane) * Kind::NAMES.len() + record.kind as usize) * 4 + usize::from(record.flags & 3);
    // Index of the newest record of each group.
    let mut newest: Vec<u32> = Vec::new();
    let mut kept = 0;
    for index in 0..records.len() {
        let record = records[index];
        let group = group(&record);
        if group >= newest.len() {
            newest.resize(group + 1, NONE);
        }
        if let Some(last) = records[..kept].get_mut(newest[group] as usize)
            && last.end().max(record.end()) - last.start.min(record.start) <= resolution
        {
            last.absorb(&record);
            continue;
        }
        records[kept] = record;
        newest[group] = kept as u32;
        kept += 1;
    }
    records.truncate(kept);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record(start: f64, duration: f32, lane: u16, kind: Kind) -> Record {
        Record { start, duration, busy: duration, count: 1, item: start as u32, bytes: 10.0, lane, kind, flags: 0 }
    }

    #[test]
    fn neighbours_within_the_resolution_are_merged() {
        let all = [
            record(0.0, 2.0, 0, Kind::Decode),
            record(2.0, 1.0, 0, Kind::Recenter),
            record(3.0, 2.0, 0, Kind::Decode),
            record(3.0, 2.0, 1, Kind::Decode),
            record(9.0, 2.0, 0, Kind::Decode),
        ];
        let check = |resolution, expected: &[(f64, f32, f32, u32, u32)]| {
            let mut records = all.to_vec();
            merge(&mut records, resolution);
            let seen: Vec<_> = records.iter().map(|r| (r.start, r.duration, r.busy, r.count, r.item)).collect();
            assert_eq!(seen, expected, "at {resolution}");
        };
        check(4.9, &[(0.0, 2.0, 2.0, 1, 0), (2.0, 1.0, 1.0, 1, 2), (3.0, 2.0, 2.0, 1, 3), (3.0, 2.0, 2.0, 1, 3), (9.0, 2.0, 2.0, 1, 9)]);
        check(5.0, &[(0.0, 5.0, 4.0, 2, 0), (2.0, 1.0, 1.0, 1, 2), (3.0, 2.0, 2.0, 1, 3), (9.0, 2.0, 2.0, 1, 9)]);
        check(11.0, &[(0.0, 11.0, 6.0, 3, 0), (2.0, 1.0, 1.0, 1, 2), (3.0, 2.0, 2.0, 1, 3)]);
    }

    #[test]
    fn failed_tasks_are_not_merged_with_others() {
        let mut records = vec![record(0.0, 1.0, 0, Kind::Load), record(1.0, 1.0, 0, Kind::Load), record(2.0, 1.0, 0, Kind::Load)];
        records[1].flags = FAILED;
        merge(&mut records, 100.0);
        assert_eq!(records.iter().map(|r| (r.count, r.flags)).collect::<Vec<_>>(), [(2, 0), (1, FAILED)]);
    }

    #[test]
    fn fields_are_written_at_fixed_offsets() {
        let mut bytes = Vec::new();
        let record = Record { count: 3, item: 4, bytes: 5.0, lane: 0x0102, flags: FAILED, busy: 2.0, ..record(1.0, 2.5, 0, Kind::Fft) };
        record.write(&mut bytes);
        assert_eq!(bytes.len(), Record::BYTES);
        assert_eq!(f64::from_le_bytes(bytes[..8].try_into().unwrap()), 1.0);
        let floats = [8, 12, 24].map(|at| f32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()));
        assert_eq!(floats, [2.5, 2.0, 5.0]);
        assert_eq!([16, 20].map(|at| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())), [3, 4]);
        assert_eq!(bytes[28..], [2, 1, 5, FAILED]);
        assert_eq!(Kind::NAMES[Kind::Fft as usize], "fft");
    }

    proptest! {
        #[test]
        fn a_merge_keeps_the_sums_and_leaves_few_records(
            tasks in proptest::collection::vec((0..3_u16, 0..2_u8, 1..50_u16, 0..30_u16), 1..300), resolution in 1.0..2000.0,
        ) {
            let mut ends = [0.0; 3];
            let mut records: Vec<Record> = tasks.iter().map(|&(lane, kind, duration, pause)| {
                let start = ends[usize::from(lane)] + f64::from(pause);
                ends[usize::from(lane)] = start + f64::from(duration);
                record(start, f32::from(duration), lane, if kind == 0 { Kind::Decode } else { Kind::Recenter })
            }).collect();
            let sums = |records: &[Record]| {
                let of = |value: fn(&Record) -> f64| records.iter().map(value).sum::<f64>();
                (of(|r| f64::from(r.count)), of(|r| f64::from(r.busy)), of(|r| f64::from(r.bytes)))
            };
            let before = sums(&records);
            merge(&mut records, resolution);
            prop_assert_eq!(before, sums(&records));
            for record in &records {
                prop_assert!(record.busy <= record.duration + 1e-3 && (record.count == 1 || f64::from(record.duration) <= resolution));
            }
            // Two consecutive records of the same lane and kind span more than the resolution.
            let most = 2.0 * ends.iter().sum::<f64>() / resolution;
            prop_assert!(records.len() as f64 <= 2.0 * (most + 3.0 * 2.0), "{} of {}", records.len(), tasks.len());
            // A second merge changes nothing.
            let again = records.clone();
            merge(&mut records, resolution);
            prop_assert_eq!(again, records);
        }
    }
}
