//! Limits of the system and variables of the environment.

use api::geometry::Dtype;
use nix::sys::signal::Signal;
use tests::job::{Job, job};
use tests::movie::Movie;
use tests::place::{CommandOutput, Place};
use tests::source::FrameServer;

const MOVIE: Movie = Movie::of(40, 48, Dtype::Uint8);

fn the_job(source: &FrameServer) -> Job {
    job(&source.url("{index}"), 48).frame_of(MOVIE).slabs_of(4).fft("power")
}

/// Runs a job of three servers after a command of the shell that sets a limit.
fn run_with(limit: &str, change: impl Fn(Job) -> Job, more: &str) -> (Place, CommandOutput) {
    let (place, source) = (Place::default(), FrameServer::raw(MOVIE));
    let manifest = place.manifest("limited", &change(the_job(&source)));
    let ended = place.run_limited(limit, &format!("run {} --servers 3 {more}", manifest.display()));
    (place, ended)
}

#[test]
fn too_few_open_files_are_refused_before_the_start_with_the_needed_number() {
    for limit in [16, 40] {
        let (place, ended) = run_with(&format!("ulimit -n {limit}"), |job| job, "");
        assert_eq!(ended.code, Some(1), "{}", ended.stderr);
        let (sentence, expected) = (ended.sentence(), format!("the job needs 60 open files in one process, and the limit is {limit}"));
        assert!(sentence.contains("TooManyOpenFiles: ") && sentence.contains(&expected), "{sentence}");
        place.must_leave_nothing_but(&["limited.json"]);
    }
}

#[test]
fn a_low_soft_limit_on_open_files_is_raised() {
    let (_, ended) = run_with("ulimit -Sn 40", |job| job, "--out limited");
    ended.must_succeed();
}

#[test]
fn an_output_beyond_the_limit_on_the_size_of_a_file_states_the_limit() {
    let (place, ended) = run_with("ulimit -f 16", |job| job, "--save power=power.npy");
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let sentence = ended.sentence();
    assert!(sentence.contains("FileSizeLimit") && sentence.contains("ulimit -f") && sentence.contains(" bytes"), "{sentence}");
    place.must_leave_nothing_but(&["limited.json"]);
}

#[test]
fn a_scratch_file_beyond_the_limit_on_the_size_of_a_file_states_the_limit() {
    let (place, ended) = run_with("ulimit -f 16", |job| job.storage("Disk"), "");
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let sentence = ended.sentence();
    assert!(sentence.contains("FileSizeLimit: ") && sentence.contains("scratch file") && sentence.contains("ulimit -f"), "{sentence}");
    place.must_leave_nothing_but(&["limited.json"]);
}

#[test]
fn empty_variables_of_folders_and_files_have_no_effect() {
    let empty = ["XDG_RUNTIME_DIR", "TMPDIR", "HOME", "SSL_CERT_FILE", "SSL_CERT_DIR"].map(|name| (name, String::new()));
    let (place, source) = (Place::with(empty), FrameServer::raw(MOVIE));
    let name = format!("empty-variables-{}", std::process::id());
    let mut running = place.start_job(&name, &the_job(&source).storage("Disk"), 1, &["--serve"]);
    running.until_served();
    place.call(["get", &name, "power[0]", "-o", "slice.npy"]).must_succeed();
    let entries = std::fs::read_dir(place.path("")).unwrap();
    let mut found: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    found.retain(|name| name.starts_with("arrayjob"));
    assert!(found.is_empty(), "files in the current folder: {found:?}");
    running.signal(Signal::SIGINT);
    assert_eq!(running.end().code, Some(130));
}
