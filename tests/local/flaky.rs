//! Requests to a source with temporary faults are retried.

use api::geometry::Dtype;
use tests::job::job;
use tests::movie::Movie;
use tests::place::Place;
use tests::source::{Fault, FrameServer};
use tests::zarr::must_be_equal;

const MOVIE: Movie = Movie::of(37, 51, Dtype::Uint16);

#[test]
fn busy_and_truncated_responses_are_retried() {
    let place = Place::default();
    let steady = FrameServer::png(MOVIE);
    let flaky = FrameServer::png(MOVIE).with(3, Fault::Busy(2)).with(7, Fault::CutShort(1)).with(8, Fault::CutShort(2));
    let job = |source: &FrameServer| job(&source.url("{index}"), 12).slabs_of(5).recenter(20, 31).fft("power");
    let (summary, arrays) = place.results("flaky", &job(&flaky), 2);
    let (_, expected) = place.results("steady", &job(&steady), 2);
    must_be_equal(&arrays, &expected, "after retries");
    assert_eq!(summary["phases"][0]["retries"], 5, "{summary}");
    let requests = flaky.requests();
    assert_eq!([requests[&3], requests[&7], requests[&8], requests[&5]], [3, 2, 3, 1]);
}
