use super::*;
use crate::arrays::catalog;
use crate::fixture;
use crate::job::{Job, Kept};
use proptest::prelude::*;
use std::collections::BTreeSet;

/// Small slabs and chunks, so that objects at the edges are smaller.
fn job(frames: usize, height: usize, width: usize) -> Job {
    Job { slab_frames: 4.min(frames), rechunk: Some([frames, 3.min(height), 5.min(width)]), ..fixture::job(frames, height, width) }
}

const KEEP: [Kept; 2] = [Kept::Raw, Kept::Spectrum];

fn grid(select: &str, chunks: Option<Vec<i64>>, shards: Option<Vec<i64>>) -> Result<OutputGrid, Error> {
    let job = job(10, 9, 7);
    let partition = Partition::new(&job, 2);
    let output = Output { select: select.into(), url: "file:///o.zarr".into(), chunks, shards };
    OutputGrid::new(&output, &catalog(&job, &partition, &KEEP), &partition)
}

#[test]
fn chunks_and_shards_are_those_of_the_output_or_of_the_array() {
    let natural = grid("power", None, None).unwrap();
    assert_eq!((natural.chunks.as_slice(), natural.object()), (&[10, 3, 5][..], &[10, 3, 5][..]));
    let cut = grid("power[2:9,4]", Some(vec![-1, 2]), Some(vec![7, 4])).unwrap();
    assert_eq!((cut.shape.as_slice(), cut.chunks.as_slice(), cut.object()), (&[7, 7][..], &[7, 2][..], &[7, 4][..]));
    assert_eq!(grid("power", Some(vec![4, 99, 2]), Some(vec![-1, -1, 4])).unwrap().object(), [12, 9, 4]);
    for (chunks, shards, expected) in [
        (Some(vec![1]), None, "one number for each axis of the selection, 3; found 1"),
        (Some(vec![1, 0, 1]), None, "at least 1"),
        (Some(vec![4, 4, 4]), Some(vec![6, 4, 4]), "6 is not a multiple of 4"),
    ] {
        let error = grid("power", chunks, shards).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    assert!(matches!(grid("nothing", None, None), Err(Error::NoSuchArray { .. })));
}

#[test]
fn objects_of_a_selection_with_a_negative_step_cover_it() {
    let grid = grid("power[::-2,3]", Some(vec![2, -1]), None).unwrap();
    let selected: Vec<usize> = (0..grid.grid()[0])
        .flat_map(|i| {
            let (items, counts) = grid.items(&[i, 0]);
            let again = resolve(&items, &grid.array.shape).unwrap();
            assert_eq!((again[1].start, counts[0], counts[1]), (3, again[0].count, 7));
            (0..again[0].count).map(|i| again[0].at(i)).collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(selected, [9, 7, 5, 3, 1]);
}

proptest! {
    #[test]
    fn each_object_is_written_by_one_server(
        frames in 1usize..40, height in 1usize..12, width in 1usize..12, servers in 1usize..6,
        chunks in prop::array::uniform3(1i64..14), shards in prop::array::uniform3(1i64..3), array in 0usize..4,
    ) {
        let job = job(frames, height, width);
        let partition = Partition::new(&job, servers);
        let arrays = catalog(&job, &partition, &KEEP);
        let array = &arrays[array % arrays.len()];
        let axes = array.shape.len();
        // Clamped as the grid does, so that each shard has whole chunks.
        let chunks: Vec<i64> = chunks[..axes].iter().zip(&array.shape).map(|(&chunk, &size)| chunk.min(size as i64)).collect();
        let shards: Vec<i64> = chunks.iter().zip(shards).map(|(chunk, shard)| chunk * shard).collect();
        let output = Output { select: array.name.clone(), url: "file:///o.zarr".into(), chunks: Some(chunks), shards: Some(shards) };
        let grid = OutputGrid::new(&output, &arrays, &partition).unwrap();
        let mut seen = BTreeSet::new();
        for server in partition.ids() {
            for index in grid.objects_of(server, &partition) {
                prop_assert!(seen.insert(index));
            }
        }
        prop_assert_eq!(seen.len(), grid.grid().iter().product::<usize>());
        let covered: usize = seen.iter().map(|index| grid.items(index).1.iter().product::<usize>()).sum();
        prop_assert_eq!(covered, array.shape.iter().product::<usize>());
    }
}
