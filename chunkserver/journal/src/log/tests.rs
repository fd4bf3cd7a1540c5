use super::super::record::FAILED;
use super::*;

/// One task on compute thread 0.
fn task(log: &mut Log, start: f64, end: f64, kind: Kind, item: u32) {
    let lane = log.begin(start, kind, item, Some(0)).unwrap();
    log.end(end, lane, 1, 8.0, 0);
}

#[test]
fn tasks_that_go_on_are_told_and_become_records() {
    let mut log = Log::new(2, 100);
    let decode = log.begin(1.0, Kind::Decode, 7, Some(1)).unwrap();
    let loads = [2.0, 3.0, 4.0].map(|at| log.begin(at, Kind::Load, at as u32, None).unwrap());
    let told = log.tell(5.0, None, 0);
    assert_eq!(told.lanes, ["compute 1", "compute 2", "fetch 1", "fetch 2", "fetch 3"]);
    assert_eq!((told.finished, told.next), (0, 0));
    let seen: Vec<_> = told.records.iter().map(|r| (r.start, r.duration, r.item, r.lane, r.kind, r.flags)).collect();
    let load = |at: u32| (f64::from(at), 5.0 - at as f32, at, at as u16, Kind::Load, RUNNING);
    assert_eq!(seen, [(1.0, 4.0, 7, 1, Kind::Decode, RUNNING), load(2), load(3), load(4)]);

    log.end(6.0, loads[1], 1, 100.0, 0);
    log.end(7.0, decode, 8, 50.0, FAILED);
    log.forget(loads[0]);
    // The lowest that is free.
    assert_eq!(log.begin(8.0, Kind::Load, 9, None), Some(2));
    let told = log.tell(9.0, Some(0), told.next);
    let finished: Vec<_> = told.records[..told.finished].iter().map(|r| (r.start, r.duration, r.busy, r.count, r.bytes, r.flags)).collect();
    assert_eq!(finished, [(3.0, 3.0, 3.0, 1, 100.0, 0), (1.0, 6.0, 6.0, 8, 50.0, FAILED)]);
    assert_eq!(told.records[told.finished..].iter().map(|r| r.item).collect::<Vec<_>>(), [9, 4]);
    let later = log.tell(10.0, Some(0), told.next);
    assert_eq!((later.finished, later.records.len(), later.next), (0, 2, told.next));
}

#[test]
fn a_lane_has_one_task_and_each_kind_its_lanes() {
    let mut log = Log::new(1, 100);
    assert_eq!(log.begin(0.0, Kind::Fft, 0, None), None, "this is no compute thread");
    assert_eq!(log.begin(0.0, Kind::Fft, 0, Some(1)), None, "nor is this one of ours");
    assert_eq!(log.begin(0.0, Kind::Fft, 0, Some(0)), Some(0));
    assert_eq!(log.begin(0.0, Kind::Gather, 0, Some(0)), None, "it is at something");
    for kind in [Kind::Gather, Kind::Transfer, Kind::Write, Kind::Gather] {
        assert!(log.begin(0.0, kind, 0, None).is_some());
    }
    assert_eq!(log.tell(0.0, None, 0).lanes, ["compute 1", "serve 1", "transfer 1", "write 1", "serve 2"]);
    assert_eq!((log.running(Kind::Gather), log.running(Kind::Load)), (2, 0));
}

#[test]
fn who_asks_again_is_told_only_what_is_new() {
    let mut log = Log::new(1, 100);
    task(&mut log, 0.0, 1.0, Kind::Fft, 0);
    log.mark(1.0, Event::Lost, "1", "server 1 is gone");
    log.sample(2.0, [1, 2, 3, 4]);
    task(&mut log, 2.0, 3.0, Kind::Fft, 1);
    let first = log.tell(3.0, None, 0);
    assert_eq!((first.finished, first.marks.len(), first.samples.len(), first.next), (2, 1, 1, 4));
    log.sample(4.0, [2, 2, 3, 4]);
    task(&mut log, 4.0, 5.0, Kind::Fft, 2);
    log.mark(5.0, Event::Replaced, "1", "server 1 was started anew (exit code 1)");
    let second = log.tell(5.0, Some(first.version), first.next);
    assert_eq!((second.finished, second.records[0].item, second.samples[0].at_us), (1, 2, 4.0));
    assert_eq!(second.marks.iter().map(|mark| mark.kind).collect::<Vec<_>>(), [Event::Replaced]);
    assert_eq!(log.tell(5.0, Some(9), second.next).finished, 3, "of another version, everything");
    assert_eq!(log.tell(5.0, Some(0), 1000).finished, 0);
}

#[test]
fn a_full_log_is_merged_and_keeps_the_whole_run() {
    let mut log = Log::new(1, 64);
    log.sample(0.0, [0; 4]);
    log.mark(0.0, Event::Lost, "1", "server 1 is gone");
    let mut tasks = 0;
    // There is room for one more at the end.
    while tasks < 10_000 || log.records.len() == 64 {
        let item = tasks;
        tasks += 1;
        let at = f64::from(item) * 10.0;
        task(&mut log, at, at + 4.0, Kind::Decode, item);
        task(&mut log, at + 4.0, at + 9.0, Kind::Recenter, item);
    }
    let told = log.tell(2e5, None, 0);
    assert!((8..64).contains(&told.finished), "{}", told.finished);
    assert!(told.version > 0 && told.next == told.finished as u64 + 2);
    let of = |kind| told.records.iter().filter(move |record| record.kind == kind);
    assert_eq!(of(Kind::Decode).map(|r| r.count).sum::<u32>(), tasks);
    assert_eq!(of(Kind::Recenter).map(|r| f64::from(r.busy)).sum::<f64>(), 5.0 * f64::from(tasks));
    assert_eq!(told.records.iter().map(|r| f64::from(r.bytes)).sum::<f64>(), 16.0 * f64::from(tasks));
    assert_eq!(of(Kind::Decode).map(|r| r.start).fold(f64::MAX, f64::min), 0.0);
    assert_eq!((told.marks.len(), told.samples.len()), (1, 1));
    // The next question is answered by what is new alone.
    task(&mut log, 2e5, 2e5 + 1.0, Kind::Decode, tasks);
    let next = log.tell(3e5, Some(told.version), told.next);
    assert_eq!((next.finished, next.records[0].item, next.marks.len(), next.samples.len()), (1, tasks, 0, 0));
}

#[test]
fn more_lanes_than_room_lose_what_is_oldest() {
    let mut log = Log::new(0, 8);
    let lanes: Vec<u16> = (0..20).map(|item| log.begin(0.0, Kind::Load, item, None).unwrap()).collect();
    for (number, lane) in lanes.into_iter().enumerate() {
        log.end(number as f64 + 1.0, lane, 1, 1.0, 0);
    }
    let told = log.tell(100.0, None, 0);
    assert!(told.finished <= 8 && told.records.last().unwrap().item == 19, "{told:?}");
}

#[test]
fn a_thread_computes_a_little_longer_than_its_task() {
    let mut log = Log::new(1, 8);
    assert!(!log.computes(0.0));
    task(&mut log, 0.0, 1.0, Kind::Fft, 0);
    assert!(log.computes(2.0) && !log.computes(1e6));
    log.begin(2e6, Kind::Fft, 1, Some(0));
    assert!(log.computes(9e6));
}

#[test]
fn many_marks_and_samples_are_thinned_and_told_anew() {
    let mut log = Log::new(1, 100);
    for number in 0..2000 {
        log.mark(f64::from(number), Event::Retry, &number.to_string(), "again");
        log.sample(f64::from(number), [0; 4]);
    }
    let told = log.tell(2000.0, None, 0);
    assert!(told.marks.len() <= 1024 && told.samples.len() <= 512 && told.version > 2);
    assert_eq!(told.next, (told.marks.len() + told.samples.len()) as u64);
    assert_eq!(told.samples[0].at_us, 0.0);
}
