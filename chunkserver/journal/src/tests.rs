use super::record::{RUNNING, Record};
use super::*;
use serde_json::Value;

fn header(bytes: &[u8]) -> (Value, &[u8]) {
    let line = bytes.iter().position(|&byte| byte == b'\n').unwrap();
    (serde_json::from_slice(&bytes[..line]).unwrap(), &bytes[line + 1..])
}

#[test]
fn tasks_that_are_given_up_leave_nothing() {
    let journal = Journal::new(1);
    drop(journal.begin(Kind::Load, 1));
    journal.begin(Kind::Load, 2).failed(3);
    journal.begin(Kind::Load, 4).of(8).done(5);
    let going_on = journal.begin(Kind::Transfer, 6);
    let bytes = journal.tell(&Asked::default(), 3, "b").into_bytes();
    let (header, records) = header(&bytes);
    assert_eq!(
        (&header["server"], &header["boot"], &header["finished"], &header["running"]),
        (&3.into(), &"b".into(), &2.into(), &1.into())
    );
    assert_eq!(records.len(), 3 * Record::BYTES);
    let field = |record: usize, at: usize| u32::from_le_bytes(records[record * 32 + at..][..4].try_into().unwrap());
    assert_eq!(
        (0..3).map(|record| (field(record, 16), field(record, 20), records[record * 32 + 31])).collect::<Vec<_>>(),
        [(1, 2, FAILED), (8, 4, 0), (1, 6, RUNNING)]
    );
    let now = header["now_us"].as_u64().unwrap();
    assert!((header["epoch_us"].as_u64().unwrap()..=header["epoch_us"].as_u64().unwrap() + 60_000_000).contains(&now));
    drop(going_on);
    let asked = Asked { log: header["log"].as_str().map(str::to_owned), after: header["next"].as_u64().unwrap(), resolution: 0.0 };
    assert_eq!(journal.tell(&asked, 3, "b").records(), 0);
    assert_eq!(Journal::new(1).tell(&asked, 3, "b").records(), 0, "nothing is in another one");
    let other = Journal::new(1);
    other.begin(Kind::Load, 1).done(1);
    assert_eq!(other.tell(&asked, 3, "b").records(), 1, "and all of it is told");
}

/// Nanoseconds a task, in threads that do nothing else.
fn cost(threads: usize) -> f64 {
    const TASKS: usize = 100_000;
    let (journal, pool) = (Journal::new(threads), rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap());
    let took = pool.broadcast(|_| {
        let began = Instant::now();
        (0..TASKS).for_each(|item| journal.begin(Kind::Decode, item).done(1));
        began.elapsed()
    });
    assert_eq!(journal.tell(&Asked::default(), 0, "").records(), (threads * TASKS).min(log::MOST));
    took.iter().max().unwrap().as_secs_f64() * 1e9 / TASKS as f64
}

#[test]
fn a_task_costs_less_than_what_it_measures() {
    let least = (0..5).map(|_| cost(1)).fold(f64::MAX, f64::min);
    println!("a task costs {least:.0} ns; of two threads at once {:.0} ns", cost(2));
    // 200 ns are what it may cost; a machine that has other things to do, and tools that watch, get more.
    assert!(least < 2000.0, "{least} ns");
}
