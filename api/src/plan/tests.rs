use super::*;
use crate::fixture::job;
use crate::geometry::intersect;
use crate::job::{ArrayLayout, Recenter, Source, Zarr};
use proptest::prelude::*;

fn shared(gib: u64) -> Budget {
    Budget { memory: Allowance::Shared(gib << 30), cores: 2 }
}

proptest! {
    #[test]
    fn slabs_and_tiles_partition_and_each_block_has_one_sender_and_one_receiver(
        frames in 1usize..300, height in 1usize..40, width in 1usize..40, slab in 1usize..30, servers in 1usize..9,
    ) {
        let mut job = job(frames, height, width);
        job.slab_frames = slab.min(frames);
        let plan = Plan::new(&job, Some(servers), &shared(20)).unwrap();
        let mut seen = vec![0u8; frames * height * width];
        let mut wire = 0u64;
        for sender in plan.ids() {
            for receiver in plan.ids() {
                for band in plan.bands_of(receiver) {
                    let (own_frames, pixels) = (plan.frames_of(sender), plan.band(band));
                    if sender != receiver {
                        wire += (own_frames.len() * pixels.len()) as u64;
                    }
                    for t in own_frames {
                        prop_assert_eq!(plan.owner_of_frame(t), sender);
                        pixels.clone().for_each(|p| seen[t * height * width + p] += 1);
                    }
                }
            }
            for pixel in plan.pixels_of(sender) {
                prop_assert_eq!(plan.owner_of_pixel(pixel), sender);
            }
        }
        prop_assert!(seen.iter().all(|&times| times == 1));
        prop_assert_eq!(wire, plan.wire_bytes());
    }

    #[test]
    fn bands_do_not_depend_on_servers(frames in 1usize..3000, height in 1usize..500, width in 1usize..500, servers in 1usize..9) {
        let job = job(frames, height, width);
        let one = Plan::new(&job, Some(1), &shared(2000)).unwrap();
        let many = Plan::new(&job, Some(servers), &shared(2000)).unwrap();
        prop_assert_eq!(one.band_pixels, many.band_pixels);
        prop_assert_eq!(one.chunks, many.chunks);
        prop_assert_eq!(one.band_pixels % PANEL_BYTES, 0);
    }

    #[test]
    fn a_plan_stays_within_its_budget(frames in 1usize..2000, edge in 1usize..800, servers in 1usize..9, mib in 50u64..4000) {
        let budget = Budget { memory: Allowance::PerServer(mib << 20), cores: 2 };
        match Plan::new(&job(frames, edge, edge), Some(servers), &budget) {
            Ok(plan) => prop_assert_eq!(plan.peak_bytes() + plan.spare, mib << 20),
            Err(Error::PerServer { needed, allowed, .. }) => {
                prop_assert!(needed > allowed);
                let enough = Budget { memory: Allowance::PerServer(needed), cores: 2 };
                prop_assert!(Plan::new(&job(frames, edge, edge), Some(servers), &enough).is_ok(), "what it says it needs is not enough");
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
fn what_does_not_fit_is_refused_with_the_number_that_does() {
    let mut big = job(10_000, 2000, 2000);
    big.recenter = Some(Recenter { crop: [1000, 1000], threshold: None });
    big.storage = Storage::Memory;
    let budget = Budget { memory: Allowance::PerServer(8 << 30), cores: 4 };
    let Err(Error::PerServer { advice, .. }) = Plan::new(&big, Some(2), &budget) else { panic!("40 GB in 16 GB") };
    let fit: usize = advice.split(' ').next().unwrap().parse().unwrap();
    assert!(Plan::new(&big, Some(fit), &budget).is_ok(), "{advice}");
    assert!(Plan::new(&big, Some(fit - 1), &budget).is_err(), "{advice}");
    assert_eq!(Plan::new(&big, None, &budget).unwrap().servers, fit);
}

#[test]
fn the_same_job_gives_the_same_text() {
    let plan = |servers| Plan::new(&job(1000, 100, 100), Some(servers), &shared(4)).unwrap();
    assert_eq!(plan(3).to_string(), plan(3).to_string());
    assert_eq!(plan(3).identity(), plan(3).identity());
    assert_ne!(plan(3).identity(), plan(4).identity());
}

/// `job` over an array of such chunks.
fn over_array(job: Job, chunks: [usize; 3]) -> Job {
    let layout = ArrayLayout { shape: [job.frames + 3, job.frame.height, job.frame.width], dtype: job.frame.dtype, chunks, parts: chunks };
    Job { source: Source::Zarr(Zarr { url: "s3://b/a".into(), array: String::new(), start: 3, layout: Some(layout) }), ..job }
}

#[test]
fn long_chunks_are_decoded_as_seldom_as_memory_allows() {
    let plan = |mib: u64| {
        let mut job = over_array(job(2000, 200, 200), [2003, 10, 10]);
        (job.fft, job.storage) = (None, Storage::Memory);
        Plan::new(&job, Some(2), &Budget { memory: Allowance::PerServer(mib << 20), cores: 2 })
    };
    let roomy = plan(1000).unwrap();
    assert_eq!((roomy.pace.group, roomy.decoded_frames), (2003, 2 * 2003), "each server needs every chunk");
    assert!(roomy.to_string().contains("decodes the array's chunks 2.0 times over"), "{roomy}");
    let tight = plan(100).unwrap();
    assert!(tight.pace.group < 1000 && tight.decoded_frames > roomy.decoded_frames && tight.peak_bytes() <= 100 << 20, "{tight}");
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
            // A chunk is split by the end of a share alone.
            assert!((run.start + 3).is_multiple_of(7) || run.start == plan.frames_of(id).start, "{run:?}");
        }
    }
    assert_eq!(next, 100);
}
