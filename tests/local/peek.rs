//! Commands that start no servers: `peek` of one frame, and `plan`.

use api::geometry::Dtype;
use tests::job::job;
use tests::movie::Movie;
use tests::place::Place;
use tests::source::FrameServer;

const MOVIE: Movie = Movie::of(37, 51, Dtype::Uint8);

#[test]
fn a_peek_is_one_request() {
    let (place, source) = (Place::default(), FrameServer::png(MOVIE));
    let manifest = place.manifest("movie", &job(&source.url("{index}"), 20).start_step(100, 2));
    let manifest = manifest.to_str().unwrap();
    place.call(["peek", manifest, "3", "-o", "frame.npy"]).must_succeed();
    assert_eq!(source.requests().into_iter().collect::<Vec<_>>(), [(106, 1)]);
    let npy = std::fs::read(place.path("frame.npy")).unwrap();
    assert!(npy.starts_with(b"\x93NUMPY") && npy.ends_with(&MOVIE.raw(106)), "frame.npy is not frame 3");
    place.call(["peek", manifest, "4", "-o", "frame.png"]).must_succeed();
    let picture = png::Decoder::new(std::io::Cursor::new(std::fs::read(place.path("frame.png")).unwrap()));
    let mut picture = picture.read_info().unwrap();
    let mut pixels = vec![0; picture.output_buffer_size().unwrap()];
    picture.next_frame(&mut pixels).unwrap();
    assert_eq!(pixels, MOVIE.raw(108));
    assert_eq!(source.requests().into_iter().collect::<Vec<_>>(), [(106, 1), (108, 1)]);
    place.must_leave_nothing_but(&["movie.json", "frame.npy", "frame.png"]);
}

#[test]
fn a_peek_beyond_the_last_frame_sends_no_request() {
    let (place, source) = (Place::default(), FrameServer::png(MOVIE));
    let manifest = place.manifest("movie", &job(&source.url("{index}"), 20));
    let ended = place.call(["peek", manifest.to_str().unwrap(), "20", "-o", "frame.png"]);
    assert_eq!((ended.code, source.requests().len()), (Some(1), 0), "{}", ended.stderr);
    assert!(ended.sentence().contains("frame 20 is out of bounds"), "{}", ended.sentence());
    place.must_leave_nothing_but(&["movie.json"]);
}

#[test]
fn the_same_job_has_the_same_plan() {
    let place = Place::default();
    let job = job("http://nobody.invalid/{index}", 1000).frame(200, 300, "uint16").recenter(100, 100).fft("power").reduce_all();
    let manifest = place.manifest("movie", &job);
    let plan = || {
        let ended = place.call(["plan", manifest.to_str().unwrap(), "--servers", "5"]);
        ended.must_succeed();
        String::from_utf8(ended.stdout).unwrap()
    };
    let text = plan();
    assert_eq!(text, plan());
    for expected in ["1000 × 200×300 uint16", "servers    5", "peak", "wire"] {
        assert!(text.contains(expected), "no '{expected}' in:\n{text}");
    }
}
