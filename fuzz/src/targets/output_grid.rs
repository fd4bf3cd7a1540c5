//! The grid of an output: objects cover the selection without overlap, each has one owner, and the plan of a valid output holds.
//!
//! Input: three lines, which are the selection, the chunks and the shards. The sizes are separated by commas.

use super::wire;
use api::job::{Job, Output};
use api::output_grid::OutputGrid;
use api::plan::{Allowance, Budget, Plan};
use api::selection::{resolve, shape};

pub(super) fn run(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else { return };
    let mut lines = text.lines();
    let select = lines.next().unwrap_or_default().to_owned();
    let mut sizes = || -> Option<Vec<i64>> { lines.next()?.split(',').map(|size| size.trim().parse().ok()).collect() };
    let (chunks, shards) = (sizes(), sizes());
    let output = Output { select, url: "file:///o.zarr".into(), chunks, shards };
    for servers in [1, 3] {
        let job = wire::job();
        let budget = Budget { memory: Allowance::PerServer(1 << 30), cores: 2 };
        let plan = Plan::new(&job, Some(servers), &budget).unwrap();
        check(&output, &plan, &job);
    }
}

fn check(output: &Output, plan: &Plan, job: &Job) {
    let arrays = plan.arrays(job);
    let Ok(grid) = OutputGrid::new(output, &arrays, &plan.partition) else { return };
    let _ = (grid.names(), grid.at_once(), grid.object_bytes(), grid.bytes());
    let objects: usize = grid.shape.iter().zip(grid.object()).map(|(size, object)| size.div_ceil(*object)).product();
    let all = || plan.ids().flat_map(|id| grid.objects_of(id, &plan.partition).collect::<Vec<_>>());
    assert_eq!(all().count(), objects, "{output:?}");
    let mut distinct: Vec<Vec<usize>> = all().collect();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), objects, "{output:?}");
    let mut elements = 0;
    for object in distinct {
        let (items, sizes) = grid.items(&object);
        assert_eq!(shape(&resolve(&items, &grid.array.shape).unwrap()), sizes, "{output:?} {object:?}");
        assert!(sizes.iter().zip(grid.object()).all(|(size, object)| size <= object));
        elements += sizes.iter().product::<usize>();
    }
    assert_eq!(elements, grid.shape.iter().product::<usize>(), "{output:?}");
    if let Some(shards) = &grid.shards {
        assert!(shards.iter().zip(&grid.chunks).all(|(shard, chunk)| shard.is_multiple_of(*chunk)));
    }
}
