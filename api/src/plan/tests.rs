mod counts;
mod text;

use super::*;
use crate::fixture::job;
use crate::geometry::intersect;
use crate::job::{ArrayLayout, Method, Recenter, Source, Storage, Zarr};
use proptest::prelude::*;

fn shared(gib: u64) -> Budget {
    Budget { memory: Allowance::Shared(gib << 30), cores: 2 }
}

proptest! {
    #[test]
    fn a_plan_stays_within_its_budget(frames in 1usize..2000, edge in 1usize..800, servers in 1usize..9, mib in 50u64..4000) {
        let budget = Budget { memory: Allowance::PerServer(mib << 20), cores: 2 };
        match Plan::new(&job(frames, edge, edge), Some(servers), &budget) {
            Ok(plan) => prop_assert_eq!(plan.peak_bytes() + plan.spare, mib << 20),
            Err(Error::PerServer { needed, allowed, .. }) => {
                prop_assert!(needed > allowed);
                let enough = Budget { memory: Allowance::PerServer(needed), cores: 2 };
                prop_assert!(Plan::new(&job(frames, edge, edge), Some(servers), &enough).is_ok(), "the stated memory is not enough");
            }
            Err(other) => prop_assert!(false, "{other}"),
        }
    }

    #[test]
    fn groups_cover_a_share_and_stay_within_slabs(start in 0usize..50, len in 0usize..200, slab in 1usize..30, group in 1usize..10) {
        let start = start * slab;
        let mut next = start;
        for run in groups(start..start + len, slab, group) {
            prop_assert_eq!(run.start, next);
            prop_assert!(run.len() <= group);
            prop_assert_eq!(run.start / slab, (run.end - 1) / slab);
            prop_assert_eq!(intersect(&run, &(start..start + len)), run.clone());
            next = run.end;
        }
        prop_assert_eq!(next, start + len);
    }
}

#[test]
fn a_job_that_does_not_fit_is_refused_with_a_number_of_servers_that_fits() {
    let mut big = job(10_000, 2000, 2000);
    big.recenter = Some(Recenter { crop: [1000, 1000], method: Method::Centroid, threshold: None });
    big.storage = Storage::Memory;
    let budget = Budget { memory: Allowance::PerServer(8 << 30), cores: 4 };
    let Err(Error::PerServer { advice, .. }) = Plan::new(&big, Some(2), &budget) else { panic!("40 GB in 16 GB") };
    let fit: usize = advice.split(' ').next().unwrap().parse().unwrap();
    assert!(Plan::new(&big, Some(fit), &budget).is_ok(), "{advice}");
    assert!(Plan::new(&big, Some(fit - 1), &budget).is_err(), "{advice}");
    assert_eq!(Plan::new(&big, None, &budget).unwrap().partition.servers, fit);
}

#[test]
fn the_same_job_gives_the_same_text_and_identity() {
    let plan = |servers| Plan::new(&job(1000, 100, 100), Some(servers), &shared(4)).unwrap();
    assert_eq!(plan(3).to_string(), plan(3).to_string());
    assert_eq!(plan(3).identity(), plan(3).identity());
    assert_ne!(plan(3).identity(), plan(4).identity());
}

/// `job` with an array of the given chunk shape as its source; the job begins at frame 3 of the array.
fn over_array(job: Job, chunks: [usize; 3]) -> Job {
    let layout = ArrayLayout { shape: [job.frames + 3, job.frame.height, job.frame.width], dtype: job.frame.dtype, chunks, parts: chunks };
    Job {
        source: Source::Zarr(Zarr {
            url: "s3://b/a".into(),
            array: String::new(),
            start: 3,
            layout: Some(layout),
            min_bytes_per_second: 0,
        }),
        ..job
    }
}

#[test]
fn long_chunks_are_decoded_as_rarely_as_memory_allows() {
    let plan = |mib: u64| {
        let mut job = over_array(job(2000, 200, 200), [2003, 10, 10]);
        (job.fft, job.storage) = (None, Storage::Memory);
        Plan::new(&job, Some(2), &Budget { memory: Allowance::PerServer(mib << 20), cores: 2 })
    };
    let ample = plan(1000).unwrap();
    assert_eq!((ample.pace.group, ample.decoded_frames), (2003, 2 * 2003), "each server needs every chunk");
    assert!(ample.to_string().contains("each chunk of the array is decoded 2.0 times on average"), "{ample}");
    let tight = plan(100).unwrap();
    assert!(tight.pace.group < 1000 && tight.decoded_frames > ample.decoded_frames && tight.peak_bytes() <= 100 << 20, "{tight}");
    assert!(matches!(plan(60), Err(Error::PerServer { .. })));
}

#[test]
fn groups_of_an_array_cover_a_share_and_hold_whole_chunks() {
    let job = over_array(job(100, 20, 20), [7, 20, 20]);
    let plan = Plan::new(&job, Some(3), &shared(4)).unwrap();
    let mut next = 0;
    for id in plan.ids() {
        for run in plan.groups_of(&job, id) {
            assert_eq!(run.start, next);
            next = run.end;
            // Only the end of a share splits a chunk.
            assert!((run.start + 3).is_multiple_of(7) || run.start == plan.frames_of(id).start, "{run:?}");
        }
    }
    assert_eq!(next, 100);
}

/// A plan as a server of the previous version sends and reads it: protocol version 2, one flat object.
const PLAN_JSON: &str = r#"{"servers":3,"threads":2,"frames":40,"frame":{"height":30,"width":20,"dtype":"uint8"},
"stack":{"height":30,"width":20,"dtype":"uint8"},"slab_frames":20,"band_pixels":64,"exchanges":true,
"fft":{"output":"Power","window":"None","detrend":"None"},"bins":21,"keep":["raw","spectrum"],"chunks":[40,30,20],"storage":"Memory",
"window":4,"overlap":true,"pace":{"group":8,"groups":4,"requests":16},"decoded_frames":40,
"memory":[{"base":41943040,"raw":0,"stack":0,"load":0,"sums":14400,"exchange":20480,"rechunked":0,"spectrum":16128,"writing":0,
"overlap":true,"on_disk":false}],"spare":8547919328}"#;

#[test]
fn the_json_of_a_plan_is_that_of_the_previous_version() {
    let plan: Plan = serde_json::from_str(PLAN_JSON).unwrap();
    let expected: serde_json::Value = serde_json::from_str(PLAN_JSON).unwrap();
    assert_eq!(serde_json::to_value(&plan).unwrap(), expected);
}

#[test]
fn the_identity_of_a_plan_stays_the_same_in_later_versions() {
    let plan: Plan = serde_json::from_str(PLAN_JSON).unwrap();
    assert_eq!(plan.identity(), "v1-ae2bddfd76227c8a", "an upgraded operator would not recognise the plans of jobs at work");
}
