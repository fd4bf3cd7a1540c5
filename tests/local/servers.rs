//! Results are identical, byte for byte, for every number of servers and every chunk grid.

use api::geometry::Dtype;
use tests::job::job;
use tests::movie::Movie;
use tests::place::Place;
use tests::source::FrameServer;
use tests::zarr::must_be_equal;

fn check(dtype: Dtype) {
    let movie = Movie::of(37, 51, dtype);
    let (place, source) = (Place::default(), FrameServer::raw(movie));
    let job = job(&source.url("{index}"), 50).frame_of(movie).slabs_of(4).recenter(20, 31).fft("power").reduce_all();
    let job = job.keep(&["raw", "recentered", "rechunked", "power"]);
    let grids = [[-1, 10, 10], [7, 9, 11]];
    let (_, first) = place.results("first", &job.clone().rechunk(grids[0]), 1);
    for grid in grids {
        for servers in [1, 2, 3, 7] {
            let name = format!("{dtype}-{servers}-{}", grid[1]);
            let (_, arrays) = place.results(&name, &job.clone().rechunk(grid), servers);
            must_be_equal(&arrays, &first, &name);
        }
    }
}

#[test]
fn one_to_seven_servers_give_the_same_bytes_of_uint8() {
    check(Dtype::Uint8);
}

#[test]
fn one_to_seven_servers_give_the_same_bytes_of_uint16() {
    check(Dtype::Uint16);
}

#[test]
fn one_to_seven_servers_give_the_same_bytes_of_float32() {
    check(Dtype::Float32);
}
