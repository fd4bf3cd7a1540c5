//! Trials with readers that stall or disconnect while a server is lost.

use crate::fault::Fault;
use crate::oracle::{Outcome, check_messages, end};
use crate::scene::{FRAMES, NAME, SERVERS};
use crate::timeline::{PHASES, Timeline};
use crate::trial::Trial;
use api::geometry::Dtype;
use nix::sys::signal::Signal;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};
use tests::job::job;
use tests::movie::Movie;
use tests::place::Place;
use tests::source::FrameServer;
use tests::within;

/// Larger frames than in other trials, so that a response does not fit into the buffers of a connection.
const MOVIE: Movie = Movie::of(200, 240, Dtype::Uint8);
const READERS: usize = 8;

/// Runs a trial.
pub(crate) fn run(trial: &Trial) -> Outcome {
    let (place, source) = (Place::default(), FrameServer::raw(MOVIE));
    let started = Instant::now();
    let job = job(&source.url("{index}"), FRAMES).frame_of(MOVIE).slabs_of(4).rechunk([-1, 40, 40]).fft("power");
    let mut running = place.start_job(NAME, &job, SERVERS, &["--serve"]);
    let url = running.until_served();
    let expected = slice(&place).unwrap();
    let (address, query) = url.strip_prefix("http://").unwrap().split_once("/?").unwrap();
    let request = format!("GET /slice/power?format=json&{query} HTTP/1.1\r\nHost: {address}\r\n\r\n");
    let readers: Vec<TcpStream> = (0..READERS).map(|_| begin(address, &request)).collect();
    let mut random = trial.random.clone();
    if trial.fault == Fault::ReaderLeaves {
        drop(readers);
    } else {
        std::thread::spawn(move || {
            // Longer than a reader may stall.
            std::thread::sleep(Duration::from_secs(25));
            drop(readers);
        });
    }
    std::thread::sleep(random.milliseconds(0..200));
    let at = started.elapsed().as_secs_f64();
    running.servers()[random.below(SERVERS)].kill();
    let since = Instant::now();
    let mut found = None;
    let again = within(Duration::from_secs(60), || {
        found = slice(&place);
        found.is_some()
    });
    assert!(again && found.is_some_and(|found| found == expected), "the slice is not available, or has other bytes");
    let recovered = since.elapsed().as_secs_f64();
    let replaced = || Timeline::of(&running.stderr_lines()).replaced_after(at);
    assert!(within(Duration::from_secs(15), || replaced().is_some()), "the server is not replaced: {:#?}", running.stderr_lines());
    let timeline = Timeline::of(&running.stderr_lines());
    let (noticed, replaced) = (timeline.noticed_after(at), timeline.replaced_after(at));
    assert_eq!(timeline.losses().len(), 1, "the readers end servers: {:?}", timeline.losses());
    running.signal(Signal::SIGINT);
    let output = end(running);
    check_messages(&output, &["stopped by a signal"]);
    place.must_leave_nothing_but(&["run.json", NAME, "slice.npy"]);
    Outcome { phase: PHASES[6], what: "other readers get the same bytes".into(), noticed, replaced, recovered: Some(recovered), late: None }
}

/// Sends a request, and reads the beginning of the response.
fn begin(address: &str, request: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut first = [0; 64];
    stream.read_exact(&mut first).unwrap();
    assert!(first.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&first));
    stream
}

/// A slice of the job; `None` if the job does not respond with a slice.
fn slice(place: &Place) -> Option<Vec<u8>> {
    let output = place.call(["get", NAME, "power[:,3,5:9]", "-o", "slice.npy"]);
    (output.code == Some(0)).then(|| std::fs::read(place.path("slice.npy")).unwrap())
}
