//! Expected results: the same job on the local machine without any fault, with `arrayjob run` and `arrayjob movie`.

use super::applied::Applied;
use super::forward::Reader;
use super::seconds;
use super::until;
use crate::job::Job;
use crate::place::{Place, Running};
use crate::referee::python;
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::{TcpListener, TcpStream};

/// Expected results of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slices {
    /// The .npy file of each selection.
    slices: BTreeMap<String, Vec<u8>>,
    /// Bytes fetched from the source.
    fetched: u64,
}

/// Serves a movie on the local machine; returns the process and the URL template of the frames.
fn served(place: &Place, movie: &[&str]) -> (Running, String) {
    // The port was free a moment ago. No other program takes ports on a test machine.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let running = place.start([&["movie", "--listen", &address], movie].concat());
    until("the movie is served", seconds(30), || TcpStream::connect(&address).map(drop).map_err(|error| error.to_string()));
    (running, format!("http://{address}/{{index}}.png"))
}

/// Computes a job over a movie with the reference implementation in NumPy, into the folder `reference` of the returned place.
///
/// # Panics
/// When the computation fails.
pub fn numpy_results(movie: &[&str], job: impl FnOnce(&str) -> Job) -> Place {
    let place = Place::default();
    let (_movie, url) = served(&place, movie);
    let manifest = place.manifest("job", &job(&url));
    python("reference", &["compute", manifest.to_str().unwrap(), place.path("reference").to_str().unwrap()])
        .unwrap_or_else(|output| panic!("{output}"));
    place
}

impl Slices {
    /// Runs the manifest that `manifest` returns for the URL template of the movie.
    pub fn of_run(movie: &[&str], selections: &[&str], manifest: impl FnOnce(&str) -> String) -> Self {
        let place = Place::default();
        let (_movie, url) = served(&place, movie);
        let file = place.write("job.json", manifest(&url).as_bytes());
        let files: Vec<String> = (0..selections.len()).map(|number| format!("{number}.npy")).collect();
        let mut arguments = ["run", file.to_str().unwrap(), "--progress", "json"].map(str::to_owned).to_vec();
        for (selection, file) in selections.iter().zip(&files) {
            arguments.extend(["--save".to_owned(), format!("{selection}={file}")]);
        }
        let ended = place.call(arguments);
        ended.must_succeed();
        let reports = ended.stderr.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let fetched = reports.filter(|line| line["phase"]["name"] == "Load").filter_map(|line| line["phase"]["bytes"].as_u64()).max();
        let read = |(selection, file): (&&str, &String)| ((*selection).to_owned(), std::fs::read(place.path(file)).unwrap());
        Self { slices: selections.iter().zip(&files).map(read).collect(), fetched: fetched.unwrap() }
    }

    /// As [`of_run`](Self::of_run), for a [`Job`].
    pub fn of_job(movie: &[&str], selections: &[&str], job: impl FnOnce(&str) -> Job) -> Self {
        Self::of_run(movie, selections, |url| job(url).manifest("reference"))
    }

    /// The .npy file of a selection.
    pub fn slice(&self, selection: &str) -> &[u8] {
        &self.slices[selection]
    }

    /// Checks that a job on the cluster returns the same bytes.
    ///
    /// # Panics
    /// When a selection differs.
    pub fn must_equal(&self, reader: &Reader) {
        for (selection, expected) in &self.slices {
            let found = reader.slice(selection, seconds(60));
            assert_eq!(found.len(), expected.len(), "size of {selection} on the cluster and on one machine");
            let differ = found.iter().zip(expected).filter(|(a, b)| a != b).count();
            assert_eq!(differ, 0, "{selection} differs in {differ} of {} bytes from the result of one machine", expected.len());
        }
    }

    /// Checks that the current servers of a job, including replacements, have fetched each of their frames once.
    ///
    /// # Panics
    /// When the number of bytes differs, with the bytes of each server.
    pub fn must_be_loaded_once(&self, job: &Applied<'_>, servers: usize) {
        let fetched: Vec<u64> = (0..servers).map(|server| job.work(server).get("Load").map_or(0, |work| work.bytes)).collect();
        assert_eq!(fetched.iter().sum::<u64>(), self.fetched, "frames were fetched again: {fetched:?} bytes");
    }
}
