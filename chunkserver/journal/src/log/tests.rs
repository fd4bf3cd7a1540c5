use super::super::record::FAILED;
use super::*;

/// One task on compute thread 0.
fn task(log: &mut Log, start: f64, end: f64, kind: Kind, item: u32) {
    let lane = log.begin(start, kind, item, Some(0)).unwrap();
    log.end(end, lane, 1, 8.0, 0);
}

#[test]
fn running_tasks_are_reported_and_become_records() {
    let mut log = Log::new(2, 100);
    let decode = log.begin(1.0, Kind::Decode, 7, Some(1)).unwrap();
    let loads = [2.0, 3.0, 4.0].map(|at| log.begin(at, Kind::Load, at as u32, None).unwrap());
    let snapshot = log.snapshot(5.0, None, 0);
    assert_eq!(snapshot.lanes, ["compute 1", "compute 2", "fetch 1", "fetch 2", "fetch 3"]);
    assert_eq!((snapshot.finished, snapshot.next), (0, 0));
    let seen: Vec<_> = snapshot.records.iter().map(|r| (r.start, r.duration, r.item, r.lane, r.kind, r.flags)).collect();
    let load = |at: u32| (f64::from(at), 5.0 - at as f32, at, at as u16, Kind::Load, RUNNING);
    assert_eq!(seen, [(1.0, 4.0, 7, 1, Kind::Decode, RUNNING), load(2), load(3), load(4)]);

    log.end(6.0, loads[1], 1, 100.0, 0);
    log.end(7.0, decode, 8, 50.0, FAILED);
    log.cancel(loads[0]);
    // The lowest free lane.
    assert_eq!(log.begin(8.0, Kind::Load, 9, None), Some(2));
    let snapshot = log.snapshot(9.0, Some(0), snapshot.next);
    let finished: Vec<_> =
        snapshot.records[..snapshot.finished].iter().map(|r| (r.start, r.duration, r.busy, r.count, r.bytes, r.flags)).collect();
    assert_eq!(finished, [(3.0, 3.0, 3.0, 1, 100.0, 0), (1.0, 6.0, 6.0, 8, 50.0, FAILED)]);
    assert_eq!(snapshot.records[snapshot.finished..].iter().map(|r| r.item).collect::<Vec<_>>(), [9, 4]);
    let later = log.snapshot(10.0, Some(0), snapshot.next);
    assert_eq!((later.finished, later.records.len(), later.next), (0, 2, snapshot.next));
}

#[test]
fn a_lane_has_one_task_and_each_kind_its_lanes() {
    let mut log = Log::new(1, 100);
    assert_eq!(log.begin(0.0, Kind::Fft, 0, None), None, "no compute thread");
    assert_eq!(log.begin(0.0, Kind::Fft, 0, Some(1)), None, "a thread of another pool");
    assert_eq!(log.begin(0.0, Kind::Fft, 0, Some(0)), Some(0));
    assert_eq!(log.begin(0.0, Kind::Gather, 0, Some(0)), None, "the lane has a task");
    for kind in [Kind::Gather, Kind::Transfer, Kind::Write, Kind::Gather] {
        assert!(log.begin(0.0, kind, 0, None).is_some());
    }
    assert_eq!(log.snapshot(0.0, None, 0).lanes, ["compute 1", "serve 1", "transfer 1", "write 1", "serve 2"]);
    assert_eq!((log.running(Kind::Gather), log.running(Kind::Load)), (2, 0));
}

#[test]
fn the_next_snapshot_contains_only_what_is_new() {
    let mut log = Log::new(1, 100);
    task(&mut log, 0.0, 1.0, Kind::Fft, 0);
    log.mark(1.0, Event::Lost, "1", "server 1 is gone");
    log.sample(2.0, [1, 2, 3, 4]);
    task(&mut log, 2.0, 3.0, Kind::Fft, 1);
    let first = log.snapshot(3.0, None, 0);
    assert_eq!((first.finished, first.marks.len(), first.samples.len(), first.next), (2, 1, 1, 4));
    log.sample(4.0, [2, 2, 3, 4]);
    task(&mut log, 4.0, 5.0, Kind::Fft, 2);
    log.mark(5.0, Event::Replaced, "1", "server 1 was restarted (exit code 1)");
    let second = log.snapshot(5.0, Some(first.version), first.next);
    assert_eq!((second.finished, second.records[0].item, second.samples[0].at_us), (1, 2, 4.0));
    assert_eq!(second.marks.iter().map(|mark| mark.kind).collect::<Vec<_>>(), [Event::Replaced]);
    assert_eq!(log.snapshot(5.0, Some(9), second.next).finished, 3, "another version gets everything");
    assert_eq!(log.snapshot(5.0, Some(0), 1000).finished, 0);
}

#[test]
fn a_full_log_is_merged_and_keeps_the_whole_run() {
    let mut log = Log::new(1, 64);
    log.sample(0.0, [0; 4]);
    log.mark(0.0, Event::Lost, "1", "server 1 is gone");
    let mut tasks = 0;
    // The last task leaves the log one record below its limit.
    while tasks < 10_000 || log.records.len() == 64 {
        let item = tasks;
        tasks += 1;
        let at = f64::from(item) * 10.0;
        task(&mut log, at, at + 4.0, Kind::Decode, item);
        task(&mut log, at + 4.0, at + 9.0, Kind::Recenter, item);
    }
    let snapshot = log.snapshot(2e5, None, 0);
    assert!((8..64).contains(&snapshot.finished), "{}", snapshot.finished);
    assert!(snapshot.version > 0 && snapshot.next == snapshot.finished as u64 + 2);
    let of = |kind| snapshot.records.iter().filter(move |record| record.kind == kind);
    assert_eq!(of(Kind::Decode).map(|r| r.count).sum::<u32>(), tasks);
    assert_eq!(of(Kind::Recenter).map(|r| f64::from(r.busy)).sum::<f64>(), 5.0 * f64::from(tasks));
    assert_eq!(snapshot.records.iter().map(|r| f64::from(r.bytes)).sum::<f64>(), 16.0 * f64::from(tasks));
    assert_eq!(of(Kind::Decode).map(|r| r.start).fold(f64::MAX, f64::min), 0.0);
    assert_eq!((snapshot.marks.len(), snapshot.samples.len()), (1, 1));
    // The next snapshot contains only what is new.
    task(&mut log, 2e5, 2e5 + 1.0, Kind::Decode, tasks);
    let next = log.snapshot(3e5, Some(snapshot.version), snapshot.next);
    assert_eq!((next.finished, next.records[0].item, next.marks.len(), next.samples.len()), (1, tasks, 0, 0));
}

#[test]
fn with_more_lanes_than_records_the_oldest_records_are_dropped() {
    let mut log = Log::new(0, 8);
    let lanes: Vec<u16> = (0..20).map(|item| log.begin(0.0, Kind::Load, item, None).unwrap()).collect();
    for (number, lane) in lanes.into_iter().enumerate() {
        log.end(number as f64 + 1.0, lane, 1, 1.0, 0);
    }
    let snapshot = log.snapshot(100.0, None, 0);
    assert!(snapshot.finished <= 8 && snapshot.records.last().unwrap().item == 19, "{snapshot:?}");
}

#[test]
fn a_thread_counts_as_busy_shortly_after_its_task() {
    let mut log = Log::new(1, 8);
    assert!(!log.computes(0.0));
    task(&mut log, 0.0, 1.0, Kind::Fft, 0);
    assert!(log.computes(2.0) && !log.computes(1e6));
    log.begin(2e6, Kind::Fft, 1, Some(0));
    assert!(log.computes(9e6));
}

#[test]
fn many_marks_and_samples_are_thinned_and_reported_again() {
    let mut log = Log::new(1, 100);
    for number in 0..2000 {
        log.mark(f64::from(number), Event::Retry, &number.to_string(), "again");
        log.sample(f64::from(number), [0; 4]);
    }
    let snapshot = log.snapshot(2000.0, None, 0);
    assert!(snapshot.marks.len() <= 1024 && snapshot.samples.len() <= 512 && snapshot.version > 2);
    assert_eq!(snapshot.next, (snapshot.marks.len() + snapshot.samples.len()) as u64);
    assert_eq!(snapshot.samples[0].at_us, 0.0);
}
