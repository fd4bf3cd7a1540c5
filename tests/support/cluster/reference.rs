//! What the same job gives on this machine, where nothing is lost: `arrayjob run` beside `arrayjob movie`.

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

/// What a job gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slices {
    /// .npy by selection.
    slices: BTreeMap<String, Vec<u8>>,
    /// Bytes fetched from the source.
    fetched: u64,
}

/// Serves a movie on this machine; gives the template of its frames' URLs.
fn served(place: &Place, movie: &[&str]) -> (Running, String) {
    // Free a moment ago; nobody else picks ports on a machine that runs tests.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let running = place.start([&["movie", "--listen", &address], movie].concat());
    until("the movie is served here", seconds(30), || TcpStream::connect(&address).map(drop).map_err(|error| error.to_string()));
    (running, format!("http://{address}/{{index}}.png"))
}

/// What the referee in NumPy makes of a job over a movie, in the folder `reference` of a place.
///
/// # Panics
/// When it cannot.
pub fn refereed(movie: &[&str], job: impl FnOnce(&str) -> Job) -> Place {
    let place = Place::default();
    let (_movie, url) = served(&place, movie);
    let manifest = place.manifest("job", &job(&url));
    python("reference", &["compute", manifest.to_str().unwrap(), place.path("reference").to_str().unwrap()])
        .unwrap_or_else(|said| panic!("{said}"));
    place
}

impl Slices {
    /// Runs the manifest that `manifest` makes of the movie's URL template.
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
        let told = ended.stderr.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let fetched = told.filter(|line| line["phase"]["name"] == "Load").filter_map(|line| line["phase"]["bytes"].as_u64()).max();
        let read = |(selection, file): (&&str, &String)| ((*selection).to_owned(), std::fs::read(place.path(file)).unwrap());
        Self { slices: selections.iter().zip(&files).map(read).collect(), fetched: fetched.unwrap() }
    }

    /// As [`of_run`](Self::of_run), for a job of our own making.
    pub fn of_job(movie: &[&str], selections: &[&str], job: impl FnOnce(&str) -> Job) -> Self {
        Self::of_run(movie, selections, |url| job(url).manifest("reference"))
    }

    /// One of them.
    pub fn slice(&self, selection: &str) -> &[u8] {
        &self.slices[selection]
    }

    /// Panics unless a job on the cluster gives the same bytes.
    ///
    /// # Panics
    /// Then, naming the selection.
    pub fn must_equal(&self, reader: &Reader) {
        for (selection, expected) in &self.slices {
            let found = reader.slice(selection, seconds(60));
            assert_eq!(found.len(), expected.len(), "{selection} has another size than on one machine");
            let differ = found.iter().zip(expected).filter(|(a, b)| a != b).count();
            assert_eq!(differ, 0, "{selection} differs in {differ} of {} bytes from what one machine gives", expected.len());
        }
    }

    /// Panics unless the servers of a job, those that replaced others included, have fetched each of their frames once.
    ///
    /// # Panics
    /// Then, with the bytes of each.
    pub fn must_be_loaded_once(&self, job: &Applied<'_>, servers: usize) {
        let fetched: Vec<u64> = (0..servers).map(|server| job.work(server).get("Load").map_or(0, |work| work.bytes)).collect();
        assert_eq!(fetched.iter().sum::<u64>(), self.fetched, "frames were fetched again: {fetched:?} bytes");
    }
}
