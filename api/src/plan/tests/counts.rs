//! The memory of small jobs, counted by hand.

use super::*;
use crate::job::{Color, Images, Output, Reduction};
use crate::output_grid::OutputGrid;

const BASE: u64 = 40 << 20;

/// 40 frames of 30 × 20 uint8 in slabs of 20, cropped to 10 × 12. All of a frame is 600 bytes, of a crop 120.
fn small() -> Job {
    Job {
        recenter: Some(Recenter { crop: [10, 12], method: Method::Centroid, threshold: None }),
        reduce: vec![Reduction::Mean, Reduction::Std, Reduction::Max],
        keep: Some(vec![Kept::Raw, Kept::Rechunked, Kept::Spectrum]),
        storage: Storage::Memory,
        ..job(40, 30, 20)
    }
}

fn planned(job: &Job) -> Plan {
    Plan::new(job, Some(2), &Budget { memory: Allowance::PerServer(1 << 30), cores: 2 }).unwrap()
}

fn images(change: impl FnOnce(&mut Images)) -> Job {
    let mut job = small();
    let Source::Images(images) = &mut job.source else { panic!("a job over images") };
    change(images);
    job
}

#[test]
fn each_part_of_the_memory_has_its_documented_size() {
    let plan = planned(&small());
    // One band for each server: the whole panel of 64 pixels, and the other 56 of the crop's 120 pixels.
    assert_eq!(plan.ids().map(|id| plan.pixels_of(id).len()).collect::<Vec<_>>(), [64, 56]);
    assert_eq!((plan.pace.group, plan.pace.groups, plan.bands_in_flight, plan.overlap), (8, 4, 1, true));
    let expected = |pixels: u64| Memory {
        base: BASE,
        raw: 20 * 600,
        stack: 20 * 120,
        // A share of frames with one byte of index each, and a quarter of a frame for the decoder of each thread.
        load: 20 * 601 + 2 * 150,
        // Two threads and the merged result; a sum, its square and the extremes of each pixel of a frame and of a crop.
        sums: 3 * 32 * (600 + 120),
        // One band of the other server's frames, and a panel in and out of each thread.
        exchange: 20 * 64 + 2 * 40 * 128,
        rechunked: pixels * 40,
        // 21 bins of 4 bytes.
        spectrum: pixels * 84,
        checksums: 20 * 2 * 4,
        writing: 0,
        overlap: true,
        buffers: 0,
        on_disk: false,
        tiles_on_disk: false,
    };
    assert_eq!(plan.memory, [expected(64), expected(56)]);
    assert_eq!(plan.ids().map(|id| plan.needed_memory(&small(), id)).collect::<Vec<_>>(), plan.memory);
    // Complex values have two parts.
    let complex = Job { fft: small().fft.map(|fft| Fft { output: crate::job::FftOutput::Complex, ..fft }), ..small() };
    assert_eq!(planned(&complex).memory[0].spectrum, 64 * 21 * 2 * 4);
    // Only real spectra have sums.
    assert_eq!(planned(&complex).notes_bytes(&complex, ServerId(0)), 20 * 256);
    // Values of 256 bytes for each frame, 32 bytes for each pixel, and two numbers of 8 bytes for each bin of 3 bands.
    assert_eq!(plan.notes_bytes(&small(), ServerId(0)), 20 * 256 + 32 * (64 + 3 * 21 * 2));
}

#[test]
fn a_peak_has_what_exists_at_the_same_time() {
    let parts = Memory {
        base: 1,
        raw: 10,
        stack: 100,
        load: 1000,
        sums: 10_000,
        exchange: 2000,
        rechunked: 100_000,
        spectrum: 1_000_000,
        checksums: 10_000_000,
        writing: 2500,
        overlap: true,
        buffers: 0,
        on_disk: false,
        tiles_on_disk: false,
    };
    assert_eq!(parts.stores(), 1_100_110);
    assert_eq!((parts.peak(), parts.disk()), (11_110_111 + 3000, 0));
    assert_eq!(Memory { overlap: false, ..parts }.peak(), 11_110_111 + 2500);
    assert_eq!(Memory { overlap: false, writing: 0, ..parts }.peak(), 11_110_111 + 2000);
    let tiles = Memory { buffers: 7, tiles_on_disk: true, ..parts };
    assert_eq!((tiles.peak(), tiles.disk()), (10_010_118 + 3000, 1_100_000));
    let on_disk = Memory { on_disk: true, ..tiles };
    assert_eq!((on_disk.peak(), on_disk.disk()), (10_010_008 + 3000, 1_100_110));
    assert_eq!(parts.parts().iter().sum::<u64>(), 11_110_111 + 1000 + 2000 + 2500);
}

#[test]
fn what_a_job_does_not_need_takes_no_memory() {
    let first = |job: &Job| planned(job).memory[0];
    let without = Job { keep: Some(vec![]), ..small() };
    // Raw frames of two groups are decoded before their crop.
    assert_eq!((first(&without).raw, first(&without).rechunked), (0, 0));
    assert_eq!(first(&without).load, 20 * 601 + 2 * 8 * 600 + 2 * 150);
    // Spectra that are only summed: those of sixteen pixels in each thread.
    assert_eq!((first(&without).spectrum, first(&without).exchange), (0, 20 * 64 + 2 * (40 * 128 + 16 * 84)));
    // Without a crop, frames are decoded into the stack.
    let whole = Job { recenter: None, ..small() };
    assert_eq!((first(&whole).raw, first(&whole).stack, first(&whole).load), (0, 20 * 600, 20 * 601 + 2 * 150));
    assert_eq!(first(&whole).sums, 3 * 32 * 600);
    let alone = Job { fft: None, rechunk: None, ..small() };
    assert_eq!((first(&alone).exchange, first(&alone).rechunked, first(&alone).spectrum, first(&alone).checksums), (0, 0, 0, 0));
    assert_eq!(planned(&alone).notes_bytes(&alone, ServerId(0)), 20 * 256);
    // One server exchanges no rows. On disk it keeps checksums of the rows of blocks, of the rows of both kinds of frames, and of the frames
    // and the pixels of two bands.
    let one = |storage| {
        let job = Job { storage, ..small() };
        Plan::new(&job, Some(1), &Budget { memory: Allowance::PerServer(1 << 30), cores: 2 }).unwrap().memory[0].checksums
    };
    assert_eq!((one(Storage::Memory), one(Storage::Disk)), (0, 4 * (40 * 2 + 40 * (10 + 30) + 2 * (40 + 64))));
    // Three servers for two slabs: the last has no frames, and loads nothing.
    let three = Plan::new(&small(), Some(3), &Budget { memory: Allowance::PerServer(1 << 30), cores: 2 }).unwrap();
    let idle = three.ids().find(|&id| three.frames_of(id).is_empty()).unwrap();
    assert_eq!((three.memory[idle.0].load, three.memory[idle.0].raw), (0, 0));
}

#[test]
fn accumulators_are_those_of_the_reductions() {
    let bytes = |reduce: &[Reduction]| {
        let job = Job { reduce: reduce.to_vec(), ..small() };
        planned(&job).memory[0].sums / (3 * (600 + 120))
    };
    assert_eq!(bytes(&[]), 0);
    assert_eq!(bytes(&[Reduction::Mean]), 8);
    assert_eq!(bytes(&[Reduction::Sum, Reduction::Mean]), 8);
    assert_eq!(bytes(&[Reduction::Std]), 24);
    assert_eq!(bytes(&[Reduction::Var, Reduction::Sum]), 24);
    assert_eq!(bytes(&[Reduction::Min]), 8);
    assert_eq!(bytes(&[Reduction::Min, Reduction::Max, Reduction::Mean]), 16);
}

#[test]
fn a_decoder_of_colour_holds_all_channels() {
    let first = |job: &Job| planned(job).memory[0].load;
    let colour = images(|images| images.color = Color::Luminance);
    assert_eq!(first(&colour), 20 * 601 + 2 * (150 + 9 * 600));
    let mut deep = colour;
    deep.frame.dtype = crate::geometry::Dtype::Uint16;
    assert_eq!(first(&deep), 20 * 1201 + 2 * (300 + 4 * 1200));
    // Few frames in flight still hold the body of a frame in colour with alpha.
    let mut few = Job { concurrency: 1, slab_frames: 1, ..small() };
    few.frames = 2;
    assert_eq!(planned(&few).memory[0].load, 4 * 601 + 2 * 150);
    // A group of a volume is one response.
    let volume = images(|images| images.depth = 20);
    let plan = planned(&volume);
    assert_eq!((plan.pace.group, plan.pace.groups), (20, 3));
    assert_eq!(plan.memory[0].load, 20 * 620 + 2 * 150);
}

#[test]
fn an_output_is_counted_three_times_while_it_is_written() {
    let writing = |output: Output| {
        let job = Job { outputs: vec![output], ..small() };
        planned(&job).memory[0].writing
    };
    let output =
        |select: &str, url: &str, chunks: Option<Vec<i64>>| Output { select: select.into(), url: url.into(), chunks, shards: None };
    // Readers see all 40 frequencies.
    let (whole, elements) = (40 * 120 * 4, 40 * 120);
    assert_eq!(writing(output("power", "file:///p.npy", None)), 3 * whole);
    // Text has at most 24 characters for a float32.
    assert_eq!(writing(output("power", "file:///p.json", None)), 2 * whole + 24 * elements);
    assert_eq!(writing(output("power[0]", "file:///p.CSV", None)), 2 * 120 * 4 + 24 * 120);
    // 16 objects of one element at a time.
    assert_eq!(writing(output("power", "file:///p.zarr", Some(vec![1, 1, 1]))), 3 * 16 * 4);
    // A whole array of fewer objects than a server writes at a time.
    assert_eq!(writing(output("power", "file:///p.zarr", Some(vec![-1, 5, 12]))), 3 * whole);
    // One chunk may be larger than the selection: the shard of 2 chunks of 6 rows over 10 rows.
    let shards = Output { shards: Some(vec![-1, 10, 12]), ..output("power", "file:///p.zarr", Some(vec![-1, 6, 12])) };
    assert_eq!(writing(shards), 3 * 40 * 144 * 4);
    assert_eq!(writing(output("no_such_array", "file:///p.zarr", None)), 0);
    let two = vec![output("power[0]", "file:///a.npy", None), output("power", "file:///b.npy", None)];
    assert_eq!(planned(&Job { outputs: two, ..small() }).memory[0].writing, 3 * whole, "outputs are written one after another");
}

#[test]
fn a_server_writes_few_large_objects_at_a_time() {
    let at_once = |chunk: i64| {
        let job = Job { recenter: None, ..job(4000, 64, 64) };
        let plan = Plan::new(&job, Some(2), &Budget { memory: Allowance::PerServer(8 << 30), cores: 2 }).unwrap();
        let output = Output { select: "power".into(), url: "file:///o.zarr".into(), chunks: Some(vec![1024, 64, chunk]), shards: None };
        OutputGrid::new(&output, &plan.arrays(&job), &plan.partition).unwrap().at_once()
    };
    // 16 MiB, 4 MiB and 256 KiB in 32 MiB, of at least 2 and at most 16 objects.
    assert_eq!((at_once(64), at_once(16), at_once(1)), (2, 8, 16));
}

#[test]
fn the_memory_of_an_array_has_its_pieces() {
    let mut whole = over_array(small(), [10, 30, 20]);
    whole.concurrency = 4;
    let plan = planned(&whole);
    // A piece is a chunk of 10 frames. One group needs one piece, so 4 groups keep 4 requests busy, and each thread has one more.
    assert_eq!((plan.pace.group, plan.pace.groups, plan.pace.requests), (10, 6, 4));
    // The decoder is counted for frames in any format.
    assert_eq!(plan.memory[0].load, 20 * 600 + 4 * 3 * 10 * 600 + 2 * 150);
    // The job begins at frame 3 of the array: frames 3 to 22 are in chunks 0, 1 and 2, and 23 to 42 in chunks 2, 3 and 4.
    assert_eq!(plan.decoded_frames, 30 + 23);
    let runs = |id| plan.groups_of(&whole, ServerId(id));
    assert_eq!((runs(0), runs(1)), (vec![0..7, 7..17, 17..20], vec![20..27, 27..37, 37..40]));
}

#[test]
fn paces_shrink_from_all_requests_to_one() {
    let mut job = over_array(small(), [16, 10, 20]);
    job.concurrency = 16;
    let paces: Vec<_> = Pace::all(&job, 20, 2).iter().map(|pace| (pace.group, pace.groups, pace.requests)).collect();
    // A group of 16 frames has 3 pieces, one for each 10 rows.
    assert_eq!(paces, [(16, 8, 16), (16, 4, 4), (16, 3, 1), (8, 8, 16), (8, 4, 4), (8, 3, 1)]);
    // More than 8 frames for each of at least 4 threads is a large group: one is computed while another is fetched.
    let large = over_array(Job { slab_frames: 40, ..small() }, [33, 30, 20]);
    assert_eq!(Pace::all(&large, 40, 2)[0], Pace { group: 33, groups: 2, requests: 16 });
    let limit = over_array(Job { slab_frames: 40, ..small() }, [32, 30, 20]);
    assert_eq!(Pace::all(&limit, 40, 2)[0], Pace { group: 32, groups: 18, requests: 16 });
}

#[test]
fn cores_and_memory_of_a_machine_are_divided_between_servers() {
    let budget = |cores| Budget { memory: Allowance::Shared(2 << 30), cores };
    let plan = Plan::new(&small(), None, &budget(4)).unwrap();
    assert_eq!((plan.partition.servers, plan.threads, plan.peak_bytes() + plan.spare), (4, 1, 512 << 20));
    let plan = Plan::new(&small(), Some(2), &budget(5)).unwrap();
    assert_eq!((plan.threads, plan.peak_bytes() + plan.spare), (2, 1 << 30));
    assert_eq!(Plan::new(&small(), Some(0), &budget(0)).unwrap().threads, 1);
    let per_server = Budget { memory: Allowance::PerServer(1 << 30), cores: 0 };
    assert_eq!(Plan::new(&small(), Some(2), &per_server).unwrap().threads, 1);
    // The message states the bytes of all servers together.
    let little = Budget { memory: Allowance::Shared(80 << 20), cores: 2 };
    match Plan::new(&small(), Some(2), &little) {
        Err(Error::Shared { needed, allowed, servers, .. }) => {
            assert!(needed > 80 << 20 && needed < 81 << 20, "{needed}");
            assert_eq!((allowed, servers), (80 << 20, 2));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_plan_is_found_again_by_its_identity() {
    let budget = Budget { memory: Allowance::PerServer(1 << 30), cores: 2 };
    let job = small();
    let considered: Vec<Plan> = Plan::considered(&job, 2, &budget).collect();
    assert!(considered.len() > 2 && considered.iter().all(|plan| plan.memory.len() == 2));
    let last = considered.last().unwrap();
    let found = Plan::with_identity(&job, 2, &budget, &last.identity()).unwrap();
    assert_eq!(found.identity(), last.identity());
    assert_eq!(found.spare, (1 << 30) - found.peak_bytes());
    assert_eq!(Plan::with_identity(&job, 3, &budget, &last.identity()), None);
    // The first of them that fits is the plan.
    assert_eq!(considered[0].identity(), planned(&job).identity());
}

#[test]
fn arrays_are_kept_as_long_as_memory_allows() {
    let auto = Job { keep: None, storage: Storage::Auto, ..small() };
    let choices = |job: &Job| -> Vec<(Placement, Vec<Kept>, usize, bool)> {
        let plans = Plan::considered(job, 2, &Budget { memory: Allowance::PerServer(1 << 30), cores: 2 });
        plans.map(|plan| (plan.storage, plan.keep.clone(), plan.bands_in_flight, plan.overlap)).collect()
    };
    let all = vec![Kept::Raw, Kept::Recentered, Kept::Spectrum];
    let few = vec![Kept::Recentered, Kept::Spectrum];
    let found = choices(&auto);
    assert_eq!(found[0], (Placement::Memory, all.clone(), 1, true));
    assert_eq!(found[1], (Placement::Memory, all.clone(), 1, false));
    assert_eq!(found.len(), 3 * 2 * 3 * 2);
    assert_eq!(found[6], (Placement::Memory, few.clone(), 1, true));
    assert_eq!(found[12], (Placement::TilesOnDisk, all.clone(), 1, true));
    assert_eq!(found[24], (Placement::Disk, all, 1, true));
    assert_eq!(found[35], (Placement::Disk, few, 1, false));
    // The raw frames of a job without any other phase are its result.
    let only = Job { recenter: None, fft: None, ..auto.clone() };
    assert!(choices(&only).iter().all(|(_, keep, ..)| *keep == [Kept::Raw]));
    let exchanged = Job { recenter: None, fft: None, rechunk: Some([40, 5, 6]), ..auto };
    let last = choices(&exchanged).last().unwrap().1.clone();
    assert_eq!((choices(&exchanged)[0].1.clone(), last), (vec![Kept::Raw, Kept::Rechunked], vec![Kept::Rechunked]));
}
