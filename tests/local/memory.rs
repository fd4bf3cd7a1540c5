//! Measured memory of a server matches its plan.

use api::geometry::Dtype;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Barrier;
use tests::job::{Job, job};
use tests::movie::Movie;
use tests::place::Place;
use tests::source::FrameServer;

const MIB: f64 = 1_048_576.0;

/// `12.3 MiB` as bytes.
fn bytes(number: &str, unit: &str) -> f64 {
    let scale = match unit {
        "B" => 1.0,
        "KiB" => 1024.0,
        "MiB" => MIB,
        "GiB" => 1024.0 * MIB,
        other => panic!("{other} is not a unit"),
    };
    number.parse::<f64>().unwrap() * scale
}

/// The planned peak of each server, in bytes.
fn planned(place: &Place, manifest: &str, servers: usize) -> Vec<f64> {
    let ended = place.call(["plan", manifest, "--servers", &servers.to_string()]);
    ended.must_succeed();
    let text = String::from_utf8(ended.stdout).unwrap();
    let table = text.lines().skip_while(|line| !line.starts_with("server ")).skip(1);
    table
        .map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            bytes(words[4], words[5])
        })
        .collect()
}

const SERVERS: usize = 2;
const BYTES: Movie = Movie::of(1000, 1000, Dtype::Uint8);
const FLOATS: Movie = Movie::of(500, 500, Dtype::Float32);

/// Recentered uint8 frames and their spectra; all arrays are kept.
fn bytes_job(job: Job) -> Job {
    job.recenter(500, 500).fft("power").reduce(&["mean"])
}

/// Complex spectra of float32 frames; only the spectra are kept.
fn floats_job(job: Job) -> Job {
    job.fft("complex").reduce_all().keep(&["spectrum"])
}

/// Runs a job until it is served, and compares the peak memory of each server with the plan.
fn check(what: &str, movie: Movie, change: impl Fn(Job) -> Job, more: &[&str]) {
    let place = Place::default();
    let source = FrameServer::ready((0..8).map(|index| movie.raw(index)).collect());
    let manifest = place.manifest("large", &change(job(&source.url("{index}"), 200).frame_of(movie)));
    let manifest = manifest.to_str().unwrap();
    let servers = SERVERS.to_string();
    let mut arguments = vec!["run", manifest, "--servers", &servers, "--progress", "json", "--serve"];
    arguments.extend(more);
    let mut running = place.start(arguments);
    let reported = running.until_reported("a plan", |line| line["plan"]["peak_bytes"].as_f64());
    let summary = running.until_reported("a summary", |line| line["summary"]["peak_rss_bytes"].as_f64());
    running.until_served();
    let measured: Vec<f64> = running.servers().iter().map(|server| server.peak_rss_bytes() as f64).collect();
    // `arrayjob plan` does not include the memory for --out; the plan of the run does.
    let planned = if more.is_empty() { planned(&place, manifest, SERVERS) } else { vec![reported; SERVERS] };
    assert_eq!((measured.len(), planned.len()), (SERVERS, SERVERS));
    let all: f64 = measured.iter().sum();
    // The kernel counts memory for each thread and adds the counts with a delay.
    assert!((0.9..1.1).contains(&(summary / all)), "{what}: {summary:.0} bytes in the summary, {all:.0} bytes in /proc");
    for (server, (measured, planned)) in measured.iter().zip(&planned).enumerate() {
        let ratio = measured / planned;
        let report = format!("{what}: server {server} used {:.1} MiB of {:.1} MiB planned: {ratio:.2}", measured / MIB, planned / MIB);
        println!("{report}");
        assert!((0.4..1.15).contains(&ratio), "{report}");
    }
}

#[test]
fn servers_of_uint8_frames_use_the_planned_memory() {
    check("uint8", BYTES, bytes_job, &[]);
}

#[test]
fn servers_of_float32_frames_use_the_planned_memory() {
    check("float32", FLOATS, floats_job, &[]);
}

#[test]
fn servers_that_write_uint8_outputs_use_the_planned_memory() {
    check("uint8, written", BYTES, bytes_job, &["--out", "out"]);
}

#[test]
fn servers_that_write_float32_outputs_use_the_planned_memory() {
    check("float32, written", FLOATS, floats_job, &["--out", "out"]);
}

/// Requests a slice, and reads the response after all readers have sent their requests; returns the length in bytes.
fn read_late(address: &str, path: &str, all_sent: &Barrier) -> usize {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes()).unwrap();
    all_sent.wait();
    let mut response = Vec::new();
    stream.read_to_end(&mut response).unwrap();
    let end = response.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    let head = String::from_utf8_lossy(&response[..end]);
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    response.len() - end - 4
}

#[test]
fn simultaneous_readers_share_the_memory_that_the_plan_leaves() {
    const READERS: usize = 12;
    /// Memory for readers in every plan.
    const MINIMUM: f64 = 64.0 * MIB;
    let place = Place::default();
    let source = FrameServer::ready((0..8).map(|index| FLOATS.raw(index)).collect());
    let job = job(&source.url("{index}"), 200).frame_of(FLOATS).fft("power").keep(&["power"]);
    let manifest = place.manifest("read", &job);
    let manifest = manifest.to_str().unwrap();
    let planned = planned(&place, manifest, SERVERS);
    // The least memory into which the same plan fits.
    let peak = planned.iter().copied().fold(0.0, f64::max) + MIB;
    let memory = format!("{:.0}", peak * SERVERS as f64);
    let mut running = place.start(["run", manifest, "--servers", "2", "--memory", &memory, "--progress", "json", "--serve"]);
    let reported = running.until_reported("a plan", |line| line["plan"]["peak_bytes"].as_f64());
    assert!((reported / peak - 1.0).abs() < 0.05, "the plan of the run has {reported} bytes, not {peak}");
    let url = running.until_served();
    let (address, query) = url.strip_prefix("http://").unwrap().split_once("/?").unwrap();
    // 64 rows of 500 columns and 200 bins, from both servers.
    let path = format!("/slice/power?sel=:,218:282,:&format=raw&{query}");
    let all_sent = Barrier::new(READERS);
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..READERS).map(|_| scope.spawn(|| read_late(address, &path, &all_sent))).collect();
        readers.into_iter().for_each(|reader| assert_eq!(reader.join().unwrap(), 200 * 64 * 500 * 4));
    });
    for (server, (process, planned)) in running.servers().iter().zip(&planned).enumerate() {
        let excess = process.peak_rss_bytes() as f64 - planned;
        let report = format!("server {server} used {:.1} MiB beyond its plan of {:.1} MiB", excess / MIB, planned / MIB);
        println!("{report}");
        assert!(excess < MINIMUM + 0.15 * planned, "{report}");
    }
}
