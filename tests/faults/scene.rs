//! The job of a trial, its source and its moment; and the results of the undisturbed job.

use crate::random::Random;
use crate::timeline::Timeline;
use api::geometry::Dtype;
use serde_json::json;
use std::time::{Duration, Instant};
use tests::job::{Job, job};
use tests::movie::Movie;
use tests::place::{Place, Running};
use tests::source::FrameServer;
use tests::zarr::{Array, Arrays, read, read_array};
use tests::{until, within};

pub(crate) const MOVIE: Movie = Movie::of(40, 48, Dtype::Uint8);
pub(crate) const FRAMES: usize = 48;
pub(crate) const SERVERS: usize = 3;
/// Frames of each server.
pub(crate) const SHARE: usize = FRAMES / SERVERS;
/// The last frame of each server. While the source holds them, no phase completes.
const LAST: [i64; SERVERS] = [15, 31, 47];
/// Name of the job, its manifest and its folder of results.
pub(crate) const NAME: &str = "run";
/// What a successful run leaves.
pub(crate) const RESULTS: [&str; 5] = ["run.json", NAME, "power.zarr", "slice.npy", "zarr.json"];
/// The selection of `slice.npy`.
pub(crate) const SELECTION: &str = "power[:,3,5:9]";

/// When a trial injects its fault.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Moment {
    /// This time after the first server process exists.
    Start(Duration),
    /// After this number of frames is requested.
    Load(usize),
    /// The times between the request for the last frame, its response and the fault.
    Exchange(Duration, Duration),
    /// After Fft, at this share of the time that the undisturbed run takes to write.
    Write(f64),
    /// This time after the results are served.
    Serve(Duration),
    /// At this share of the duration of the undisturbed run.
    Any(f64),
}

impl Moment {
    /// A random moment of a random phase.
    pub(crate) fn random(random: &mut Random) -> Self {
        match random.below(7) {
            0 => Self::Start(random.milliseconds(0..60)),
            1 => Self::load(random),
            2 => Self::Exchange(random.milliseconds(0..300), random.milliseconds(0..500)),
            3 => Self::Write(random.fraction()),
            4 => Self::Serve(random.milliseconds(0..500)),
            _ => Self::Any(random.fraction()),
        }
    }

    /// A random moment of Load.
    pub(crate) fn load(random: &mut Random) -> Self {
        Self::Load(1 + random.below(FRAMES - SERVERS))
    }

    /// Whether the trial serves the results.
    pub(crate) const fn serves(self) -> bool {
        matches!(self, Self::Serve(_))
    }
}

/// The results of the undisturbed job.
#[derive(Debug)]
pub(crate) struct Reference {
    pub(crate) results: Results,
    /// Duration of the run, and the part of it after Fft.
    pub(crate) seconds: f64,
    write_seconds: f64,
}

/// What a job writes.
#[derive(Debug)]
pub(crate) struct Results {
    pub(crate) arrays: Arrays,
    pub(crate) power: Array,
    pub(crate) slice: Vec<u8>,
}

impl Results {
    /// Reads the results in the folder.
    pub(crate) fn of(place: &Place) -> Self {
        let arrays = read(&place.path(NAME).join("arrays.zarr"));
        Self { arrays, power: read_array(&place.path("power.zarr")), slice: std::fs::read(place.path("slice.npy")).unwrap() }
    }
}

/// A job that runs.
pub(crate) struct Scene {
    pub(crate) place: Place,
    pub(crate) source: FrameServer,
    pub(crate) running: Running,
    started: Instant,
}

/// The job over a source at this URL. Small chunks make Write slow.
pub(crate) fn the_job(place: &Place, url: &str, disk: bool) -> Job {
    let to = |name: &str| format!("file://{}", place.path(name).display());
    let job = job(url, FRAMES).frame_of(MOVIE).slabs_of(4).recenter(20, 24).rechunk([4, 2, 2]).fft("power").reduce_all();
    let job = job.output("power", &to("power.zarr"), &json!({"chunks": [4, 2, 2]})).output(SELECTION, &to("slice.npy"), &json!({}));
    if disk { job.storage("Disk") } else { job }
}

impl Scene {
    /// Starts the job. `url` is the URL of the source, if servers do not connect to it directly.
    pub(crate) fn start(source: FrameServer, url: Option<&str>, moment: Moment, disk: bool) -> Self {
        let place = Place::default();
        let holds = matches!(moment, Moment::Load(_) | Moment::Exchange(..));
        let source = source.holding(if holds { LAST.to_vec() } else { Vec::new() });
        let job = the_job(&place, &url.map_or_else(|| source.url("{index}"), str::to_owned), disk);
        let started = Instant::now();
        let running = place.start_job(NAME, &job, SERVERS, if moment.serves() { &["--serve"] } else { &[] });
        Self { place, source, running, started }
    }

    /// Runs the job without a fault.
    pub(crate) fn undisturbed(source: FrameServer) -> Reference {
        let mut scene = Self::start(source, None, Moment::Any(0.0), false);
        assert!(within(Duration::from_secs(60), || scene.running.ended().is_some()), "the undisturbed run does not end");
        let timeline = Timeline::of(&scene.running.stderr_lines());
        let (seconds, after_fft) = (timeline.done().unwrap(), timeline.completed("Fft").unwrap());
        Reference { results: Results::of(&scene.place), seconds, write_seconds: seconds - after_fft }
    }

    /// Seconds since the start of the command.
    pub(crate) fn seconds(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }

    /// Waits for a moment.
    pub(crate) fn wait(&mut self, moment: Moment, reference: &Reference) {
        let requested = |source: &FrameServer, frames| until("frames are requested", || source.requests().len() >= frames);
        match moment {
            Moment::Start(after) => {
                until("a server starts", || !self.running.servers().is_empty());
                std::thread::sleep(after);
            }
            Moment::Load(frames) => requested(&self.source, frames),
            Moment::Exchange(held, after) => {
                requested(&self.source, FRAMES);
                std::thread::sleep(held);
                self.source.release();
                std::thread::sleep(after);
            }
            Moment::Write(share) => {
                self.running.until_reported("Fft is complete", |line| {
                    let phase = &line["phase"];
                    (phase["name"] == "Fft" && phase["done"] == phase["total"]).then_some(())
                });
                std::thread::sleep(Duration::from_secs_f64(share * reference.write_seconds));
            }
            Moment::Serve(after) => {
                self.running.until_served();
                std::thread::sleep(after);
            }
            Moment::Any(share) => {
                std::thread::sleep(Duration::from_secs_f64(share * reference.seconds));
                until("a server starts", || !self.running.servers().is_empty() || self.running.ended().is_some());
            }
        }
    }

    /// The reports so far.
    pub(crate) fn timeline(&self) -> Timeline {
        Timeline::of(&self.running.stderr_lines())
    }
}
